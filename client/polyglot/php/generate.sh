#!/bin/sh
# Writes the messages into gen/. Debian's php-google-protobuf needs the output of Debian's own
# protoc, so the version is the release's: 3.21.
set -eu
cd "$(dirname -- "$0")"
protos=../../../protos
rm -rf gen && mkdir gen
sources=$(cd "$protos" && echo token_authority/v1/*.proto)
# shellcheck disable=SC2086 # a list
protoc --descriptor_set_in="$protos/token_authority.binpb" --php_out=gen \
    google/rpc/status.proto google/rpc/error_details.proto \
    $sources
