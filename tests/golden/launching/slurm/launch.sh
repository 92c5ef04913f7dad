#!/usr/bin/env bash
# Starts the trainer, and the evaluator beside it. Run it from the root of the checkout.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
there="$(squeue --noheader --user="$(id --user --name)" --name=tri-modal-3b,tri-modal-3b-follower --format=%A)"
if [[ -n "$there" ]]; then
  echo 'tri-modal-3b is there and has not ended. scancel '"${there//$'\n'/ } stops it; then run this script again" >&2
  exit 1
fi
trainer="$(sbatch --parsable --qos=high --partition=gpu --time=2-00:00:00 "$here/train.sbatch")"
trainer="${trainer%%;*}"  # a federation adds its cluster
echo "trainer: job $trainer"
follower="$(sbatch --dependency="after:$trainer" --parsable --qos=high --partition=gpu --time=2-00:00:00 "$here/follow.sbatch")"
follower="${follower%%;*}"
echo "evaluator: job $follower"
echo "To stop both: scancel $trainer $follower"
