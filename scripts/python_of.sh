#!/bin/sh
# Print a Python of a version: python_of.sh 3.13. The one on the path, else one of pyenv's: a shim of
# pyenv is on the path, and fails, where another version is chosen. Exit code 1: there is none.
set -eu
for python in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    if [ -n "$python" ] && "$python" -c "" 2>/dev/null; then
        echo "$python"
        exit 0
    fi
done
exit 1
