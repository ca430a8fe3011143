#!/bin/sh
# Runs the tests with the newest version of every dependency that pyproject.toml allows, those of the
# tests included, in a throwaway environment without locks, and prints what is newer than locked.
# Arguments go to pytest; without any, all tests run but those that build packages, run other
# languages or compare generated code, which do not use these versions. Needs the environment of
# tests/requirements.lock (`make test-newest`).
set -eu
cd "$(dirname -- "$0")/.."
folder=$(mktemp -d)
chmod 755 "$folder"  # a test starts Python as another user
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python="$folder/venv/bin/python"
uv() {
    .venv/bin/uv --quiet "$@"
}
uv venv --python .venv/bin/python "$folder/venv"
uv pip install --python "$python" --refresh --requirements pyproject.toml \
    --extra server --extra redis --extra otel --group dev
uv pip install --python "$python" --no-deps --editable .
uv pip freeze --python "$python" --exclude-editable > "$folder/installed.txt"
sed -n 's/^\([A-Za-z0-9._-]*==[^ ]*\).*/\1/p' tests/requirements.lock > "$folder/locked.txt"
echo "other than locked: $(grep -vixFf "$folder/locked.txt" "$folder/installed.txt" | tr '\n' ' ')"
if [ $# -eq 0 ]; then
    set -- -q -n auto --dist worksteal tests --ignore=tests/contract --ignore=tests/differential --ignore=tests/examples \
        --ignore=tests/npm --ignore=tests/packaging --ignore=tests/polyglot
fi
"$python" -m pytest -p no:cacheprovider "$@"
