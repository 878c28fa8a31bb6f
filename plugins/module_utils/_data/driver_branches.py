# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Driver branches of NVIDIA: how long they live and which module flavours they have. PRIVATE to the collection.

Sources: [table 620] and [table 615] are "Supported Drivers and CUDA Toolkit Versions" of NVIDIA Data Center Drivers in
the editions 620 and 615; [guide 620] is "Recent Updates" of the driver installation guide, edition 620 (9 November
2026); [modules] is its page "Kernel Modules".
"""

from __future__ import annotations

import datetime
import typing as t


class Branch(t.NamedTuple):
    """`sort` is LTSB (long term support), PB (production) or NFB (new feature). `end` is the last day of support: a
    page that names a month means its last day. `end` None with `ended`: the branch is over, the day is not published.
    `successor` is the branch that takes over, None for the newest."""

    sort: str
    end: t.Optional[datetime.date]
    ended: bool = False
    successor: t.Optional[str] = None
    flavours: t.Tuple[str, ...] = ("open", "proprietary")


def _end(year: int, month: int) -> datetime.date:
    """The last day of a month."""
    first = datetime.date(year + month // 12, month % 12 + 1, 1)
    return first - datetime.timedelta(days=1)


# In the order of their numbers.
BRANCHES: t.Dict[str, Branch] = {
    "535": Branch("LTSB", _end(2026, 6), successor="580"),  # [table 615]
    "550": Branch("PB", None, ended=True, successor="580"),  # gone from [table 615]; the day was not found
    "565": Branch("NFB", None, ended=True, successor="570"),  # as 575
    "570": Branch("PB", _end(2026, 2), successor="580"),  # older edition of the same table
    "575": Branch("NFB", None, ended=True, successor="580"),  # gone from [table 615]; new feature branches have no date
    "580": Branch("LTSB", _end(2028, 6), successor="620"),  # [table 620]; an older copy said August 2028
    # [table 620]: "new feature branches are short-lived and do not have an end-of-life date"
    "590": Branch("NFB", None, ended=True, successor="595"),
    "595": Branch("PB", _end(2027, 3), successor="620"),  # [table 620]
    "610": Branch("NFB", _end(2026, 8), successor="620"),  # [table 615]
    # In neither table as LTSB or PB. That it is a new feature branch that ended with 620 is not verified.
    "615": Branch("NFB", None, successor="620"),
    # [table 620]; proprietary modules were removed: [guide 620]
    "620": Branch("LTSB", _end(2029, 9), flavours=("open",)),
}

# The branch for a wish that names none, where NVIDIA's repositories are the source: long term support, and the only
# living branch that supports every generation from Maxwell to Blackwell.
DEFAULT = "580"

# From here on the open flavour is NVIDIA's default and recommendation where a GPU can have both. Source: [modules].
OPEN_BY_DEFAULT_SINCE = 560
