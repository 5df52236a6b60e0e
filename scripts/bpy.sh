#!/bin/sh
# Blenders as Python modules, each in an environment of its own: bpy.sh [VERSION ...]
# 5.0.1 goes to .venv-bpy, VERSION to .venv-bpy-VERSION (0.8 GB each). Where one cannot be had
# (another Python, another platform, no mirror) its tests are skipped and say so.
set -eu
python=$(command -v python3.11 || true)
[ -n "$python" ] || { echo "bpy: needs Python 3.11, nothing installed"; exit 0; }
for version in "${@:-5.0.1}"; do
    place=.venv-bpy-$version
    [ "$version" != 5.0.1 ] || place=.venv-bpy
    [ -e "$place/stamp-$version" ] && continue
    echo "bpy: installing $version into $place"
    rm -rf "$place"
    # numpy: those before 4.5 do not say that they cannot have 2.
    if "$python" -m venv "$place" &&
        "$place/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
            --only-binary :all: "bpy==$version" "numpy<2" &&
        "$place/bin/python" -c "import bpy"; then
        touch "$place/stamp-$version"
    else
        rm -rf "$place"
        echo "bpy: $version could not be installed; its tests will be skipped"
    fi
done
