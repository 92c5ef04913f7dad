#!/usr/bin/env bash
# Writes launch/packages-tpu.txt and launch/packages-cuda.txt: every package of the container, pinned, with the hash of the wheel
# that pip takes on this machine. Run it on the platform of the container (x86-64 Linux, Python 3.11) after setup.py has changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3.11}" -m venv "$scratch/venv"
pip=("$scratch/venv/bin/python" -m pip --disable-pip-version-check --quiet)
"${pip[@]}" install --upgrade "pip>=24"
for hardware in tpu cuda; do
  "${pip[@]}" install --dry-run --ignore-installed --prefer-binary --report "$scratch/report.json" ".[$hardware,report,tensorboard,gcs]"
  "$scratch/venv/bin/python" - "$scratch/report.json" > "launch/packages-$hardware.txt" <<'PYTHON'
import json
import sys

with open(sys.argv[1]) as file:
    found = json.load(file)["install"]
for package in sorted(found, key=lambda package: package["metadata"]["name"].lower()):
    archive = package["download_info"].get("archive_info")
    if archive:  # all but this package itself
        name, version = package["metadata"]["name"], package["metadata"]["version"]
        print(f"{name}=={version} --hash=sha256:{archive['hashes']['sha256']}")
PYTHON
done
