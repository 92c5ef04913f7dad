#!/usr/bin/env bash
# A job on TPUs or GPUs: sets everything up, then python -m mdm.launch with the same arguments (--help tells them).
#   launch/job.sh --on=jobset --name=tri-modal --config=experiments/tri_modal_3b.py:v5p --data=gs://my-bucket/data \
#       --workdir=gs://… --hardware=v5p:4x4x4 --count=2 --evaluator=v5p:2x2x1 --image=REGISTRY/mdm:TAG
# prints what it would run; --nodry_run runs it.
# SLURM's nodes run this very environment, so it is made for their GPUs; all others run a container, and preflight wants the TPU
# compiler here. EXTRAS=… chooses otherwise.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

words=("$@")
for word in "$@"; do
  if [[ "$word" =~ ^--?flagfile=(.+)$ && -r "${BASH_REMATCH[1]}" ]]; then
    mapfile -t -O "${#words[@]}" words < "${BASH_REMATCH[1]}"
  fi
done
chosen=tpu before=
for word in "${words[@]}"; do
  [[ "$before" =~ ^--?on$ ]] && word="$before=$word"
  if [[ "$word" =~ ^--?on=(.*)$ ]]; then
    [[ "${BASH_REMATCH[1]}" == slurm ]] && chosen=cuda || chosen=tpu
  fi
  before="$word"
done
EXTRAS="${EXTRAS:-$chosen}"
source launch/environment.sh

python -m mdm.launch "$@"
