# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""apt and dpkg through their commands. PRIVATE to the collection."""

from __future__ import annotations

import time
import typing as t

from .._errors import DiskFullError, PackageStateError, TransactionError
from .._ports import Ports
from . import judge, judge_apt, parse_apt, probe_locks
from .apply_apt_pins import preferring
from .apply_apt_scratch import addresses, move_into, update_options, without_lists
from .apply_base import Base
from .apply_scratch import Scratch
from .objects import Origin, Package, Request, Source, Transaction

# Nothing asks, and no hook restarts services: needrestart of Debian 12 reads the first of its two variables (read in
# its apt-pinvoke); the second, "list only", is for versions that do not (not verified).
_ENVIRONMENT = (
    "env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none", "UCF_FORCE_CONFFOLD=1",
    "NEEDRESTART_SUSPEND=1", "NEEDRESTART_MODE=l",
)  # fmt: skip
_OPTIONS = (
    "-q", "-y", "-o", "APT::Get::Show-User-Simulation-Note=false", "-o", "APT::Get::AutomaticRemove=false",
    "-o", "APT::Color=false", "-o", "Dpkg::Use-Pty=false", "-o", "Dpkg::Options::=--force-confold",
)  # fmt: skip
# apt 2.6 was seen to wait for minutes where a port is closed, if it is to try again by itself.
_ONCE = ("-o", "Acquire::Retries=0")
_ATTEMPTS = 2
_PAUSE = 2.0  # seconds between two attempts at a repository that cannot be reached
_NO_LOCK = ("-o", "Debug::NoLocking=true")
_LISTS = "/var/lib/apt/lists"
_ARCHIVES = "/var/cache/apt/archives"
_SOURCES = "/etc/apt/sources.list.d"
_LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", f"{_LISTS}/lock", f"{_ARCHIVES}/lock")
_UPDATES = "/var/lib/dpkg/updates"


class Apt(Base):
    kind = "apt"
    index = _LISTS
    definitions = ("/etc/apt/sources.list", _SOURCES)
    cache = _ARCHIVES

    def __init__(
        self,
        ports: Ports,
        scratch: t.Optional[Scratch] = None,
        sources: t.Sequence[Source] = (),
        lock_timeout: float = 60.0,
        anew: bool = False,
    ) -> None:
        super().__init__(ports, scratch, lock_timeout)
        self._configuration: t.Tuple[str, ...] = ()
        if scratch is not None:
            self._configuration = ("-c", move_into(scratch, ports.files, sources))
            # With all others beside them, only the new ones must answer.
            needed = (addresses(sources) or None) if anew else None
            self._update(update_options(scratch, ports.files, sources, anew), 0.0, needed)

    # --- questions ---

    def installed(self, patterns: t.Sequence[str]) -> t.Tuple[Package, ...]:
        """Packages of these names or glob patterns that are really installed."""
        return parse_apt.installed(self._query(patterns)) if patterns else ()

    def problems(self) -> t.Tuple[str, ...]:
        """What must be repaired before packages can change, in sentences."""
        undone = parse_apt.undone(self._query(()))
        found = [f"dpkg was interrupted: package {name} is {state}; run dpkg --configure -a" for name, state in undone]
        if not found and any(name.isdigit() for name in self._ports.files.names(_UPDATES)):
            found.append("dpkg was interrupted; run dpkg --configure -a")
        holders = {holder.pid: holder for holder in map(self._holder, _LOCKS) if holder is not None}
        return (*found, *(f"the package database is locked by {one} ({one.path})" for one in holders.values()))

    def holds(self) -> t.FrozenSet[str]:
        return frozenset(self._call("apt-mark", "showhold").split())

    def versions(self, names: t.Sequence[str]) -> t.Dict[str, t.Tuple[str, ...]]:
        """Versions that repositories offer, newest first; names without any are left out."""
        return parse_apt.versions(self._call("apt-cache", *self._configuration, "madison", *names)) if names else {}

    def fresh(self, max_age: int) -> bool:
        """See `Base.fresh`. Lists that were removed, as slim images have it done, leave a folder that looks new."""
        return not without_lists(self._ports.files) and super().fresh(max_age)

    def components(self) -> t.Tuple[t.Tuple[str, str], ...]:
        """(component, file that names it) of the repositories whose index is there."""
        words = ("apt-get", *self._configuration, "indextargets", "--format", parse_apt.TARGET, "Created-By: Packages")
        return parse_apt.components(self._call(*words))

    def simulate(self, request: Request) -> Transaction:
        """See `Base.simulate`."""
        words = self._words(request)
        if not words:
            return Transaction(download_bytes=0)
        out = self._get(request, (*_NO_LOCK, "-s"), words)
        transaction = Transaction(parse_apt.changes(out), download_bytes=0)
        judge.check_holds(request, transaction, self.holds())
        if any(change.after for change in transaction.changes):
            uris = self._get(request, (*_NO_LOCK, "--print-uris"), words)
            transaction = transaction._replace(download_bytes=parse_apt.download_bytes(uris))
        return transaction._replace(full=self._too_large(transaction))

    def owner(self, path: str) -> t.Optional[str]:
        """The package that a file belongs to. dpkg knows files by the names they had before /usr was merged."""
        names = [path, path[4:]] if path.startswith("/usr/") else [path, f"/usr{path}"]
        _code, out, _err = self._ports.run([*_ENVIRONMENT, "dpkg-query", "-S", *names])
        return next((one for one in (parse_apt.owner(out, name) for name in names) if one), None)

    # --- changes ---

    def run(self, request: Request) -> Transaction:
        """Raises before anything is touched where a package would go that was not named, or the disk is too full."""
        self._may_change("run")
        transaction = self._checked(request)
        if not transaction.changes and not self._half(request):
            return transaction
        holds = self.holds() & set(request.own_holds)
        try:
            self._get(request, self._anew(request), self._words(request))
        finally:
            self._hold_again(holds)
        self._verify(transaction)
        return transaction

    def hold(self, names: t.Sequence[str]) -> None:
        self._may_change("hold")
        if names:
            self._call("apt-mark", "hold", *names)

    def unhold(self, names: t.Sequence[str]) -> None:
        self._may_change("unhold")
        known = sorted(set(names) & self.holds())
        if known:
            self._call("apt-mark", "unhold", *known)

    def trust(self, _key_path: str) -> t.Tuple[str, ...]:
        """apt has no list of keys for all: each repository names its own (Signed-By)."""
        self._may_change("trust")
        return ()

    def distrust(self, _fingerprint: str) -> None:
        self._may_change("distrust")

    # --- within ---

    def _fetch_files(self, request: Request) -> None:
        self._get(request, ("-d",), self._words(request))

    def _fetch_index(self, needed: t.Optional[t.Sequence[Origin]]) -> None:
        """Of all repositories; those that are not needed are only logged where they do not answer."""
        asked = None if needed is None else [one.url for one in needed]
        self._patiently(lambda waited: self._update((), waited, asked))

    def _query(self, patterns: t.Sequence[str]) -> str:
        """dpkg-query ends with 1 where one of several patterns fits nothing."""
        argv = [*_ENVIRONMENT, "dpkg-query", "-W", "-f", parse_apt.QUERY, *patterns]
        code, out, err = self._ports.run(argv)
        if code > 1:
            text = f"dpkg-query ended with {code}: {err.strip()}"
            raise PackageStateError(f"{text}; repair dpkg's database on this node, then run again", problems=[text])
        return out

    def _holder(self, path: str) -> t.Optional[probe_locks.Holder]:
        return probe_locks.holder(self._ports.files, path)

    def _words(self, request: Request) -> t.Tuple[str, ...]:
        """What apt-get install is told: name, name=version, and name- to remove."""
        install = [name if version is None else f"{name}={version}" for name, version in request.install]
        rows = parse_apt.known(self._query(request.remove)) if request.remove else {}
        there = [
            name for name in request.remove if rows.get(name, "n") not in (("n",) if request.purge else ("n", "c"))
        ]
        return (*install, *(f"{name}-" for name in there))

    def _get(self, request: Request, options: t.Sequence[str], words: t.Sequence[str]) -> str:
        """apt-get install. Foreign holds were looked at by `simulate`, so apt may change what is held."""
        with preferring(self._ports.files, request) as preference:
            return self._install(request, (*preference, *options), words)

    def _install(self, request: Request, options: t.Sequence[str], words: t.Sequence[str]) -> str:
        argv = [
            *_ENVIRONMENT, "apt-get", *self._configuration, *_OPTIONS,
            "-o", f"APT::Install-Recommends={str(request.recommends).lower()}", "--allow-change-held-packages",
            *(("--allow-downgrades",) if request.downgrade else ()), *(("--purge",) if request.purge else ()),
            *options, "install", *words,
        ]  # fmt: skip
        return self._patiently(lambda waited: self._ended(argv, waited, request))

    def _call(self, *argv: str) -> str:
        return self._patiently(lambda waited: self._ended([*_ENVIRONMENT, *argv], waited, None))

    def _ended(self, argv: t.Sequence[str], waited: float, request: t.Optional[Request]) -> str:
        code, out, err = self._ports.run(argv)
        if code == 0:
            return out
        asked = judge_apt.NOTHING
        if request is not None:
            names = [name for name, _version in request.install]
            asked = judge_apt.Asked(self.versions(names), self.holds() - set(request.own_holds))
        raise judge_apt.failure(out, err, waited, asked)

    def _update(self, options: t.Sequence[str], waited: float, needed: t.Optional[t.Sequence[str]]) -> None:
        """apt-get update ends with 0 also where a repository could not be reached."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE)
            code, out, err = self._ports.run([*_ENVIRONMENT, "apt-get", "-q", *_ONCE, *options, "update"])
            problems = parse_apt.repository_problems(err)
            if not any(problem.reason == "unreachable" for problem in problems):
                break
        for problem in problems:
            if needed is None or any(problem.url.startswith(address.rstrip("/")) for address in needed):
                raise judge.repository_error(*problem)
            self._ports.log(judge.repository_error(*problem).message)
        if code != 0 and not problems:
            raise judge_apt.failure(out, err, waited)

    def _half(self, request: Request) -> bool:
        """Is a wanted package there, but not configured? apt tells of no change, and has work to do."""
        names = [name for name, _version in request.install if "/" not in name]
        return bool(names) and bool(parse_apt.undone(self._query(names)))

    def _anew(self, request: Request) -> t.Tuple[str, ...]:
        """dpkg died while it unpacked a wanted package: the version that it is said to have must be installed again."""
        names = [name.rpartition("/")[2].partition("_")[0] for name, _version in request.install]
        return ("--reinstall",) if names and parse_apt.broken(self._query(names)) else ()

    def _too_large(self, transaction: Transaction) -> t.Optional[DiskFullError]:
        """dpkg would stop in the middle. New and old files of one package lie side by side for a while."""
        new = [f"{change.name}={change.after}" for change in transaction.changes if change.after]
        old = [change.name for change in transaction.changes if change.before]
        if not new:
            return None
        shown = self._call("apt-cache", *self._configuration, "show", "--no-all-versions", *new)
        coming = parse_apt.installed_sizes(shown)
        form = "Package: ${Package}\\nInstalled-Size: ${Installed-Size}\\n\\n"
        argv = [*_ENVIRONMENT, "dpkg-query", "-W", "-f", form, *old]
        going = parse_apt.installed_sizes(self._ports.run(argv)[1]) if old else {}
        needed = max(0, sum(coming.values()) - sum(going.values())) + max(coming.values(), default=0)
        return self._full(needed, transaction.download_bytes or 0)

    def _hold_again(self, holds: t.AbstractSet[str]) -> None:
        """apt drops the hold of a package that it changes."""
        lost = holds - self.holds()
        there = {package.name for package in self.installed(sorted(lost))} if lost else set()
        if there:
            self._call("apt-mark", "hold", *sorted(there))

    def _verify(self, transaction: Transaction) -> None:
        names = [change.name for change in transaction.changes]
        there = {package.name: package.version for package in self.installed(names)}
        wrong = [
            f"{change.name} is {there.get(change.name.split(':')[0], 'not installed')}"
            for change in transaction.changes
            if ":" not in change.name and there.get(change.name) != change.after
        ]
        if wrong:
            raise TransactionError(
                f"apt ended without an error, but {', '.join(wrong)}; "
                "see /var/log/apt/term.log on the node, repair it and run again",
                packages=names,
                detail="\n".join(wrong),
            )
