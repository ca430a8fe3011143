#!/bin/sh
# Installs a C++ compiler, CMake and grpc with its generators on Debian 12, as root, where they are
# missing. The versions are the release's. The last line names the toolchain.
set -eu
packages="g++ cmake make pkg-config libgrpc++-dev libprotobuf-dev nlohmann-json3-dev protobuf-compiler
    protobuf-compiler-grpc python3-pip"
# shellcheck disable=SC2086 # a list
if ! dpkg -s $packages >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends $packages
fi
echo "g++ $(g++ -dumpfullversion), grpc $(pkg-config --modversion grpc++)," \
    "protoc $(protoc --version | sed 's/.* //')"
