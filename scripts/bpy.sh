#!/bin/sh
# Blenders as Python modules, each in an environment of its own: bpy.sh [VERSION ...]
# 5.0.1 goes to .venv-bpy, VERSION to .venv-bpy-VERSION (0.8 GB each). Where one cannot be had
# (another Python, another platform, no mirror) its tests are skipped and say so. 5.1 and newer
# need Python 3.13: on the path, one of pyenv's, or named in $PYTHON313.
set -eu
python_of=$(dirname "$0")/python_of.sh
python313=${PYTHON313:-$(sh "$python_of" 3.13 || true)}
python311=$(sh "$python_of" 3.11 || true)
for version in "${@:-5.0.1}"; do
    case $version in
        # numpy: those before 4.5 do not say that they cannot have 2.
        [34].*|5.0.*) python=$python311 numpy="numpy<2" ;;
        *) python=$python313 numpy=numpy ;;
    esac
    if [ -z "$python" ] || ! "$python" -c "" 2>/dev/null; then
        echo "bpy: $version needs another Python, which is not here; its tests will be skipped"
        continue
    fi
    place=.venv-bpy-$version
    [ "$version" != 5.0.1 ] || place=.venv-bpy
    [ -e "$place/stamp-$version" ] && continue
    echo "bpy: installing $version into $place"
    rm -rf "$place"
    if "$python" -m venv "$place" &&
        "$place/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
            --only-binary :all: "bpy==$version" "$numpy" &&
        "$place/bin/python" -c "import bpy"; then
        touch "$place/stamp-$version"
    else
        rm -rf "$place"
        echo "bpy: $version could not be installed; its tests will be skipped"
    fi
done
