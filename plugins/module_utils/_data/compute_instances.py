# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Into what a GPU instance can be cut, for planning before it exists. PRIVATE to the collection.

NVML lists compute instance profiles of a live GPU instance only. Once that exists it is asked, and its answer counts.
"""

from __future__ import annotations

import typing as t

# Compute slices of a GPU instance: compute slices that one compute instance can have.
# Source: `nvidia-smi mig -lcip` listings in the NVIDIA MIG User Guide and the A100 tables of NVIDIA/go-nvml's mock.
CUTS: t.Dict[int, t.Tuple[int, ...]] = {
    1: (1,),
    2: (1, 2),
    3: (1, 2, 3),
    4: (1, 2, 4),
    7: (1, 2, 3, 4, 7),
}
