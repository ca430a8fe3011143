#!/bin/sh
# Runs the client, which prints one JSON object.
set -eu
exec node "$(dirname -- "$0")/client.js"
