#!/usr/bin/env bash
# Starts the trainer, and the evaluator beside it. Run it from the root of the checkout.
# It may be run again at any time: it starts what does not run, and asks anew for machines that were taken away.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# The state of what was asked for; nothing if it is not there. A failure (of the network, of a token) tells neither: UNKNOWN.
errors="$(mktemp)"
trap 'rm -f "$errors"' EXIT
state() {
  gcloud compute tpus queued-resources describe "$1" --project=project --zone=us-east5-a --format='value(state.state)' 2> "$errors" && return
  if grep --quiet NOT_FOUND "$errors"; then return; fi
  cat "$errors" >&2
  echo UNKNOWN
}

# What was taken away is given back, so that it can be asked for again.
give_back() {
  case "$(state "$1")" in
    FAILED | SUSPENDED) gcloud compute tpus queued-resources delete "$1" --project=project --zone=us-east5-a --force --quiet ;;
  esac
}

await() {
  local now
  while now="$(state "$1")" && [[ "$now" != ACTIVE ]]; do
    case "$now" in
      "" | STOP* | SUSPENDING | DELETING | FAILED | SUSPENDED)
        echo "$1: ${now:-gone} before it was ready; run this script again" >&2
        return 1
        ;;
      UNKNOWN) echo "$1: its state cannot be asked for; this script goes on asking" >&2 ;;
    esac
    sleep 30
  done
}

give_back tri-modal-3b
if [[ -z "$(state tri-modal-3b)" ]]; then
  python -m mdm.preflight --config=experiments/tri_modal_3b.py:v5p --topology=v5p:4x4x4 --slices=2
  gcloud compute tpus queued-resources create tri-modal-3b \
    --accelerator-type=v5p-128 \
    --runtime-version=v2-alpha-tpuv5 \
    --node-count=2 \
    --node-prefix=tri-modal-3b \
    --project=project \
    --zone=us-east5-a \
    --valid-until-duration=6h
fi
await tri-modal-3b
gcloud compute tpus tpu-vm ssh tri-modal-3b-0 --project=project --zone=us-east5-a --worker=all --command="$(cat "$here/train.host.sh")"
gcloud compute tpus tpu-vm ssh tri-modal-3b-1 --project=project --zone=us-east5-a --worker=all --command="$(cat "$here/train.host.sh")"
echo "To stop it:"
echo 'gcloud compute tpus tpu-vm ssh tri-modal-3b-0 --project=project --zone=us-east5-a --worker=all '"'"'--command=sudo systemctl stop tri-modal-3b'"'"''
echo 'gcloud compute tpus tpu-vm ssh tri-modal-3b-1 --project=project --zone=us-east5-a --worker=all '"'"'--command=sudo systemctl stop tri-modal-3b'"'"''
echo 'gcloud compute tpus tpu-vm ssh tri-modal-3b-0 --project=project --zone=us-east5-a --worker=0 '"'"'--command=sudo systemctl stop tri-modal-3b-follower'"'"''
echo "The machines stay, and cost, until they are deleted:"
echo 'gcloud compute tpus queued-resources delete tri-modal-3b --project=project --zone=us-east5-a --force --quiet'
set +e
(
set -e
gcloud compute tpus tpu-vm ssh tri-modal-3b-0 --project=project --zone=us-east5-a --worker=0 --command="$(cat "$here/follow.host.sh")"
)
code=$?
if (( code )); then
  echo "THE EVALUATOR WAS NOT STARTED, see above. The trainer runs; run this script again for its evaluator" >&2
fi
exit "$code"
