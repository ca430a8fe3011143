#!/bin/sh
# Builds build/client. Dependencies are what go.sum says, and come from Go's module cache if there.
set -eu
cd "$(dirname -- "$0")"
export PATH="/usr/local/go/bin:$PATH"

go vet .
go build -mod=readonly -o build/client .
