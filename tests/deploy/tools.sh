#!/bin/sh
# Builds helm and kube-apiserver (or consul-template, if that is the argument) from the Go module
# proxy into a cache, unless they are there, and prints the cache's folder. Needs Go; the first run
# takes some fifteen minutes (five for consul-template).
set -eu
KUBERNETES=1.37.2
HELM=v3.22.0
CONSUL_TEMPLATE=v0.41.1
tools=${TOKEN_AUTHORITY_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/token-authority-tools}
mkdir -p "$tools"
export GOBIN="$tools" GOFLAGS="-buildvcs=false"
if [ "${1-}" = consul-template ]; then
    if ! [ -x "$tools/consul-template" ]; then
        go install "github.com/hashicorp/consul-template@$CONSUL_TEMPLATE" >&2
    fi
    printf '%s\n' "$tools"
    exit
fi
if ! [ -x "$tools/helm" ]; then
    go install "helm.sh/helm/v3/cmd/helm@$HELM" >&2
fi
if ! [ -x "$tools/kube-apiserver-$KUBERNETES" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    printf 'module build\n\ngo 1.26\n\nrequire k8s.io/kubernetes v%s\n' "$KUBERNETES" > go.mod
    gomod=$(go mod download -json "k8s.io/kubernetes@v$KUBERNETES" |
        sed -n 's/^\t"GoMod": "\(.*\)",*$/\1/p')
    # The staging modules are replaced by folders there; outside, by their published versions.
    sed -n 's/^\t\(k8s.io\/[^ ]*\) => \.\/.*/\1/p' "$gomod" | sort -u |
        sed "s/.*/replace & => & v0.${KUBERNETES#1.}/" >> go.mod
    cat > tools.go <<'GO'
package main

import _ "k8s.io/kubernetes/cmd/kube-apiserver/app"

func main() {}
GO
    GOFLAGS="-buildvcs=false -mod=mod" go build -o "$tools/kube-apiserver-$KUBERNETES" \
        k8s.io/kubernetes/cmd/kube-apiserver >&2
fi
ln -sf "kube-apiserver-$KUBERNETES" "$tools/kube-apiserver"
printf '%s\n' "$tools"
