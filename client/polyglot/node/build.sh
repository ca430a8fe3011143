#!/bin/sh
# Installs what package-lock.json says into a fresh node_modules/, and checks the syntax.
set -eu
cd "$(dirname -- "$0")"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
node --check client.js
