#!/bin/sh
# Builds target/ from clean sources; Cargo keeps the packages' own builds there.
set -eu
cd "$(dirname -- "$0")"
cargo clean --quiet --package token-authority-client
cargo build --quiet --locked --package token-authority-client
