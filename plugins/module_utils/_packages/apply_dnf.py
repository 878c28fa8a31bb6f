# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dnf 4 and rpm through their commands. PRIVATE to the collection.

RHEL 8 has dnf's Python binding for its own Python 3.6 alone.
"""

from __future__ import annotations

import tempfile
import typing as t

from .._ports import Ports
from . import judge, judge_dnf, parse_dnf, parse_rpm, probe_locks
from .apply_rpm import Rpm
from .apply_scratch import Scratch
from .objects import HOLD_TOOLS, Origin, Package, Request, Source, Transaction

_OPTIONS = (
    "--setopt=exit_on_lock=True", "--setopt=best=True", "--setopt=strict=True",
    "--setopt=clean_requirements_on_remove=False", "--setopt=module_stream_switch=True", "--color=never",
    # No kernel and no headers go because others come: 0 is "unlimited" (dnf.conf(5), installonly_limit).
    "--setopt=installonly_limit=0",
)  # fmt: skip
# A repository of others that does not answer is passed over (dnf.conf(5)); the later of two such options counts.
_PASS_OVER, _INSIST = "--setopt=*.skip_if_unavailable=True", "--setopt=*.skip_if_unavailable=False"
# Locks of others are judged by us, since dnf would only say that it finds no such version.
_NO_LOCKS = ("--disableplugin=versionlock",)
_CACHE = "/var/cache/dnf"
_REPOS = "/etc/yum.repos.d"
_LOCK_FILES = (f"{_CACHE}/metadata_lock.pid", "/var/lib/dnf/rpmdb_lock.pid", f"{_CACHE}/download_lock.pid")
_VERSIONLOCK = "/etc/dnf/plugins/versionlock"
_MODULES = "/etc/dnf/modules.d"


class Dnf(Rpm):
    kind = "dnf"
    index = f"{_CACHE}/.gpgkeyschecked.yum"
    definitions = (_REPOS,)
    cache = _CACHE

    def __init__(
        self,
        ports: Ports,
        scratch: t.Optional[Scratch] = None,
        sources: t.Sequence[Source] = (),
        lock_timeout: float = 60.0,
        anew: bool = False,
    ) -> None:
        """What is older than dnf's own time for it is fetched with or without `anew`, as it is on the node."""
        super().__init__(ports, scratch, lock_timeout)
        self._where: t.Tuple[str, ...] = ()
        if scratch is not None:
            scratch.copy_files(_REPOS, "repos")
            scratch.place(sources, {_REPOS: "repos"})
            scratch.copy_tree(_CACHE, "cache", leave_out=("expired_repos.json",))
            for one in sources:
                scratch.forget("cache", f"{one.name}-*")
                scratch.forget("cache", f"{one.name}.solv")
            self._where = (
                f"--setopt=reposdir={scratch.path('repos')}",
                f"--setopt=cachedir={scratch.path('cache')}",
                f"--setopt=persistdir={scratch.make('persist')}",
                f"--setopt=logdir={scratch.make('log')}",
                # writes into the node's cache whatever it is told
                "--disableplugin=generate_completion_cache",
            )
            self._makecache([one.name for one in sources])

    def problems(self) -> t.Tuple[str, ...]:
        """What must be repaired before packages can change, in sentences."""
        holders = [probe_locks.from_pid_file(self._ports.files, path) for path in _LOCK_FILES]
        return (*self._rpm_problems(), *self._locks([one for one in holders if one is not None]))

    def holds(self) -> t.FrozenSet[str]:
        """Of installed packages; a lock of others has no effect on what is not there yet."""
        return parse_rpm.versionlock_names(self._lock_text(), self.all())

    def versions(self, names: t.Sequence[str]) -> t.Dict[str, t.Tuple[str, ...]]:
        """Versions that repositories offer, newest first, those of all module streams."""
        if not names:
            return {}
        words = ("repoquery", "-q", "--showduplicates", "--disable-modular-filtering", "--qf", parse_dnf.QUERY)
        return parse_dnf.versions(self._dnf(("-y", *_NO_LOCKS), (*words, *names)))

    def streams(self, module: str) -> t.Tuple[str, ...]:
        """Those that repositories offer; none where no repository has that module."""
        return parse_dnf.streams(self._dnf(("-q", "-y"), ("module", "list", module), simulated=True), module)

    def stream(self, module: str) -> t.Optional[str]:
        """The one that is enabled on the node."""
        return parse_dnf.enabled(self._ports.files.read_text(f"{_MODULES}/{module}.module") or "")

    def simulate(self, request: Request) -> Transaction:
        """See `Base.simulate`."""
        transaction = self._shell(request, ("--assumeno",), simulated=True)
        judge.check_holds(request, transaction, self.holds())
        judge.check_downgrades(request, parse_dnf.downgrades(transaction.changes))
        return transaction

    def needs_for_holds(self) -> t.Tuple[str, ...]:
        """Packages without which `hold` has no effect."""
        there = self._ports.files.exists(f"{_VERSIONLOCK}.conf")
        return () if there else HOLD_TOOLS

    def run(self, request: Request) -> Transaction:
        """Raises before anything is touched where a package would go that was not named."""
        self._may_change("run")
        transaction = self._checked(request)
        if not transaction.changes and request.module is None:
            return transaction
        held = self.holds() & set(request.own_holds) & set(transaction.wanted)
        try:
            self._shell(request, ("-y",))
        finally:
            if held:
                self._move_locks(held)
        self._verify(transaction)
        return transaction

    def hold(self, names: t.Sequence[str]) -> None:
        """Locks at the installed versions."""
        self._may_change("hold")
        found = parse_rpm.matching(self.all(), names)
        self._write_locks(parse_rpm.versionlock_with(self._lock_text(), found))

    def unhold(self, names: t.Sequence[str]) -> None:
        self._may_change("unhold")
        self._write_locks(parse_rpm.versionlock_without(self._lock_text(), set(names)))

    # --- within ---

    def _fetch_files(self, request: Request) -> None:
        self._shell(request, ("-y", "--downloadonly"))

    def _fetch_index(self, needed: t.Optional[t.Sequence[Origin]]) -> None:
        """Of those that are needed; dnf itself fetches that of another one whenever it is older than its own time."""
        if needed is None or needed:
            self._makecache([one.name for one in needed or ()])

    def _makecache(self, names: t.Sequence[str]) -> None:
        """These must answer, all without a name; keys go into their own rings in the cache."""
        only = ("--disablerepo=*", *(f"--enablerepo={one}" for one in names)) if names else ()
        self._dnf(("-y", _INSIST, *only), ("makecache", "--refresh"))

    def _shell(self, request: Request, options: t.Sequence[str], simulated: bool = False) -> Transaction:
        """dnf shell alone does removal, installation and a module's stream in one transaction."""
        there = {one.name: one.version for one in self.all()}
        weak = f"--setopt=install_weak_deps={request.recommends}"
        with tempfile.NamedTemporaryFile("w", prefix="accel-gpu-dnf-", suffix=".txt") as script:
            script.write(parse_dnf.script(request, there))
            script.flush()
            out = self._dnf((*options, weak, *_NO_LOCKS), ("shell", script.name), request, simulated)
        changes, download = parse_dnf.changes(out, there), parse_dnf.download_bytes(out)
        if not simulated:
            return Transaction(changes, download)
        grows = parse_dnf.installed_bytes(out) - self._installed_bytes([one.name for one in changes if one.before])
        return Transaction(changes, download, self._full(grows, download))

    def _dnf(
        self,
        options: t.Sequence[str],
        words: t.Sequence[str],
        request: t.Optional[Request] = None,
        simulated: bool = False,
    ) -> str:
        argv = ["env", "LC_ALL=C", "dnf", *_OPTIONS, _PASS_OVER, *self._where, *options, *words]
        return self._patiently(lambda waited: self._ended(argv, waited, request, simulated))

    def _ended(self, argv: t.Sequence[str], waited: float, request: t.Optional[Request], simulated: bool) -> str:
        code, out, err = self._ports.run(argv)
        if not judge_dnf.refuses(code, out, err, simulated):
            return out
        asked = judge_dnf.NOTHING
        if request is not None:
            names = [name for name, version in request.install if version is not None]
            asked = judge_dnf.Asked(request, self.versions(names))
        raise judge_dnf.failure(out, err, waited, asked)

    def _lock_path(self) -> str:
        for line in (self._ports.files.read_text(f"{_VERSIONLOCK}.conf") or "").splitlines():
            key, _equals, value = line.partition("=")
            if key.strip() == "locklist" and value.strip():
                return value.strip()
        return f"{_VERSIONLOCK}.list"

    def _lock_text(self) -> str:
        return self._ports.files.read_text(self._lock_path()) or ""

    def _write_locks(self, text: str) -> None:
        if text != self._lock_text():
            self._ports.files.write(self._lock_path(), text.encode("utf-8"))

    def _move_locks(self, names: t.AbstractSet[str]) -> None:
        """Our locks name versions; they follow the packages."""
        text = parse_rpm.versionlock_without(self._lock_text(), names)
        there: t.Tuple[Package, ...] = tuple(one for one in self.all() if one.name in names)
        self._write_locks(parse_rpm.versionlock_with(text, there))
