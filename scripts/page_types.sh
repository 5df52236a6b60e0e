#!/bin/sh
# Check the types of the page's JavaScript with tsc, which npm installs into a folder of the checkout.
set -eu
folder="${1:-.venv/node}"
version="5.9.3"
command -v npm >/dev/null && command -v node >/dev/null || {
    echo "lint: node and npm are not here, so the types of Studio's page were not checked"
    exit 0
}
tsc="$folder/node_modules/.bin/tsc"
if ! [ -x "$tsc" ]; then
    mkdir -p "$folder"
    npm install --silent --no-save --no-audit --no-fund --prefix "$folder" "typescript@$version" || {
        echo "lint: npm could not install typescript, so the types of Studio's page were not checked"
        exit 0
    }
fi
"$tsc" -p matte_nodes/studio/static
