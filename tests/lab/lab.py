#!/usr/bin/env python
# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start and stop the simulated nodes: lab.py image | up | down | restart | list | exec (see --help)."""

from __future__ import annotations

import sys

from labctl.cli import main

if __name__ == "__main__":
    sys.exit(main())
