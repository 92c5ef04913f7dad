"""GKE by plain manifests: a JobSet for the trainer, a Job for the evaluator.

A JobSet has one child Job a slice and one Pod a host. GKE gives each Pod TPU_WORKER_ID and TPU_WORKER_HOSTNAMES, and with several
slices MEGASCALE_COORDINATOR_ADDRESS, MEGASCALE_NUM_SLICES and MEGASCALE_SLICE_ID: from these `jax.distributed.initialize()` knows
the coordinator, the number of processes and its own number (jax/_src/clusters/cloud_tpu_cluster.py, GkeTpuCluster).
"""

from __future__ import annotations

import shlex

from mdm.exits import FINAL
from mdm.launching import quoting, script
from mdm.launching.description import MOUNT, Description, Rendering
from mdm.launching.hardware import Hardware
from mdm.problems import Problem

_TRAINER = "trainer"
# The kernel ignores SIGTERM to a process 1 without a handler for it: an evaluator, and a trainer that is not yet so far, would
# stay for all of the grace. In the namespace of its Pod the first process of a container is an ordinary one.
NOT_FIRST = {"shareProcessNamespace": True}
_WHERE = (
    "--namespace",
    "--context",
    "--kubeconfig",
    "--cluster",
    "--user",
)  # flags that every command of kubectl takes
# Settings of a job that is there cannot be changed, and one that has ended does not start again by being applied again.
_RENEW = """\
renew() {{
  local now
  now="$(kubectl get "$1" "$2" {where}--ignore-not-found \\
    --output=jsonpath='{{.metadata.name}}{{range .status.conditions[?(@.status=="True")]}} {{.type}}{{end}}')"
  case "$now " in
    " ") ;;
    *" Complete "* | *" Completed "* | *" Failed "*) kubectl delete "$1" "$2" {where}--wait ;;
    *)
      echo "$1 $2 is there and has not ended. kubectl delete $1 $2 stops it; then run this script again" >&2
      exit 1
      ;;
  esac
}}

"""


def problems(description: Description) -> list[Problem]:
    found = description.containers("GKE")
    if not description.data:
        reason = "is not given, and a container on GKE sees no folder but a mounted bucket"
        found.append(Problem("--data", None, reason, "name the bucket with the data set, --data=gs://BUCKET/FOLDER"))
    return found + description.only(("tpu", "cpu"), "GKE", "take TPUs, or launch on SLURM")


def render(description: Description) -> Rendering:
    objects = [_jobset(description)]
    if description.beside:
        objects.append(_follower(description, description.beside))
    apply = ["kubectl", "apply", *description.options]
    start = quoting.command(apply) + ' --filename="$here/job.yaml"\n'
    where = [option for option in description.options if option.partition("=")[0] in _WHERE]
    text = script.head() + script.HERE + _RENEW.format(where="".join(f"{shlex.quote(part)} " for part in where))
    text += f"{script.preflight(description)}renew jobset {description.name}\n"
    if description.beside:  # it only reads, and may still wait for what a job that has failed will not write
        follower = ["kubectl", "delete", "job", f"{description.name}-follower", *where, "--ignore-not-found", "--wait"]
        text += quoting.command(follower) + "\n"
    text += start
    return Rendering(text, {"job.yaml": quoting.documents(*objects)})


def pod(description: Description, hardware: Hardware, container: str, command: list[str]) -> dict:
    """The template of a Pod that runs `command` in one container, on one host of `hardware`."""
    spec: dict = {"restartPolicy": "Never"}  # a failed process must take its whole Job with it: the others wait for it
    spec |= NOT_FIRST
    if description.priority:
        spec["priorityClassName"] = description.priority
    spec["terminationGracePeriodSeconds"] = description.grace  # SIGTERM, then so long for the last checkpoint
    inside: dict = {
        "name": container,
        "image": description.image,
        "command": quoting.dollars(command),
        "env": [
            {"name": name, "value": value.replace("$", "$$")} for name, value in description.variables(hardware).items()
        ],
        # The reading processes hand batches over in shared memory; a container gets 64 MiB of it by itself.
        "volumeMounts": [{"name": "shared-memory", "mountPath": "/dev/shm"}],
    }
    if hardware.platform == "tpu":
        # The network of the host, as multi-slice traffic wants it; TPU devices are open to privileged containers on every GKE.
        spec |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
        inside |= {
            "securityContext": {"privileged": True},
            "resources": {"limits": {"google.com/tpu": hardware.chips_a_host}},
        }
        spec["nodeSelector"] = node_selector(hardware)
    spec["containers"] = [inside]
    spec["volumes"] = [{"name": "shared-memory", "emptyDir": {"medium": "Memory"}}]
    if not description.bucket:
        return {"spec": spec}
    inside["volumeMounts"].append({"name": "data", "mountPath": MOUNT, "readOnly": True})
    attributes = {"bucketName": description.bucket, "mountOptions": "implicit-dirs"}
    if "hostNetwork" in spec:
        attributes["hostNetworkPodKSA"] = "true"  # the driver then gets its token from the Pod: GKE 1.33.3 and newer
    driver = {"driver": "gcsfuse.csi.storage.gke.io", "readOnly": True, "volumeAttributes": attributes}
    spec["volumes"].append({"name": "data", "csi": driver})
    return {"metadata": {"annotations": {"gke-gcsfuse/volumes": "true"}}, "spec": spec}


def node_selector(hardware: Hardware) -> dict[str, str]:
    """The nodes of a TPU slice."""
    return {
        "cloud.google.com/gke-tpu-accelerator": hardware.generation.label,
        "cloud.google.com/gke-tpu-topology": hardware.shape,
    }


def _no_use(container: str) -> dict:
    """Fails a Job at once, for a reason of its own, where starting again would end the same way."""
    codes = {"containerName": container, "operator": "In", "values": list(FINAL)}
    return {"rules": [{"action": "FailJob", "onExitCodes": codes}]}


def _jobset(description: Description) -> dict:
    hosts = description.slice.hosts
    job = {
        "parallelism": hosts,
        "completions": hosts,
        "completionMode": "Indexed",
        "backoffLimit": 0,  # one lost host ends the child Job, and with it this attempt of all slices
        "podFailurePolicy": _no_use(_TRAINER),
        "template": pod(description, description.slice, _TRAINER, description.trainer),
    }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {
            "name": description.name,
            # One slice a node pool, never two halves of different ones.
            "annotations": {"alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool"},
        },
        "spec": {
            # All but FINAL codes, lost hosts and preemption among them, start every slice again.
            "failurePolicy": {
                "maxRestarts": description.restarts,
                "rules": [{"name": "final", "action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}],
            },
            "replicatedJobs": [{"name": "slice", "replicas": description.count, "template": {"spec": job}}],
        },
    }


def _follower(description: Description, hardware: Hardware) -> dict:
    """A Job of its own: whatever becomes of it, the trainer goes on."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{description.name}-follower"},
        "spec": {
            "backoffLimit": description.restarts,
            "podFailurePolicy": _no_use("follower"),
            "template": pod(description, hardware, "follower", description.follower),
        },
    }
