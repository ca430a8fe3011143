#!/bin/sh
# Builds grpcurl, which no package registry of Python's has, into a folder:
#
#   grpcurl.sh FOLDER
#
# Needs Go 1.21 or newer, and the Go module proxy once: the checksum database of Go holds the version
# to what everybody else got.
set -eu
version=v1.9.4
go version -m "$1/grpcurl" 2>/dev/null | grep -q "fullstorydev/grpcurl.$version" && exit
GOBIN=$1 go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$version"
