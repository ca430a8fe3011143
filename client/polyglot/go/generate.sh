#!/bin/sh
# Generates the stubs into gen/stubs, a module that go.mod maps to their import path. go.mod pins
# the two generators; protoc is Debian's.
set -eu
cd "$(dirname -- "$0")"
export PATH="/usr/local/go/bin:$PATH"
gen=$PWD/gen module=token-authority.internal

mkdir -p "$gen/stubs"
printf 'module %s\n\ngo 1.26.0\n' "$module" >"$gen/stubs/go.mod"
GOBIN=$gen/bin go install tool
cd ../../../protos
protoc --descriptor_set_in=token_authority.binpb \
    --plugin="$gen/bin/protoc-gen-go" \
    --go_out="$gen/stubs" --go_opt="module=$module" \
    --plugin="$gen/bin/protoc-gen-go-grpc" \
    --go-grpc_out="$gen/stubs" --go-grpc_opt="module=$module" \
    token_authority/v1/*.proto
# The contract with its rules, and the retry policy: the program embeds them.
cp token_authority.rules.binpb ../client/service_config.json "$gen"
