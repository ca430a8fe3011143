#!/bin/sh
# Installs protoc and Mono's C# compiler on Debian 12, as root, where they are missing: enough to
# generate and to check the syntax. Debian has neither .NET nor grpc for it, and this script takes
# nothing from elsewhere, so it ends with 1. The last line names what there is.
set -eu
packages="mono-mcs protobuf-compiler"
# shellcheck disable=SC2086 # a list
if ! dpkg -s $packages >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends $packages
fi
version() { "$1" --version | sed 's/.* //'; }
echo ".NET and its packages; syntax by Mono's mcs $(version mcs), protoc $(version protoc)"
exit 1
