#!/bin/sh
# Installs Ruby, its grpc and the generators on Debian 12, as root, where they are missing. The
# versions are the release's. Its last line names the toolchain.
set -eu
packages="protobuf-compiler ruby ruby-grpc ruby-grpc-tools"
# shellcheck disable=SC2086 # a list
if ! dpkg -s $packages >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends $packages
fi
version() { dpkg-query --show --showformat '${source:Upstream-Version}' "$1"; }
echo "Ruby $(ruby -e 'print RUBY_VERSION'), grpc $(version ruby-grpc), protoc $(version protobuf-compiler)"
