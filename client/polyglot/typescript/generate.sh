#!/bin/sh
# Generates the stubs into gen/. package-lock.json pins the generator; protoc is Debian's.
set -eu
cd "$(dirname -- "$0")"
gen=$PWD/gen

npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
PATH="$PWD/node_modules/.bin:$PATH"
mkdir -p "$gen"
cd ../../../protos
protoc --descriptor_set_in=token_authority.binpb \
    --es_out="$gen" --es_opt=target=ts,import_extension=js \
    google/rpc/status.proto google/rpc/error_details.proto token_authority/v1/*.proto
# The contract with its rules, which the client reads when it starts.
cp token_authority.rules.binpb ../client/service_config.json "$gen"
