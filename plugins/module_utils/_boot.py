# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which boot of the node is this? What a file says about a boot is void in the next one. PRIVATE to the collection."""

from __future__ import annotations

from ._errors import AccelError
from ._files import Files

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def boot_id(files: Files) -> str:
    text = (files.read_text(_BOOT_ID) or "").strip()
    if not text:
        raise AccelError(f"{_BOOT_ID} cannot be read; is /proc mounted?")
    return text
