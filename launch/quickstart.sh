#!/usr/bin/env bash
# The quickstart: sets everything up, fetches real media, trains, evaluates in another process, samples, writes a report.
# About 20 minutes on two cores. Everything lies under runs/quickstart; a second start continues where the first one stopped.
# launch/quickstart.sh [CONFIG FOLDER]: another experiment, as in: launch/quickstart.sh experiments/demo_long.py runs/demo_long
EXTRAS=beam,report,scorers
source "$(dirname "$0")/environment.sh"

config="${1:-experiments/demo.py}"
out="${2:-runs/quickstart}"

python -m mdm.prepare --config="$config"
python -m mdm.train --config="$config" --workdir="$out/run"
python -m mdm.evaluate --workdir="$out/run" --report="$out/report.html"
cat "$out"/run/evaluations/step-*.jsonl > "$out/results.jsonl.tmp" && mv "$out/results.jsonl.tmp" "$out/results.jsonl"

python -m mdm.generate --workdir="$out/run" --task=text-to-image --prompt="red apple" --prompt="smiling cat" --output="$out/samples"
python -m mdm.generate --workdir="$out/run" --task=text-to-speech --prompt="a red apple" --output="$out/samples"
echo "Done. Look at and listen to $PWD/$out/report.html"
