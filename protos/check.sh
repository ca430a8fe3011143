#!/bin/sh
# Holds the contract against its rules: style, compatibility with what was released, and generated
# files that are what generate.sh makes now. Needs the environment of protos/requirements.lock on
# PATH (`make proto-check`).
set -eu
protos=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

"$protos/generate.sh" "$fresh/protos" "$fresh/client"
drift() {
    diff -r -x __pycache__ -x __init__.py "$1" "$2" || {
        echo "$2 is not what its .proto files make: run 'make proto' and commit the result" >&2
        exit 1
    }
}
for image in token_authority.binpb token_authority.rules.binpb; do
    drift "$fresh/protos/$image" "$protos/$image"
done
drift "$fresh/client/token_authority" "$protos/../client/token_authority"
drift "$fresh/client/REFERENCE.md" "$protos/../client/REFERENCE.md"

buf format --diff --exit-code "$protos" --path "$protos/token_authority"
buf lint "$protos" --path "$protos/token_authority"
buf breaking "$protos/token_authority.binpb" --against "$protos/released/v1.binpb" \
    --config "$protos/buf.yaml"
