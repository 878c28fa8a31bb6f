# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why DKMS could not build a module. PRIVATE to the collection.

The package's script only names a log, and the way back takes that log away with the package.
"""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from ..._errors import AccelError
    from ..._files import Files

# dkms 3.0.10 and 3.2.2 say it alike
_LOG = re.compile(r"Consult (/\S+/make\.log) for more information")
_TELLING = re.compile(r"\berror:|\*\*\*|No such file or directory|No space left on device")
_SHOWN = 3


def explained(error: AccelError, files: Files) -> AccelError:
    """The error with the first lines of the log that tell of one; as it was where there is no such log."""
    found = _LOG.search(f"{error.facts.get('detail') or ''} {error.message}")
    text = files.read_text(found[1]) if found else None
    lines = [" ".join(line.split()) for line in (text or "").splitlines() if _TELLING.search(line)][:_SHOWN]
    if not lines:
        return error
    return type(error)(f"{error.message}; the build's log begins to fail with: {' / '.join(lines)}", **error.facts)
