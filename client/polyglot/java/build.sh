#!/bin/sh
# Builds target/ from clean sources; Maven keeps its packages in ~/.m2.
set -eu
cd "$(dirname -- "$0")"
mvn --batch-mode --quiet clean package
