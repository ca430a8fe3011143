#!/bin/sh
# Builds build/client from clean sources.
set -eu
cd "$(dirname -- "$0")"
rm -rf build
cmake -S . -B build
cmake --build build
