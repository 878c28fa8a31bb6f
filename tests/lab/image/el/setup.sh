#!/bin/sh
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#
# Runs after the one of the plain node: a node of the RHEL family, as far as dnf and rpm can tell.
set -eu

cat >/usr/lib/os-release <<'END'
NAME="Rocky Linux"
VERSION="9.6 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.6"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.6 (Blue Onyx)"
END

# What rpm must know of the Debian underneath, and what such a node has before any driver comes.
rpm --initdb
rpm --import /srv/accel-lab/repos/keys/good.asc
set -- /srv/accel-lab/repos/family/lab-base-*.rpm /srv/accel-lab/repos/family/dkms-*.rpm \
    /srv/accel-lab/repos/family/mokutil-*.rpm
for file in /srv/accel-lab/repos/family/kernel-*.rpm; do
    case $file in *-lab_amd64.*) ;; *) set -- "$@" "$file" ;; esac
done
# Debian's rpm says each time that it is not the way there
rpm --install --quiet "$@" 2>&1 | grep -v '^rpm: ' || true
rpm --query lab-base dkms mokutil kernel-core kernel-devel >/dev/null
ldconfig
# A package of its own on RHEL, and a part of this one here: it comes back with that package.
mkdir /usr/lib/accel-lab/versionlock
for path in /etc/dnf/plugins/versionlock.conf /etc/dnf/plugins/versionlock.list \
    /usr/lib/python3/dist-packages/dnf-plugins/versionlock.py; do
    mkdir -p "/usr/lib/accel-lab/versionlock${path%/*}"
    mv "$path" "/usr/lib/accel-lab/versionlock$path"
done
# it writes lists into the node's cache and has words of its own in every transaction
rm -f /usr/lib/python3/dist-packages/dnf-plugins/show_leaves.py
systemctl --quiet enable accel-lab-repos.service
