#!/bin/sh
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#
# Runs after the one of the plain node: a node of SLES 15, as far as zypper and rpm can tell.
set -eu

cat >/usr/lib/os-release <<'END'
NAME="SLES"
VERSION="15-SP6"
VERSION_ID="15.6"
PRETTY_NAME="SUSE Linux Enterprise Server 15 SP6"
ID="sles"
ID_LIKE="suse"
END

# What rpm must know of the Debian underneath, and what such a node has before any driver comes.
rpm --initdb
set -- /srv/accel-lab/repos/family/lab-base-*.rpm /srv/accel-lab/repos/family/dkms-*.rpm \
    /srv/accel-lab/repos/family/mokutil-*.rpm
for file in /srv/accel-lab/repos/family/kernel-*.rpm; do
    case $file in *-lab_amd64.*) ;; *) set -- "$@" "$file" ;; esac
done
# Debian's rpm says each time that it is not the way there
rpm --install --quiet "$@" 2>&1 | grep -v '^rpm: ' || true
rpm --query lab-base dkms mokutil kernel-core kernel-devel >/dev/null
ldconfig
systemctl --quiet enable accel-lab-repos.service
