#!/bin/sh
# Runs `make run`, `make check` and `make test` as an ordinary user on a fresh Debian that has only
# what README.md asks for:
#
#   bare_machine.sh [SUITE [PYTHON [TARGET...]]]
#
# SUITE is a Debian release (bookworm, whose Python is 3.11.2), PYTHON the interpreter's package
# (python3), TARGET a make target: run, check and test, or `smoke` for a part of the tests that takes
# a minute. Needs root, debootstrap and 6 GB under TMPDIR. It tests the last commit, in a chroot that
# shares this machine's network and its settings for pip, npm, proxies and certificates. Ends with 0
# if every target does.
set -eu
repository=$(cd "$(dirname -- "$0")/.." && pwd)
suite=${1:-bookworm} python=${2:-python3}
. "$repository/tests/debian.sh"
shift "$(($# < 2 ? $# : 2))"
targets=${*:-run check test}

if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    echo "this needs root and debootstrap" >&2
    exit 2
fi
# In namespaces, so that all mounts and processes inside end with this script.
if [ -z "${BARE_MACHINE_ROOT-}" ]; then
    BARE_MACHINE_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/bare-machine.XXXXXX")
    export BARE_MACHINE_ROOT
    # shellcheck disable=SC2086  # a list of targets
    unshare --mount --pid --fork --kill-child "$0" "$suite" "$python" $targets &
    trap 'kill -KILL $! 2>/dev/null || true; rm -rf --one-file-system "$BARE_MACHINE_ROOT"' EXIT
    trap 'exit 1' INT TERM
    wait $!
    exit
fi
root=$BARE_MACHINE_ROOT
home=$root/home/builder

echo "==> $suite with $python, python3-venv, make, git and ca-certificates in $root"
# debootstrap wants a file system that permits devices.
mount --bind -o dev,exec "$root" "$root"
new_debian "$suite" "$python,$python-venv,make,git,ca-certificates" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"
chroot "$root" useradd --create-home builder
share_registries "$root" "$home"
git clone --quiet --no-hardlinks "$repository" "$home/repository"
chroot "$root" chown -R builder: /home/builder

as_user() {
    # shellcheck disable=SC2046  # one variable a line, without spaces
    chroot --userspec=builder:builder "$root" env -i $(cat "$home/environment") HOME=/home/builder \
        PATH=/usr/bin:/bin LANG=C.UTF-8 CI=1 PYTHON="$python" sh -euc "cd ~/repository; $1"
}

serve_once() {
    # The server is asked for a token, then stopped: make ends with the server's exit code.
    as_user '
        make run >~/run.log 2>&1 & make=$!
        waited=0
        until .venv/bin/token-authority whoami >/dev/null 2>&1; do
            kill -0 $make && [ $((waited += 1)) -lt 300 ] || { cat ~/run.log; exit 1; }
            sleep 1
        done
        .venv/bin/token-authority issue rtc --channel c --uid 7 --role publisher >/dev/null 2>&1
        kill -TERM $(cat /proc/$make/task/$make/children)
        wait $make'
}

failed=
for target in $targets; do
    started=$(date +%s)
    case $target in
    run) serve_once ;;
    smoke) as_user 'make .venv/dev.stamp && .venv/bin/pytest -q tests/formats tests/client' ;;
    *) as_user "make $target" ;;
    esac && ended=0 || ended=$?
    echo "==> $suite, $python: make $target ended with $ended after $(($(date +%s) - started)) s"
    [ "$ended" = 0 ] || failed="$failed $target"
done
[ -z "$failed" ]
