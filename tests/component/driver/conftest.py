# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the tests of the driver on simulated GPUs: those of MIG changes."""

from __future__ import annotations

from ansible_collections.accel.gpu.tests.component.mig.conftest import library_is_built, node, short

__all__ = ["library_is_built", "node", "short"]
