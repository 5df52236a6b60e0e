#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The bundle of a plug-in that was built on macOS: `plugins/obs/packaging/macos.sh BINARY FOLDER VERSION`
# writes a tarball into FOLDER. NEVER RUN ON MACOS; no package is signed or notarised.
set -eu
binary=$(realpath "$1") version=$3
mkdir -p "$2"
folder=$(realpath "$2")
plugin=$(dirname "$(dirname "$(realpath "$0")")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
name="matte-nodes-obs-$version"
contents="$work/$name/matte-nodes.plugin/Contents"
mkdir -p "$contents/MacOS" "$contents/Resources"
cp "$binary" "$contents/MacOS/matte-nodes"
cp -R "$plugin/data/." "$contents/Resources/"
cp "$plugin/LICENSE" "$contents/Resources/LICENSE.txt"
cat > "$contents/Info.plist" <<TEXT
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>CFBundleIdentifier</key><string>matte-nodes.obs</string>
<key>CFBundleName</key><string>matte-nodes</string>
<key>CFBundleExecutable</key><string>matte-nodes</string>
<key>CFBundlePackageType</key><string>BNDL</string>
<key>CFBundleShortVersionString</key><string>$version</string>
<key>CFBundleVersion</key><string>$version</string>
</dict></plist>
TEXT
# Apple's processors run nothing without a signature: one of no name, for this machine's own use.
if command -v codesign > /dev/null; then
    codesign --force --sign - "$work/$name/matte-nodes.plugin"
fi
tar -C "$work" -czf "$folder/$name-macos.tar.gz" "$name"
