#!/bin/sh
# A Docker daemon that answers. Started here if that is possible without asking; also where systemd is not PID 1.
set -u

answers() { docker info >/dev/null 2>&1; }

command -v docker >/dev/null 2>&1 && answers && exit 0

if [ -z "${DOCKER_HOST:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    mkdir -p .build
    log=$PWD/.build/dockerd.log
    if ! command -v dockerd >/dev/null 2>&1; then
        echo "docker: installing docker.io"
        if ! { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends docker.io iptables; } >"$log" 2>&1 </dev/null; then
            tail -n 15 "$log" >&2
            echo "docker: apt could not install docker.io; its whole output is in $log" >&2
            exit 1
        fi
    fi
    if [ -d /run/systemd/system ]; then
        echo "docker: starting docker.service"
        systemctl start docker.service
    elif ! answers; then
        echo "docker: starting dockerd, its log is .build/dockerd.log"
        setsid dockerd >>"$log" 2>&1 </dev/null &
    fi
    waited=0
    while [ $waited -lt 60 ]; do
        answers && exit 0
        sleep 1
        waited=$((waited + 1))
    done
    tail -n 15 "$log" >&2
    echo "docker: dockerd was started and does not answer after 60 seconds; its log is $log" >&2
    exit 1
fi

reason=$(docker info 2>&1 | tail -n 1)
echo "docker: no daemon answers (${reason:-the command docker is missing}). Install and start Docker and let this user reach it" \
    "(group docker), or run this as root on a Debian-family system, where it is done for you." >&2
exit 1
