#!/bin/sh
# Copies the image: JavaScript needs no stubs, @grpc/proto-loader reads it when the client starts.
set -eu
cd "$(dirname -- "$0")"
mkdir -p gen
cp ../../../protos/token_authority.binpb gen/
