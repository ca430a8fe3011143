#!/bin/sh
# Installs what the TypeScript client needs from Debian 12, where it is missing: Node.js 18 or
# newer, npm, and protoc.
set -eu
has() { node --version 2>/dev/null | tr -d v; }
if [ "$(printf '%s\n' 18 "$(has)" | sort -V | head -n 1)" != 18 ] || ! command -v npm >/dev/null; then
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends nodejs npm
fi
if ! command -v protoc >/dev/null; then
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends protobuf-compiler
fi
cd "$(dirname -- "$0")"
typescript=$(sed -n 's/.*"typescript": "\(.*\)".*/\1/p' package.json)
echo "Node.js $(has), TypeScript $typescript, protoc $(protoc --version | sed 's/.* //')"
