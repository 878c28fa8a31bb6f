#!/usr/bin/python3
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show the instances that exist now in /proc/driver/nvidia/capabilities; a real driver does it at once."""

from __future__ import annotations

import modules
import sim

if modules.loaded("nvidia"):
    modules.write_capabilities(sim.gpus())
