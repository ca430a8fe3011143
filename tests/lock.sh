#!/bin/sh
# Locks the newest versions that pyproject.toml allows, with hashes and without registry URLs. Needs
# the environment of tests/requirements.lock (`make lock`).
set -eu
cd "$(dirname -- "$0")/.."
lock() {
    .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate "$@"
}
lock pyproject.toml --extra server --extra redis --extra otel --output-file server/requirements.lock
lock pyproject.toml --extra server --extra redis --extra otel --group dev \
    --output-file tests/requirements.lock
lock --group pyproject.toml:build --constraint tests/requirements.lock \
    --output-file release/requirements.lock
lock --group pyproject.toml:proto --output-file protos/requirements.lock
