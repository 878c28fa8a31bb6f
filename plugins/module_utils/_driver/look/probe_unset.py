# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a reload of this boot took away and nobody has set again. Reads only. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import typing as t

from ..._errors import AccelError
from ..._files import Files
from ..._settings import kept, kept_devices


def unset(files: Files) -> t.Tuple[str, ...]:
    """One sentence for each. A file that is none of ours tells nothing; the change that finds it says so."""
    found: t.List[str] = []
    for told in (kept.unset, kept_devices.unset):
        with contextlib.suppress(AccelError, OSError, KeyError, TypeError):
            found += told(files)
    return tuple(found)
