#!/bin/sh
# Runs the client; client.rb says what it reads of the environment.
set -eu
exec ruby "$(dirname -- "$0")/client.rb"
