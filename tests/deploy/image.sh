#!/bin/sh
# Builds the image of server/deploy/Dockerfile on a Debian base and runs its root as a container
# runtime would: as user 65532, read-only, as PID 1 of its own namespaces, under a memory limit.
# Needs root, debootstrap, buildah and util-linux. `make image` calls it. With an argument, it packs
# the image as an OCI archive into that file (`make oci`).
set -eu
cd "$(dirname -- "$0")/../.."
archive=${1-}
work=${TOKEN_AUTHORITY_IMAGE_WORK:-$(mktemp -d)}
mkdir -p "$work"
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
buildah="buildah --root $work/storage --runroot $work/run"
# pip's settings of this machine (index, CA) serve the build, and stay out of the image.
set -- --volume /etc/ssl/certs:/etc/ssl/certs:ro
[ ! -f /etc/pip.conf ] || set -- "$@" --volume /etc/pip.conf:/etc/pip.conf:ro
for name in PIP_INDEX_URL PIP_CERT; do
    value=$(printenv "$name" || true)
    [ -z "$value" ] || set -- "$@" --build-arg "$name=$value"
done

if ! $buildah inspect --type image localhost/debian-python > /dev/null 2>&1; then
    echo "==> base: debootstrap bookworm with python3"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
        bookworm "$work/base" > "$work/debootstrap.log"
    tar -C "$work/base" -cf "$work/base.tar" .
    container=$($buildah from scratch)
    $buildah add --quiet "$container" "$work/base.tar" / > /dev/null
    $buildah commit --quiet "$container" localhost/debian-python > /dev/null
    $buildah rm "$container" > /dev/null
fi
echo "==> image: server/deploy/Dockerfile"

$buildah build --quiet --isolation chroot --build-arg BASE=localhost/debian-python "$@" \
    -f server/deploy/Dockerfile -t token-authority . > /dev/null
container=$($buildah from token-authority)
root=$($buildah mount "$container")
trap '$buildah umount "$container" > /dev/null; $buildah rm "$container" > /dev/null' EXIT
du -sh "$root/opt/token-authority" | cut -f1 | sed 's/^/installed: /'

echo "==> run: user 65532, read-only, PID 1, 256 MiB of memory"
python3 tests/deploy/run_image.py "$root" "$work"
if [ -n "$archive" ]; then
    rm -f "$archive"
    $buildah push --quiet token-authority "oci-archive:$archive:token-authority"
    sha256sum "$archive"
fi
