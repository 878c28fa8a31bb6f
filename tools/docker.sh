#!/bin/sh
# A Docker daemon that answers. Started here if that is possible without asking; also where systemd is not PID 1.
set -u
cd "$(dirname "$0")/.." || exit 2

answers() { docker info >/dev/null 2>&1; }

command -v docker >/dev/null 2>&1 && answers && exit 0

if [ -z "${DOCKER_HOST:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    mkdir -p .build
    log=$PWD/.build/dockerd.log
    tools/host_packages.sh || exit 1
    daemon=
    where="journalctl -u docker.service"
    if [ -d /run/systemd/system ]; then
        echo "docker: starting docker.service"
        systemctl start docker.service
    elif ! answers; then
        echo "docker: starting dockerd, its log is .build/dockerd.log"
        setsid dockerd >>"$log" 2>&1 </dev/null &
        daemon=$!
        where=$log
    fi
    waited=0
    while [ $waited -lt 60 ]; do
        answers && exit 0
        # A daemon that has ended will not answer.
        [ -z "$daemon" ] || kill -0 "$daemon" 2>/dev/null || break
        sleep 1
        waited=$((waited + 1))
    done
    [ -z "$daemon" ] || tail -n 15 "$log" >&2
    echo "docker: the daemon was started and does not answer after $waited seconds; see $where" >&2
    exit 1
fi

reason=$(docker version --format '{{.Server.Version}}' 2>&1 | tail -n 1)
echo "docker: no daemon answers (${reason:-the command docker is missing}). Install and start Docker and let this user reach it" \
    "(group docker), or run this as root on a Debian-family system, where it is done for you." >&2
exit 1
