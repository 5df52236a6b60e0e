#!/bin/sh
# Make the environment in the checkout: venv.sh PYTHON FOLDER EXTRAS
set -eu
python="$1" venv="$2" extras="$3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "matte-nodes needs Python 3.11 or newer; $python is $("$python" -V). Use make PYTHON=..." >&2
    exit 1
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
# 2.13.0 is named outright: a bare range lets pip take a newer CUDA build of several gigabytes.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "torch==2.13.0"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"
