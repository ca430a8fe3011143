#!/bin/sh
# Generates everything that is derived from the .proto files:
#
#   generate.sh IMAGES STUBS
#
# the descriptor images into the folder IMAGES; the Python stubs and REFERENCE.md into STUBS. Needs
# the environment of protos/requirements.lock on PATH (`make proto`).
set -eu
protos=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
images=$1 stubs=$2

# Only protovalidate's source distribution contains buf/validate/validate.proto. Use the version that
# the server is locked to, verified against the lock's hashes.
third_party=$protos/.third_party
lock=$(sed -n '/^protovalidate==/,/[^\\]$/p' "$protos/../server/requirements.lock")
if [ "$lock" != "$(cat "$third_party/lock" 2>/dev/null)" ]; then
    rm -rf "$third_party"
    mkdir -p "$third_party/download"
    printf '%s\n' "$lock" >"$third_party/download/requirements.lock"
    pip download --quiet --no-deps --no-binary protovalidate --require-hashes \
        --dest "$third_party/download" --requirement "$third_party/download/requirements.lock"
    tar -xzf "$third_party"/download/protovalidate-*.tar.gz -C "$third_party/download"
    mkdir -p "$third_party/buf/validate"
    cp "$third_party"/download/protovalidate-*/proto/buf/validate/validate.proto \
        "$third_party/buf/validate/"
    rm -rf "$third_party/download"
    printf '%s\n' "$lock" >"$third_party/lock"
fi

mkdir -p "$images" "$stubs"
buf build "$protos" --path "$protos/token_authority" --as-file-descriptor-set --output - |
    python "$protos/images.py" "$images/token_authority"
python "$protos/reference.py" "$images/token_authority.rules.binpb" >"$stubs/REFERENCE.md"

# The stubs contain no rules: a client needs protobuf and grpcio, not protovalidate.
cd "$protos"
python -m grpc_tools.protoc --descriptor_set_in="$images/token_authority.binpb" \
    --python_out="$stubs" --mypy_out="quiet:$stubs" token_authority/v1/*.proto
python -m grpc_tools.protoc --descriptor_set_in="$images/token_authority.binpb" \
    --grpc_python_out="$stubs" --mypy_grpc_out="quiet:$stubs" token_authority/v1/*_service.proto
touch "$stubs/token_authority/py.typed"
