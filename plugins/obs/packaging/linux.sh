#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Packages of the plug-in for Linux: `plugins/obs/packaging/linux.sh BINARY.so FOLDER VERSION` writes a
# .deb and a tarball with an install script into FOLDER.
#
# They hold the plug-in and its data. The daemon is the Python package matte-nodes: the user installs
# it and runs `matte install obs` with the built plug-in, which needs no compiler.
set -eu
binary=$(realpath "$1") folder=$(realpath -m "$2") version=$3
here=$(dirname "$(dirname "$(realpath "$0")")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"

name=matte-nodes-obs
debian=$(dpkg --print-architecture)
root="$work/deb"
mkdir -p "$root/DEBIAN" "$root/usr/lib/$name" "$root/usr/share/doc/$name"
install -m 644 "$binary" "$root/usr/lib/$name/matte-nodes.so"
install -m 644 "$here/LICENSE" "$root/usr/share/doc/$name/copyright"
cat > "$root/usr/share/doc/$name/README" <<TEXT
Each user runs, once and after an update of matte-nodes:
    matte install obs --binary /usr/lib/$name/matte-nodes.so
TEXT
cat > "$root/DEBIAN/control" <<TEXT
Package: $name
Version: $version
Section: video
Priority: optional
Architecture: $debian
Depends: obs-studio, libc6 (>= 2.34)
Maintainer: The matte-nodes authors <matte-nodes@localhost>
Description: Plug-in of OBS that shows the camera without the room
 The built plug-in. The Python package matte-nodes does the work, and puts the
 plug-in into the user's folder: see /usr/share/doc/$name/README.
TEXT
dpkg-deb --root-owner-group --build "$root" "$folder/${name}_${version}_$debian.deb" > /dev/null

tar_root="$work/$name-$version"
mkdir -p "$tar_root"
install -m 644 "$binary" "$tar_root/matte-nodes.so"
install -m 644 "$here/LICENSE" "$tar_root/LICENSE"
cat > "$tar_root/install.sh" <<'TEXT'
#!/bin/sh
# Puts the built plug-in where OBS finds it, by the matte-nodes of this user.
set -eu
here=$(dirname "$(realpath "$0")")
matte=${MATTE:-matte}
command -v "$matte" > /dev/null || {
    echo "matte is not here. Install it first: pip install matte-nodes. Or name it: MATTE=/path/to/matte $0" >&2
    exit 1
}
exec "$matte" install obs --binary "$here/matte-nodes.so" "$@"
TEXT
chmod 755 "$tar_root/install.sh"
tar -C "$work" --owner=0 --group=0 -czf "$folder/$name-$version-linux-$(uname -m).tar.gz" "$name-$version"
