#!/bin/sh
# Install what the tests need from the system, where that is allowed (Debian, as root).
# Elsewhere those tests are skipped and say so. `scripts/hosts.sh soak` installs more.
set -eu
wanted="libgl1 libglib2.0-0 tcl"
# OBS without a screen, and what its plug-in is built with.
wanted="$wanted obs-studio obs-plugins libobs-dev xvfb xauth x11-utils libgl1-mesa-dri cmake make pkg-config gcc libc6-dev"
# Blender, the libraries of bpy, and somebody who presses keys.
wanted="$wanted blender xdotool libsm6 libxrender1 libxi6 libxfixes3 libxkbcommon0 libegl1"
# A browser for the pages; a program that opens our movies.
wanted="$wanted chromium ffmpeg"
# OBS's packages for Windows and Flatpak, and newer releases of OBS in roots of their own.
[ "${1:-}" != soak ] || wanted="$wanted gcc-mingw-w64-x86-64 nsis zip flatpak-builder mmdebstrap"
[ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] || { echo "hosts: not Debian as root, nothing installed"; exit 0; }
missing=""
for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
echo "hosts: installing$missing"
# Without a mirror nothing is lost but the tests of those hosts, which are then skipped.
# shellcheck disable=SC2086
apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    echo "hosts: these could not be installed; their tests will be skipped"
