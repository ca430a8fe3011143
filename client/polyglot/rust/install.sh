#!/bin/sh
# Installs Rust on Debian 12, as root, and the C compiler that its TLS library is built with, where
# they are missing. Cargo.lock pins the rest. The last line names the toolchain.
set -eu
if ! command -v cargo >/dev/null || ! command -v cc >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # tonic needs Rust 1.88 and Debian's own is older; `-web` is the new one that its browsers need.
    apt-get install -qq --yes --no-install-recommends ca-certificates rustc-web cargo-web gcc \
        libc6-dev
fi
lock=$(dirname -- "$0")/Cargo.lock
version() { sed -n "/^name = \"$1\"/{n;s/version = \"\(.*\)\"/\1/p;}" "$lock"; }
echo "Rust $(rustc --version | cut -d ' ' -f 2), tonic $(version tonic), prost $(version prost)"
