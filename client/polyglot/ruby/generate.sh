#!/bin/sh
# Writes the stubs into gen/. Debian's ruby-grpc needs the output of Debian's own generators, so
# the versions are the release's: protoc 3.21, grpc 1.51.
set -eu
cd "$(dirname -- "$0")"
protos=../../../protos
rm -rf gen && mkdir gen
sources=$(cd "$protos" && echo token_authority/v1/*.proto)
# google.rpc too: the one that Debian has is too old to know the reason of a violation.
# shellcheck disable=SC2086 # a list
protoc --descriptor_set_in="$protos/token_authority.binpb" --ruby_out=gen --grpc_out=gen \
    --plugin=protoc-gen-grpc="$(command -v grpc_ruby_plugin)" \
    google/rpc/status.proto google/rpc/error_details.proto \
    $sources
cp ../../service_config.json gen/
