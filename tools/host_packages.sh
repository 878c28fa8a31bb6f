#!/bin/sh
# What the lab needs on this machine beyond Python: a compiler, mmdebstrap for the node image, Docker, shellcheck.
# Installed where that is possible without asking (root on a Debian-family system); otherwise one sentence says what to do.
set -u

missing=
need() { # command, package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need gcc gcc
[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
need make make
need git git
need mmdebstrap mmdebstrap
need docker docker.io
need shellcheck shellcheck
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "host: missing here:$missing; install these packages (Debian's names), or run this once as root on a Debian-family system" >&2
    exit 1
fi
echo "host: installing Debian's$missing"
log=.build/host_packages.log
mkdir -p .build
# shellcheck disable=SC2086  # a list of words
if { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
    echo "host: installed"
else
    tail -n 15 "$log" >&2
    echo "host: apt could not install$missing; its whole output is in $log" >&2
    exit 1
fi
