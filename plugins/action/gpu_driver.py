# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings pynvml to the node for module gpu_driver."""

from __future__ import annotations

from ..plugin_utils._brings import BringsBinding


class ActionModule(BringsBinding):
    module = "accel.gpu.gpu_driver"
