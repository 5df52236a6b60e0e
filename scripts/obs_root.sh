#!/bin/sh
# A root of a newer Debian with its OBS: obs_root.sh SUITE FOLDER makes FOLDER (1.1 GB; as root, with
# mmdebstrap, from the mirror that apt uses). Nothing of this machine's system is changed.
set -eu
suite=$1 place=$2
[ -e "$place/made" ] && exit 0
rm -rf "$place"
mkdir -p "$(dirname "$place")"
# The mirror may be a frozen one, whose lists are long out of date.
mmdebstrap --quiet --variant=essential --dpkgopt=force-unsafe-io \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
    --include=obs-studio,obs-plugins,libobs-dev,libgl1-mesa-dri,libgl1,libglib2.0-0,cmake,make,gcc,libc6-dev,pkgconf,ca-certificates \
    "$suite" "$place" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
touch "$place/made"
