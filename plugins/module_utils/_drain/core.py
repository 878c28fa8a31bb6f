# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The core of gpu_drain: parse, read, plan, apply. PRIVATE to the collection."""

from __future__ import annotations

from .apply import apply, read
from .parse import parse
from .plan import plan

__all__ = ("apply", "parse", "plan", "read")
