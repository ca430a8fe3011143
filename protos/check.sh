#!/bin/sh
# Checks the contract: style, compatibility with the released contract, and that the generated files
# are up to date. Needs the environment of protos/requirements.lock on PATH (`make proto-check`).
set -eu
protos=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

"$protos/generate.sh" "$fresh/protos" "$fresh/client"
drift() {
    diff -r -x __pycache__ -x __init__.py "$1" "$2" || {
        echo "$2 is out of date: run 'make proto' and commit the result" >&2
        exit 1
    }
}
for image in token_authority.binpb token_authority.rules.binpb; do
    drift "$fresh/protos/$image" "$protos/$image"
done
# The committed stubs come from the oldest supported grpcio-tools; newer Pythons have no wheel of it.
locked=$(sed -n "s/^grpcio-tools==\([0-9.]*\) ; python_full_version < .*/\1/p" \
    "$protos/requirements.lock")
installed=$(python -c 'import importlib.metadata as m; print(m.version("grpcio-tools"))')
if [ "$installed" = "$locked" ]; then
    drift "$fresh/client/token_authority" "$protos/../client/token_authority"
else
    echo "Python stubs not compared: grpcio-tools is $installed here, and they come from $locked"
fi
drift "$fresh/client/REFERENCE.md" "$protos/../client/REFERENCE.md"

buf format --diff --exit-code "$protos" --path "$protos/token_authority"
buf lint "$protos" --path "$protos/token_authority"
buf breaking "$protos/token_authority.binpb" --against "$protos/released/v1.binpb" \
    --config "$protos/buf.yaml"
