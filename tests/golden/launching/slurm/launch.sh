#!/usr/bin/env bash
# Starts the trainer, and the evaluator beside it. Run it from the root of the checkout.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
trainer="$(sbatch --parsable --qos=high --partition=gpu --time=2-00:00:00 "$here/train.sbatch")"
trainer="${trainer%%;*}"  # a federation adds its cluster
echo "trainer: job $trainer"
follower="$(sbatch --dependency="after:$trainer" --parsable --qos=high --partition=gpu --time=2-00:00:00 "$here/follow.sbatch")"
follower="${follower%%;*}"
echo "evaluator: job $follower"
echo "To stop both: scancel $trainer $follower"
