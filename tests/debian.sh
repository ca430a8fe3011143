# shellcheck shell=sh
# Functions that make a Debian in a folder, for scripts that run as root and source this file.

# Installs a release with packages into a folder: new_debian SUITE PACKAGES FOLDER, where PACKAGES are
# separated by commas.
new_debian() {
    # The archive that this machine installs from.
    mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | head -n 1)}
    # Newer suites share the script of sid.
    script=/usr/share/debootstrap/scripts/$1
    [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
    debootstrap --variant=minbase --include="$2" "$1" "$3" "$mirror" "$script" >"$3.log" || {
        tail -n 20 "$3.log" >&2
        return 1
    }
    rm "$3.log"
    chmod 755 "$3"  # as mktemp makes it, only root could enter
}

# Copies how this machine reaches package registries: share_registries FOLDER HOME, where HOME is a
# user's folder in it. Environment variables go to HOME/environment, one a line.
share_registries() {
    cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
    for file in /etc/pip.conf /etc/npmrc "${SSL_CERT_FILE-}" "${PIP_CERT-}" "${NODE_EXTRA_CA_CERTS-}"; do
        if [ -n "$file" ] && [ -f "$file" ]; then
            mkdir -p "$1/$(dirname "$file")"
            cp -L "$file" "$1/$file"
        fi
    done
    for file in .config/pip/pip.conf .pip/pip.conf .config/uv/uv.toml .npmrc; do
        if [ -f "$HOME/$file" ]; then
            mkdir -p "$2/$(dirname "$file")"
            cp -L "$HOME/$file" "$2/$file"
        fi
    done
    env | grep -E '^(PIP|UV|NPM|npm|SSL_CERT)_|^(REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS)=|_(proxy|PROXY)=' |
        grep -v '^PIP_FIND_LINKS=' >"$2/environment" || true
}
