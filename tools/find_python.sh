#!/bin/sh
# Prints the interpreter that the development environment is made with: the newest of 3.12 to 3.14 that really starts.
# A shim may be on PATH and not start, and Debian's python3 comes without ensurepip; so every candidate is started.
# Order of places: $PYTHON, PATH, pyenv's versions folder, apt. With only 3.11 the caller falls back to ansible-core 2.19.
set -u

say() { echo "environment: $*" >&2; }

starts() { # interpreter, wanted version; that of a virtual environment (.venv may be on PATH, a shim may lead to it) is none
    "$1" -c "import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '$2' or sys.prefix != sys.base_prefix)" \
        >/dev/null 2>&1
}

on_path() { # version: every pythonX.Y on PATH and python3 itself, not only the first of each name
    old_ifs=$IFS
    IFS=:
    for folder in $PATH; do
        for name in "python$1" python3; do
            [ -x "$folder/$name" ] && starts "$folder/$name" "$1" && echo "$folder/$name" && IFS=$old_ifs && return 0
        done
    done
    IFS=$old_ifs
    return 1
}

in_pyenv() { # version
    root=$(pyenv root 2>/dev/null) || root=${PYENV_ROOT:-$HOME/.pyenv}
    for folder in $(printf '%s\n' "$root/versions/$1".* | sort -t. -k3 -rn); do
        starts "$folder/bin/python$1" "$1" && echo "$folder/bin/python$1" && return 0
    done
    return 1
}

find_one() { # versions, newest first
    for version in "$@"; do on_path "$version" && return 0; done
    for version in "$@"; do in_pyenv "$version" && return 0; done
    return 1
}

if [ -n "${PYTHON:-}" ]; then
    "$PYTHON" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$PYTHON" && exit 0
    say "PYTHON=$PYTHON does not start, is older than 3.11 or has no venv and ensurepip; name another interpreter"
    exit 1
fi

find_one 3.14 3.13 3.12 && exit 0

# apt's python3 is complete only together with python3-venv.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    system=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
    if ! starts /usr/bin/python3 "${system:-none}"; then
        say "installing Debian's python3 and python3-venv"
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends python3 python3-venv; } \
            >/dev/null || say "apt could not install them"
        find_one 3.14 3.13 3.12 && exit 0
    fi
fi

find_one 3.11 && exit 0
say "no Python of 3.12 to 3.14 starts here (looked on PATH, in pyenv's versions folder, at apt's python3)." \
    "Install one together with its venv module, for example with: apt-get install python3 python3-venv"
exit 1
