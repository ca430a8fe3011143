#!/bin/sh
# Runs the client; TOKEN_AUTHORITY_TARGET, _CA and _API_KEY say where the server is.
set -eu
exec "$(dirname -- "$0")/target/debug/token-authority-client"
