#!/bin/sh
# Runs the tests with the lowest version of every dependency that pyproject.toml allows, in a
# throwaway environment. Transitive dependencies and the tools of the tests are the newest that fit.
# Arguments go to pytest; without any, all tests run but those that build packages, run other
# languages or compare generated code, which do not use these versions. Needs the environment of
# tests/requirements.lock (`make test-lowest`).
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
uv pip compile --python "$python" --resolution lowest-direct --no-header --no-annotate \
    pyproject.toml --extra server --extra redis --extra otel --output-file "$folder/lowest.txt"
uv pip install --python "$python" --requirements "$folder/lowest.txt"
uv pip install --python "$python" --constraints "$folder/lowest.txt" --group dev
uv pip install --python "$python" --no-deps --editable .
# What was compiled is what is tested: nothing of the tests has replaced it.
uv pip freeze --python "$python" --exclude-editable > "$folder/installed.txt"
if grep -vixFf "$folder/installed.txt" "$folder/lowest.txt"; then
    echo "these versions were not installed" >&2
    exit 1
fi
if [ $# -eq 0 ]; then
    set -- -q -n auto --dist worksteal tests --ignore=tests/contract --ignore=tests/differential \
        --ignore=tests/examples --ignore=tests/npm --ignore=tests/packaging --ignore=tests/polyglot
fi
"$python" -m pytest -p no:cacheprovider "$@"
