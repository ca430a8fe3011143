#!/bin/sh
# Starts the units of server/deploy/systemd under a real systemd and tests them (run_systemd.py).
#
# A fresh Debian 12 gets the release of dist/, installed and configured by the blocks of
# server/OPERATIONS.md, and boots in namespaces and a control group of its own. It sees no file,
# mount, process, device or network of this machine, and cannot change its clock, kernel settings or
# modules. Needs root, debootstrap, util-linux, overlayfs and control groups v2. `make systemd` calls
# it. TOKEN_AUTHORITY_SYSTEMD_WORK is a folder that keeps the Debian for the next run.
set -eu
repository=$(cd "$(dirname -- "$0")/../.." && pwd)
tests=$repository/tests/deploy
python=$repository/.venv/bin/python

# Runs as PID 1 of all namespaces but the network's: the installation downloads packages.
inside() {
    mount -t tmpfs -o mode=755 tmpfs "$work/live"
    cd "$work/live"
    mkdir upper work root
    mount -t overlay -o "lowerdir=$work/base,upperdir=upper,workdir=work" overlay root
    cd root
    mount -t proc -o nosuid,nodev,noexec proc proc
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro,nosuid,nodev,noexec proc/sys
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
    mount -t tmpfs -o nosuid,mode=755 tmpfs dev
    for device in null:3 zero:5 full:7 random:8 urandom:9; do
        mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"
    done
    mknod -m 666 dev/tty c 5 0
    ln -s /proc/self/fd dev/fd
    ln -s pts/ptmx dev/ptmx
    mkdir dev/pts
    mount -t devpts -o newinstance,nosuid,noexec,ptmxmode=666,mode=620,gid=5 devpts dev/pts
    for folder in dev/shm run tmp; do
        mkdir -p "$folder"
        mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$folder"
    done
    chmod 755 run

    cp -r "$repository"/dist/agora-token-authority-* srv/release
    . "$repository/tests/debian.sh"
    share_registries . srv
    "$python" "$tests/run_systemd.py" install >srv/install.sh
    # shellcheck disable=SC2046  # one variable a line, without spaces
    chroot . env -i $(cat srv/environment) HOME=/srv PATH=/usr/bin:/bin sh -eu /srv/install.sh
    exec unshare --net "$tests/systemd.sh" boot
}

# Leaves this machine's files behind, and becomes systemd.
boot() {
    mkdir old
    pivot_root . old
    umount --lazy /old
    rmdir /old
    mount --make-rshared /  # systemd moves mounts of its services between namespaces
    # Without this, its systemd would clear the /tmp of this machine.
    if [ "$(cut -d ' ' -f 5 /proc/self/mountinfo | sort | xargs)" != \
        "/ /dev /dev/pts /dev/shm /proc /proc/sys /run /sys /sys/fs/cgroup /tmp" ]; then
        echo "other mounts than expected:" >&2
        cat /proc/self/mountinfo >&2
        exit 1
    fi
    exec env -i container=token-authority PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv \
        --bounding-set=-sys_module,-sys_time,-sys_rawio,-syslog,-mac_admin,-mac_override,-wake_alarm,-block_suspend,-sys_pacct \
        /lib/systemd/systemd --system --unit=multi-user.target
}

case ${1-} in
inside) inside ;;
boot) boot ;;
esac

if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    echo "this needs root and debootstrap" >&2
    exit 2
fi
kept=${TOKEN_AUTHORITY_SYSTEMD_WORK-}
work=${kept:-$(mktemp -d /var/tmp/token-authority-systemd.XXXXXX)}
export work
hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
cgroup=$hierarchy/token-authority-systemd.$$
end() {
    echo 1 >"$cgroup/cgroup.kill"
    until find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.1; done
    [ -n "$kept" ] || rm -rf --one-file-system "$work"
}
mkdir -p "$work/live"
if [ ! -x "$work/base/usr/bin/systemctl" ]; then
    echo "==> bookworm with python3, python3-venv, openssl, curl and systemd"
    . "$repository/tests/debian.sh"
    rm -rf --one-file-system "$work/base"
    mkdir "$work/base"
    new_debian bookworm python3,python3-venv,openssl,curl,ca-certificates,systemd-sysv,dbus "$work/base"
fi
echo "==> installation and configuration of server/OPERATIONS.md"
mkdir "$cgroup"
trap end EXIT
trap 'exit 1' INT TERM
sh -c 'echo $$ >"$1/cgroup.procs" && exec unshare --mount --pid --fork --kill-child=KILL --uts \
    --ipc --cgroup "$2" inside' sh "$cgroup" "$0" &
until systemd=$(head -n 1 "$cgroup/init.scope/cgroup.procs" 2>/dev/null) && [ -n "$systemd" ]; do
    kill -0 $! || exit 1
    sleep 0.2
done
"$python" "$tests/run_systemd.py" test "$systemd"
