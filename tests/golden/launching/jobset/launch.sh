#!/usr/bin/env bash
# Starts the trainer, and the evaluator beside it. Run it from the root of the checkout.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
renew() {
  local now
  now="$(kubectl get "$1" "$2" --namespace=team --ignore-not-found \
    --output=jsonpath='{.metadata.name}{range .status.conditions[?(@.status=="True")]} {.type}{end}')"
  case "$now " in
    " ") ;;
    *" Complete "* | *" Completed "* | *" Failed "*) kubectl delete "$1" "$2" --namespace=team --wait ;;
    *)
      echo "$1 $2 is there and has not ended. kubectl delete $1 $2 stops it; then run this script again" >&2
      exit 1
      ;;
  esac
}

python -m mdm.preflight --config=experiments/tri_modal_3b.py:v5p --topology=v5p:4x4x4 --slices=2
renew jobset tri-modal-3b
kubectl delete job tri-modal-3b-follower --namespace=team --ignore-not-found --wait
kubectl apply --namespace=team --filename="$here/job.yaml"
