#!/bin/sh
# Generates gen/ from the contract's image. The services' stubs need a plugin that only .NET's
# packages have, in Grpc.Tools: they are made where it is on PATH.
set -eu
cd "$(dirname -- "$0")"
gen=$PWD/gen
rm -rf gen
mkdir gen
if plugin=$(command -v grpc_csharp_plugin); then
    set -- "--plugin=protoc-gen-grpc=$plugin" --grpc_out="$gen"
fi
cd ../../../protos
protoc --descriptor_set_in=token_authority.binpb --csharp_out="$gen" "$@" token_authority/v1/*.proto
