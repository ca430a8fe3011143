#!/bin/sh
# Runs the client; client.php says what it reads of the environment.
set -eu
exec php "$(dirname -- "$0")/client.php"
