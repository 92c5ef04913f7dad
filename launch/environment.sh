# Sourced by the launch scripts: a virtual environment in .venv with this package and the extras named in $EXTRAS.
# A second run reuses it unless setup.py has changed since.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="${PYTHON:-python3}"
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "mdm needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Set PYTHON=/path/to/python3.11" >&2
  exit 2
fi
mark=".venv/installed-${EXTRAS//,/-}"
if [[ ! -e "$mark" || setup.py -nt "$mark" ]]; then
  [[ -x .venv/bin/python ]] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$EXTRAS]"
  touch "$mark"
fi
export PATH="$PWD/.venv/bin:$PATH"
export JAX_PLATFORMS="${JAX_PLATFORMS:-cpu}"
# XLA takes fresh memory for every step; huge pages spare it a page fault for each 4 KiB (a seventh of a small step on CPU).
export GLIBC_TUNABLES="${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}"
