#!/bin/sh
# Generates gen/ from the contract's image, with Debian's protoc: its output must fit Debian's
# libprotobuf.
set -eu
cd "$(dirname -- "$0")"
root=$PWD/../../..
gen=$PWD/gen
rm -rf gen
mkdir -p gen/google

cd "$root/protos"
protoc --descriptor_set_in=token_authority.binpb --cpp_out="$gen" token_authority/v1/*.proto
protoc --descriptor_set_in=token_authority.binpb --grpc_out="$gen" \
    --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" token_authority/v1/*_service.proto

# The details of a refusal are google.rpc messages, which no C++ package of Debian has: take their
# .proto files from where the Python client has them, checked against its lock's hashes.
cd "$gen"
sed -n '/^googleapis-common-protos==/,/[^\\]$/p' "$root/server/requirements.lock" >requirements.lock
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes --requirement requirements.lock
python3 -m zipfile -e googleapis_common_protos-*.whl wheel
protoc --proto_path=wheel --cpp_out=. \
    google/rpc/code.proto google/rpc/error_details.proto google/rpc/status.proto

# Retries, load balancing and health checks, as in all languages.
printf 'constexpr char kServiceConfig[] = R"json(%s)json";\n' \
    "$(cat "$root/client/service_config.json")" >service_config.h
