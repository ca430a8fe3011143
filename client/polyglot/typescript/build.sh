#!/bin/sh
# Compiles into build/, strictly. generate.sh has installed what package-lock.json says.
set -eu
cd "$(dirname -- "$0")"
node_modules/.bin/tsc
