#!/bin/sh
# Builds the peers of tests/bench/compare.py from public registries, into build/. Needs Go, Node.js,
# npm and protoc (client/polyglot/go/install.sh and node/install.sh install them).
set -eu
cd "$(dirname -- "$0")"
export PATH="/usr/local/go/bin:$PATH"
../../../client/polyglot/go/generate.sh
(cd go && go build -o ../build/gin ./ginserver && go build -o ../build/go-grpc ./grpcserver)
(cd node && npm ci --silent)
