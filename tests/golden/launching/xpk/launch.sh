#!/usr/bin/env bash
# Starts the trainer, and the evaluator beside it. Run it from the root of the checkout.
set -euo pipefail
python -m mdm.preflight \
  --config=experiments/tri_modal_3b.py:v5p \
  --config.data.directory=/data/sets/one \
  --topology=v5p:4x4x4 \
  --slices=2
xpk workload create \
  --project=project \
  --zone=us-east5-a \
  --cluster=pod \
  --workload=tri-modal-3b \
  --tpu-type=v5p-4x4x4 \
  --num-slices=2 \
  --docker-image=europe-docker.pkg.dev/project/mdm/mdm:1 \
  --priority=high \
  --max-restarts=100 \
  --restart-on-exit-codes=1,70,75 \
  --termination-grace-period-seconds=180 \
  '--command=exec env JAX_PLATFORMS=tpu,cpu '"'"'LIBTPU_INIT_ARGS=--first=1 --second=2'"'"' python -m mdm.train --config=experiments/tri_modal_3b.py:v5p --config.data.directory=/data/sets/one --workdir=gs://bucket/runs/3b --distributed' || {
  code=$?
  echo 'If it is there still, ended or not: xpk workload delete --project=project --zone=us-east5-a --cluster=pod --workload=tri-modal-3b; then run this script again' >&2
  exit "$code"
}
xpk workload create \
  --project=project \
  --zone=us-east5-a \
  --cluster=pod \
  --workload=tri-modal-3b-follower \
  --tpu-type=v5p-2x2x1 \
  --num-slices=1 \
  --docker-image=europe-docker.pkg.dev/project/mdm/mdm:1 \
  --priority=high \
  --max-restarts=100 \
  --restart-on-exit-codes=1,70,75 \
  --termination-grace-period-seconds=180 \
  '--command=exec env JAX_PLATFORMS=tpu,cpu '"'"'LIBTPU_INIT_ARGS=--first=1 --second=2'"'"' python -m mdm.evaluate --workdir=gs://bucket/runs/3b --follow --await_start=1800' || {
  code=$?
  echo 'If it is there still, ended or not: xpk workload delete --project=project --zone=us-east5-a --cluster=pod --workload=tri-modal-3b-follower; then run this script again' >&2
  exit "$code"
}
