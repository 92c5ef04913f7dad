#!/usr/bin/env bash
# Starts the trainer, and the evaluator beside it. Run it from the root of the checkout.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python -m mdm.preflight --config=experiments/tri_modal_3b.py:v5p --topology=v5p:4x4x4 --slices=2
kubectl apply --namespace=team --filename="$here/job.yaml"
