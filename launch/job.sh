#!/usr/bin/env bash
# A job on TPUs or GPUs: sets everything up, then python -m mdm.launch with the same arguments (--help tells them).
#   launch/job.sh --on=jobset --name=tri-modal --config=experiments/tri_modal_3b.py:v5p --data=gs://my-bucket/data \
#       --workdir=gs://… --hardware=v5p:4x4x4 --count=2 --evaluator=v5p:2x2x1 --image=REGISTRY/mdm:TAG
# prints what it would run; --nodry_run runs it.
EXTRAS=tpu
source "$(dirname "$0")/environment.sh"

python -m mdm.launch "$@"
