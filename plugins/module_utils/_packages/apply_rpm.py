# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dnf and zypper do alike through rpm. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import PackageStateError, TransactionError
from . import judge, openpgp, parse_rpm, probe_locks
from .apply_base import Base
from .objects import Change, Package, Transaction


class Rpm(Base):
    def all(self) -> t.Tuple[Package, ...]:
        """Every installed package."""
        code, out, err = self._ports.run(["env", "LC_ALL=C", "rpm", "-qa", "--qf", parse_rpm.QUERY])
        if code != 0:
            text = f"rpm -qa ended with {code}: {err.strip()}"
            raise PackageStateError(
                f"{text}; repair the rpm database on this node (rpm --rebuilddb), then run again", problems=[text]
            )
        return parse_rpm.packages(out)

    def installed(self, patterns: t.Sequence[str]) -> t.Tuple[Package, ...]:
        """Packages of these names or glob patterns."""
        return parse_rpm.matching(self.all(), patterns) if patterns else ()

    def owner(self, path: str) -> t.Optional[str]:
        """The package that a file belongs to."""
        code, out, _err = self._ports.run(["env", "LC_ALL=C", "rpm", "-qf", "--qf", "%{NAME}\\n", path])
        return out.split()[0] if code == 0 and out.split() else None

    def trust(self, key_path: str) -> t.Tuple[str, ...]:
        """Takes a key file into rpm's keys, with which zypper checks repositories and packages. The answer are the
        fingerprints of those that were not among them."""
        self._may_change("trust")
        there = self._keys()
        found = openpgp.fingerprints(self._ports.files.read(key_path) or b"")
        code, _out, err = self._ports.run(["rpm", "--import", key_path])
        if code != 0:
            raise judge.repository_error(key_path, "no_key", err.strip() or f"rpm --import ended with {code}")
        return tuple(one for one in found if _short(one) not in there)

    def distrust(self, fingerprint: str) -> None:
        """Takes it out again. rpm calls a key by the last 8 digits of its fingerprint."""
        self._may_change("distrust")
        name = self._keys().get(_short(fingerprint))
        if name is not None:
            self._ports.run(["rpm", "-e", "--allmatches", name])

    def _keys(self) -> t.Dict[str, str]:
        """The end of a fingerprint -> the package of this key."""
        found = [f"{one.name}-{one.version}" for one in self.all() if one.name == "gpg-pubkey"]
        return {name.split("-")[2][-8:]: name for name in found}

    def _rpm_problems(self) -> t.Tuple[str, ...]:
        try:
            double = parse_rpm.twice(self.all())
        except PackageStateError as error:
            return tuple(error.facts["problems"])
        return tuple(
            f"an interrupted transaction left two versions of package {name}; remove the older one with rpm -e"
            for name in double
        )

    def _locks(self, holders: t.Iterable[probe_locks.Holder]) -> t.Tuple[str, ...]:
        found = {one.pid: one for one in holders}
        return tuple(f"the package database is locked by {one} ({one.path})" for one in found.values())

    def _installed_bytes(self, names: t.Sequence[str]) -> int:
        """What these packages, all versions of them, take on the disk."""
        if not names:
            return 0
        out = self._ports.run(["env", "LC_ALL=C", "rpm", "-q", "--qf", "%{LONGSIZE}\\n", *names])[1]
        return sum(int(line) for line in out.split() if line.isdigit())

    def _verify(self, transaction: Transaction) -> None:
        there = parse_rpm.by_name(self.all())
        wrong = [
            f"{change.name} is {' and '.join(there.get(change.name, ())) or 'not installed'}"
            for change in transaction.changes
            if change.name.rpartition(".")[2] not in ("i386", "i486", "i586", "i686")
            and not _is_done(change, there.get(change.name, ()))
        ]
        if wrong:
            raise TransactionError(
                f"{self.kind} ended without an error, but {', '.join(wrong)}; see its log on the node, repair it and "
                "run again",
                packages=[change.name for change in transaction.changes],
                detail="\n".join(wrong),
            )


def _is_done(change: Change, there: t.Sequence[str]) -> bool:
    """Several versions of a kernel's packages lie side by side."""
    return change.before not in there if change.after is None else change.after in there


def _short(fingerprint: str) -> str:
    return fingerprint[-8:].lower()
