#!/bin/sh
# Installs what the Go client needs on a bare Debian 12: protoc, and Go 1.26 or newer. Debian's own
# Go is too old for today's grpc, but it can fetch a newer one, which is a module like any other.
set -eu
export PATH="/usr/local/go/bin:$PATH"
version=1.27.3

if ! command -v protoc >/dev/null; then
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends protobuf-compiler
fi
has() { go version 2>/dev/null | sed 's/.* go\([0-9.]*\).*/\1/'; }
if [ "$(printf '%s\n' 1.26 "$(has)" | sort -V | head -n 1)" != 1.26 ]; then
    apt-get update -qq
    apt-get install -qq --yes --no-install-recommends ca-certificates golang-go
    module=golang.org/toolchain@v0.0.1-go$version.linux-$(go env GOARCH)
    folder=$(cd / && go mod download -json "$module" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    # Files of a module are read-only and carry no execute bits.
    chmod -R u+w "$folder"
    chmod +x "$folder"/bin/* "$folder"/pkg/tool/*/*
    mkdir -p /usr/local/go
    cp -R "$folder"/. /usr/local/go
fi
echo "Go $(has), protoc $(protoc --version | sed 's/.* //')"
