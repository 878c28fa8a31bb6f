#!/bin/sh
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Runs after the one of the plain node: kernel, headers, dkms and the rest are installed as packages.
set -eu

# nothing has started yet that could answer
dpkg --install /srv/accel-lab/repos/installed/*.deb >/dev/null
systemctl --quiet enable accel-lab-repos.service
