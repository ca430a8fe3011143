#!/bin/sh
# Installs Java 17 and Maven on Debian 12, as root, where they are missing; pom.xml pins the rest.
# The last line names the toolchain.
set -eu
if ! command -v javac >/dev/null || ! command -v mvn >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends openjdk-17-jdk-headless maven
fi
pinned() { sed -n "s:.*<$1.version>\(.*\)</$1.version>:\1:p" "$(dirname -- "$0")/pom.xml"; }
maven=$(mvn --version | sed -n 's/.*Apache Maven \([0-9.]*\).*/\1/p')
java=$(javac -version | sed 's/.* //')
echo "Java $java, Maven $maven, grpc $(pinned grpc), protoc $(pinned protobuf)"
