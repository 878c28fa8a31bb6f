# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which GPUs of a node are not fit for work by the word of their own driver. Pure. PRIVATE to the collection."""

from __future__ import annotations

import typing as t


def ailing(gpus: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """A sentence for each GPU whose driver asks for a recovery (NVML_FI_DEV_GET_GPU_RECOVERY_ACTION). `gpus` are those
    of gpu_info with subset health; older drivers have no such action and say nothing."""
    return [
        f"{gpu['uuid']} ({gpu['name']}): its driver asks for {action}"
        for gpu in gpus
        for action in [(gpu.get("health") or {}).get("recovery_action")]
        if action not in (None, "none")
    ]
