#!/bin/sh
# Runs the client, which prints one JSON object.
set -eu
exec "$(dirname -- "$0")/build/client"
