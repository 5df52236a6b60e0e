#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The plug-in for Windows, compiled on Linux: `plugins/obs/packaging/windows.sh FOLDER VERSION`
# writes a zip into FOLDER, and an installer where makensis is there (Debian: gcc-mingw-w64-x86-64,
# libobs-dev, cmake, zip; nsis).
#
# NEITHER WAS EVER RUN ON WINDOWS. What is known: it compiles without a warning, it exports what OBS
# asks a plug-in for, and it imports nothing but obs.dll and libraries of Windows.
#
# OBS_HEADERS names another folder of libobs's headers. There is no libobs for Windows here: the
# import library is made of the names that the objects ask for.
set -eu
here=$(dirname "$(realpath "$0")")
plugin=$(dirname "$here")
folder=$(realpath -m "$1") version=$2
headers=${OBS_HEADERS:-/usr/include/obs}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder" "$work/more"
# What Debian's headers of OBS include; alone, as the rest of /usr/include is Linux's.
[ ! -d /usr/include/simde ] || ln -s /usr/include/simde "$work/more/simde"

build() {
    cmake -S "$plugin" -B "$work/build" -DCMAKE_TOOLCHAIN_FILE="$here/mingw.cmake" \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS=-Werror \
        "-DMATTE_OBS_HEADERS=$headers;$work/more" "-DMATTE_OBS_LIBRARY=$work/libobs.a" > /dev/null
    cmake --build "$work/build" --target "$1" > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
}

build objects
# shellcheck disable=SC2046
x86_64-w64-mingw32-gcc -shared -static $(find "$work/build" -name '*.obj') -lpthread -o "$work/none.dll" \
    2> "$work/left" || true
{
    echo "LIBRARY obs.dll"
    echo "EXPORTS"
    sed -n "s/.*undefined reference to .\(__imp_\)\{0,1\}\([A-Za-z0-9_]*\).*/\2/p" "$work/left" | sort -u
} > "$folder/obs.def"
x86_64-w64-mingw32-dlltool -d "$folder/obs.def" -l "$work/libobs.a"
build matte-nodes

# As OBS looks for it: all of it goes into C:\ProgramData\obs-studio\plugins.
root="$work/zip/matte-nodes"
mkdir -p "$root/bin/64bit"
cp "$work/build/matte-nodes.dll" "$root/bin/64bit/"
x86_64-w64-mingw32-strip "$root/bin/64bit/matte-nodes.dll"
cp -r "$plugin/data" "$root/data"
cp "$plugin/LICENSE" "$root/LICENSE.txt"
cat > "$root/README.txt" <<'TEXT'
Matte: the camera without the room. The plug-in of OBS, GPL-2.0-or-later (LICENSE.txt).
It was compiled on Linux and never run on Windows: tell us how it went.

1. Put this folder, matte-nodes, into C:\ProgramData\obs-studio\plugins
2. Install Python 3.11 or newer and, in a command window:   pip install matte-nodes
3. matte models pull rvm
4. matte install obs --binary C:\ProgramData\obs-studio\plugins\matte-nodes\bin\64bit\matte-nodes.dll
5. Start OBS again, and add the source "Matte Camera".
Run line 4 again after each update of matte-nodes.

The source of the plug-in: the folder plugins/obs of matte-nodes, in its source distribution.
TEXT
name="matte-nodes-obs-$version-windows-x64"
rm -f "$folder/$name.zip"
(cd "$work/zip" && zip -qrX "$folder/$name.zip" matte-nodes)
if command -v makensis > /dev/null; then
    makensis -V2 "-DVERSION=$version" "-DFILES=$root" "-DOUT=$folder/$name.exe" "$here/windows.nsi" > /dev/null
else
    echo "no makensis here: no installer" >&2
fi
