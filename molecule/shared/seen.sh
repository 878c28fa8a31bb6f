#!/bin/sh
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything by which a node could remember a driver, a line each: what is equal before the installation and after the
# removal has left nothing behind. What package managers keep for themselves (indexes, logs, caches) is not in it, nor the
# key that DKMS made for itself, which firmware may know by then, nor what the lab's stand-in of versionlock copied there.
export LC_ALL=C
{
    # rc: files that a removed package left
    dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed 's/^/deb /'
    apt-mark showhold | sed 's/^/apt hold /'
    # keys are packages of rpm's database too
    ! command -v rpm || rpm -qa | sed 's/^/rpm /'
    ! command -v zypper || zypper -q locks | sed -n 's/^[0-9]* *| */zypper lock /p'
    ! command -v dnf || find /etc/dnf/modules.d -type f -exec cat {} + | sed -n 's/^stream=./dnf module &/p'
    lsmod | sed -n 's/^\(nvidia[^ ]*\).*/module \1/p'
    find /etc /usr/lib/systemd /usr/share/keyrings ! -type d ! -empty ! -name ld.so.cache ! -name '*-' \
        ! -path '/etc/accel-lab/*' ! -path '/etc/dnf/modules.d/*' ! -name versionlock.conf \
        -exec sha256sum {} + | awk '{print "file", $2, $1}'
    find /usr/lib/modules /usr/src /usr/lib/firmware /var/lib/dkms /boot /var/lib/accel-gpu /usr/lib/accel-gpu ! -type d \
        ! -path '/var/lib/dkms/mok.*' |
        sed 's/^/there /'
    for image in /boot/initrd.img-* /boot/initramfs-*; do
        [ ! -e "$image" ] || lsinitramfs "$image" | sed -n "s|.*nvidia.*|in $image: &|p"
    done
} 2>/dev/null | sort
