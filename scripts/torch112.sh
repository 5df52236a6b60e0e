#!/bin/sh
# An environment with torch 1.12.1, as Nuke 14 has it: torch112.sh FOLDER makes FOLDER/env. It needs
# Python 3.10 and about 800 MB from PyPI.
set -eu
place=$1
python=$place/env/bin/python
[ -x "$python" ] && "$python" -c "import torch" 2>/dev/null && exit 0
mkdir -p "$place"
"$(sh "$(dirname "$0")/python_of.sh" 3.10)" -m venv "$place/env"
"$python" -m pip -q --disable-pip-version-check install "numpy<2" typing_extensions
"$python" -m pip -q --disable-pip-version-check install --no-deps torch==1.12.1
"$python" -c "import torch"
