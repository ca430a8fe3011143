#!/bin/sh
# Copies what the client reads when it starts: JavaScript needs no stubs, @grpc/proto-loader reads the
# image.
set -eu
cd "$(dirname -- "$0")"
mkdir -p gen
cp ../../../protos/token_authority.binpb ../../service_config.json gen/
