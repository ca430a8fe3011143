#!/bin/sh
# Installs Node.js and npm from Debian 12, where there is none of 18 or newer.
set -eu
has() { node --version 2>/dev/null | tr -d v; }
if [ "$(printf '%s\n' 18 "$(has)" | sort -V | head -n 1)" != 18 ] || ! command -v npm >/dev/null; then
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends nodejs npm
fi
echo "Node.js $(has)"
