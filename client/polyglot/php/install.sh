#!/bin/sh
# Installs PHP with curl and protobuf, and protoc, on Debian 12, as root, where they are missing. The
# versions are the release's. Its last line names the toolchain.
set -eu
packages="php-cli php-curl php-google-protobuf protobuf-compiler"
# shellcheck disable=SC2086 # a list
if ! dpkg -s $packages >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends $packages
fi
curl=$(php -r 'echo curl_version()["version"];')
echo "PHP $(php -r 'echo PHP_VERSION;'), curl $curl, protoc $(protoc --version | sed "s/.* //")"
