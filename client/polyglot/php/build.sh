#!/bin/sh
# PHP builds nothing: checks the syntax of the client and of the messages.
set -eu
cd "$(dirname -- "$0")"
find . -name '*.php' -print0 | xargs -0 -n 1 php --syntax-check >/dev/null
