#!/usr/bin/env bash
# The smoke run: sets everything up, then samples -> codecs -> tokens -> 200 steps -> evaluation -> one sample of each task.
# launch/smoke.sh [FOLDER]: a second start in the same folder continues where the first one stopped.
EXTRAS=dev
source "$(dirname "$0")/environment.sh"

out="${1:-runs/smoke}"
config=(--config=experiments/smoke.py --config.data.directory="$out/data")
python -m mdm.prepare "${config[@]}"
python -m mdm.train "${config[@]}" --workdir="$out/run"
python -m mdm.evaluate --workdir="$out/run"

sample() { python -m mdm.generate --workdir="$out/run" --output="$out/samples" "$@"; }
picture=mdm/data/samples/images/red-heart.png
speech=mdm/data/samples/speech/001-slt.ogg
sample --task=text
sample --task=text --prompt="It is a truth universally acknowledged, that a single man" --keep=0:0.5 --seed=1 # infilling
sample --task=text-to-image --prompt="red heart"
sample --task=image-to-text --image="$picture"
sample --task=joint-image-text
sample --task=text-to-speech --prompt="i can see a koala"
sample --task=speech-to-text --sound="$speech"
sample --task=joint-audio-text
ls -l "$out/samples"
