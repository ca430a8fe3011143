#!/bin/sh
# Generates the stubs into gen/. go.mod pins the two generators; protoc is Debian's.
set -eu
cd "$(dirname -- "$0")"
export PATH="/usr/local/go/bin:$PATH"
gen=$PWD/gen

mkdir -p "$gen"
GOBIN=$gen/bin go install tool
cd ../../../protos
protoc --descriptor_set_in=token_authority.binpb \
    --plugin="$gen/bin/protoc-gen-go" --go_out="$gen" \
    --plugin="$gen/bin/protoc-gen-go-grpc" --go-grpc_out="$gen" \
    token_authority/v1/*.proto
# The contract with its rules, which the program embeds.
cp token_authority.rules.binpb "$gen"
