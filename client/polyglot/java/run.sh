#!/bin/sh
# Runs the client; TOKEN_AUTHORITY_TARGET, _CA and _API_KEY say where the server is.
set -eu
target=$(dirname -- "$0")/target
exec java -cp "$target/classes:$target/lib/*" example.Client
