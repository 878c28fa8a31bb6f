#!/bin/sh
# What the lab needs on this machine beyond Python: a compiler, mmdebstrap for the node image, Docker, shellcheck.
# Installed where that is possible without asking (root on a Debian-family system); otherwise one sentence says what to do.
set -u
cd "$(dirname "$0")/.." || exit 2

installable() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

missing=
need() { # command, package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need gcc gcc
[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
need make make
need git git
need mmdebstrap mmdebstrap
# A client alone starts nothing: without a daemon that answers, or another one named, the daemon is needed here too.
if command -v docker >/dev/null 2>&1 && { [ -n "${DOCKER_HOST:-}" ] || docker info >/dev/null 2>&1; }; then :; else
    need docker docker.io
    need dockerd docker.io
fi
# Worth having, not worth a refusal: lint says when it is left out.
installable && need shellcheck shellcheck
[ -z "$missing" ] && exit 0

if ! installable; then
    echo "host: missing here:$missing; install these packages (Debian's names), or run this once as root on a Debian-family system" >&2
    exit 1
fi
log=.build/host_packages.log
mkdir -p .build
install() {
    DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends "$@" >>"$log" 2>&1 </dev/null && return
    tail -n 15 "$log" >&2
    echo "host: apt could not install $*; its whole output is in $log" >&2
    exit 1
}

echo "host: installing Debian's$missing"
apt-get -q update >"$log" 2>&1 </dev/null
# shellcheck disable=SC2086  # a list of words
install $missing
# From Debian 13 on the command is a package of its own.
command -v docker >/dev/null 2>&1 || install docker-cli
echo "host: installed"
