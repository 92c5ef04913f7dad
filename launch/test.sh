#!/usr/bin/env bash
# Sets everything up and runs style, layering and tests: launch/test.sh [arguments for pytest]
# Long tests carry the mark `slow` and are left out: launch/test.sh -m slow runs them alone
# (with EXTRAS=dev,tpu also those that compile for TPUs).
EXTRAS="${EXTRAS:-dev}"
source "$(dirname "$0")/environment.sh"

ruff check .
lint-imports --config .importlinter
python -m pytest -q -n 2 --dist worksteal -m "not slow" "$@"
