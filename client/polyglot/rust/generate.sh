#!/bin/sh
# Generates gen/ from the contract's image, with the versions that Cargo.lock names.
set -eu
cd "$(dirname -- "$0")"
rm -rf gen
mkdir gen
cargo run --quiet --locked --package generate -- ../../../protos/token_authority.binpb gen
