#!/bin/sh
# The dashboard's browser parts: npm fetches what gateway/package-lock.json pins, and the few files needed are copied.
set -eu
cd "$(dirname "$0")/../.."
"${PYTHON:-python3}" -m deploy.local.apt npm
cd gateway
npm ci --ignore-scripts --silent
rm -rf static/vendor && mkdir -p static/vendor/openseadragon
cp node_modules/htmx.org/dist/htmx.min.js node_modules/uplot/dist/uPlot.esm.js node_modules/uplot/dist/uPlot.min.css static/vendor/
cp -r node_modules/openseadragon/build/openseadragon/openseadragon.min.js node_modules/openseadragon/build/openseadragon/images static/vendor/openseadragon/
rm -rf node_modules
touch static/vendor/.done
