# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""zypper and rpm through their commands. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import typing as t

from .._errors import RepositoryError
from .._ports import Ports
from . import judge, judge_zypper, parse_rpm, parse_zypper, probe_locks
from .apply_rpm import Rpm
from .apply_scratch import Scratch
from .objects import Origin, Request, Source, Transaction
from .parse_dnf import downgrades

_CACHE = "/var/cache/zypp"
_REPOS = "/etc/zypp/repos.d"
_LOCKS = "/etc/zypp/locks"
_CONFIGURATION = "/etc/zypp/zypp.conf"
_PID_FILES = ("/run/zypp.pid", "/var/run/zypp.pid")


class Zypper(Rpm):
    kind = "zypper"
    index = f"{_CACHE}/solv"
    definitions = (_REPOS,)
    cache = f"{_CACHE}/packages"

    def __init__(
        self,
        ports: Ports,
        scratch: t.Optional[Scratch] = None,
        sources: t.Sequence[Source] = (),
        lock_timeout: float = 60.0,
        anew: bool = False,
    ) -> None:
        super().__init__(ports, scratch, lock_timeout)
        self._where: t.Tuple[str, ...] = ()
        self._environment: t.Tuple[str, ...] = ("env", "LC_ALL=C", "ZYPP_LOCK_TIMEOUT=0")
        if scratch is not None:
            scratch.copy_files(_REPOS, "repos")
            places = scratch.place(sources, {_REPOS: "repos"})
            scratch.copy_tree(_CACHE, "cache")
            for one in sources:
                scratch.forget("cache", "raw", one.name)
                scratch.forget("cache", "solv", one.name)
            self._where = ("--reposd-dir", scratch.path("repos"), "--cache-dir", scratch.path("cache"))
            self._environment = (*self._environment, f"ZYPP_LOGFILE={scratch.path('log')}")
            if anew:
                self._refresh(None if not sources else ())
            if sources:
                self._refresh_scratch(scratch, sources, places)

    def problems(self) -> t.Tuple[str, ...]:
        """What must be repaired before packages can change, in sentences."""
        holders = [probe_locks.from_pid_file(self._ports.files, path) for path in _PID_FILES]
        return (*self._rpm_problems(), *self._locks([one for one in holders if one is not None]))

    def holds(self) -> t.FrozenSet[str]:
        """Of installed packages; a lock of others has no effect on what is not there yet."""
        return parse_rpm.zypp_lock_names(self._ports.files.read_text(_LOCKS) or "", self.all())

    def versions(self, names: t.Sequence[str]) -> t.Dict[str, t.Tuple[str, ...]]:
        """Versions that repositories offer, newest first."""
        if not names:
            return {}
        words = ("search", "-s", "--match-exact", "-t", "package", *names)
        return parse_zypper.versions(self._zypper(words, also=(judge_zypper.NOT_FOUND, judge_zypper.PASSED_OVER)))

    def simulate(self, request: Request) -> Transaction:
        """See `Base.simulate`."""
        transaction = self._install(request, ("--dry-run",))
        judge.check_holds(request, transaction, self.holds())
        judge.check_downgrades(request, downgrades(transaction.changes))
        return transaction

    def run(self, request: Request) -> Transaction:
        """Raises before anything is touched where a package would go that was not named."""
        self._may_change("run")
        transaction = self._checked(request)
        if transaction.changes:
            self._install(request, ())
            self._verify(transaction)
        return transaction

    def hold(self, names: t.Sequence[str]) -> None:
        self._may_change("hold")
        if names:
            self._zypper(("addlock", "-t", "package", *names))

    def unhold(self, names: t.Sequence[str]) -> None:
        """Takes away locks of exactly these names; patterns are somebody else's."""
        self._may_change("unhold")
        if names:
            self._zypper(("removelock", "-t", "package", *names))

    # --- within ---

    def _fetch_files(self, request: Request) -> None:
        self._install(request, ("--download-only",))

    def _fetch_index(self, needed: t.Optional[t.Sequence[Origin]]) -> None:
        """Of all repositories, of those that are needed first. Keys must be in rpm already (`trust`)."""
        self._refresh(None if needed is None else [one.name for one in needed])

    def _refresh(self, needed: t.Optional[t.Sequence[str]]) -> None:
        """Those that are not needed are only logged where they do not answer; None: all are needed."""
        if needed:
            self._zypper(("refresh", *needed), refresh=True)
        try:
            self._zypper(("refresh",), refresh=True)
        except RepositoryError as error:
            if needed is None:
                raise
            self._ports.log(error.message)

    def _install(self, request: Request, options: t.Sequence[str]) -> Transaction:
        there = {one.name for one in self.all()}
        words = parse_zypper.words(request, there)
        if not words:
            return Transaction(download_bytes=0)
        weak = "--recommends" if request.recommends else "--no-recommends"
        argv = ("install", "--auto-agree-with-licenses", "--oldpackage", weak, *options, "--", *words)
        with self._without_locks() as environment:
            out = self._zypper(argv, request, environment, also=(judge_zypper.PASSED_OVER,))
        changes, download = parse_zypper.changes(out, there), parse_zypper.download_bytes(out)
        return Transaction(changes, download, self._full(parse_zypper.grows(out), download))

    @contextlib.contextmanager
    def _without_locks(self) -> t.Iterator[t.Tuple[str, ...]]:
        """zypper would only say that it has a problem: whose lock may be passed over is judged by us."""
        folder = tempfile.mkdtemp(prefix="accel-gpu-zypp-")
        try:
            path = os.path.join(folder, "zypp.conf")
            own = self._ports.files.read_text(_CONFIGURATION) or "[main]\n"
            with open(path, "w", encoding="utf-8") as handle:
                handle.write(f"{own.rstrip()}\nlocksfile.path = {folder}/locks\n")
            yield (f"ZYPP_CONF={path}",)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _zypper(
        self,
        words: t.Sequence[str],
        request: t.Optional[Request] = None,
        environment: t.Sequence[str] = (),
        also: t.Container[int] = (),
        refresh: bool = False,
    ) -> str:
        options = ("--non-interactive", "--xmlout", *(() if refresh else ("--no-refresh",)), *self._where)
        argv = [*self._environment, *environment, "zypper", *options, *words]
        return self._patiently(lambda waited: self._ended(argv, waited, request, also))

    def _ended(self, argv: t.Sequence[str], waited: float, request: t.Optional[Request], also: t.Container[int]) -> str:
        code, out, err = self._ports.run(argv)
        if not judge_zypper.refuses(code, out, also):
            return out
        asked = judge_zypper.NOTHING
        if request is not None and code == judge_zypper.NOT_FOUND:
            asked = judge_zypper.Asked(request, self.versions([name for name, _version in request.install]))
        raise judge_zypper.failure(code, out, err, waited, asked)

    # --- repositories that are not on the node ---

    def _refresh_scratch(self, scratch: Scratch, sources: t.Sequence[Source], places: t.Sequence[str]) -> None:
        """zypper takes keys from rpm's database alone, which must not change: the signature is checked with gpg, which
        zypper itself needs, and zypper then reads without checking."""
        self._where = (*self._where, "--no-gpg-checks")
        names = [source.name for source in sources]
        self._zypper(("refresh", *names), refresh=True)
        home = scratch.make("gnupg")
        os.chmod(home, 0o700)
        keys = [path for path in places if os.path.dirname(path) == scratch.path("keys")]
        gpg = ["gpg", "--homedir", home, "--batch", "--no-autostart", "--no-tty"]
        self._ports.run([*gpg, "--import", *keys])
        for name in names:
            index = scratch.path("cache", "raw", name, "repodata", "repomd.xml")
            if not os.path.exists(f"{index}.asc"):
                raise judge.repository_error(name, "unsigned", "it has no repodata/repomd.xml.asc")
            code, _out, err = self._ports.run([*gpg, "--status-fd", "1", "--verify", f"{index}.asc", index])
            if code != 0:
                raise judge.repository_error(name, judge.gpg_reason(err), " ".join(err.split()))
