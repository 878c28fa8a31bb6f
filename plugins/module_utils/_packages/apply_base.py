# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What package managers share: waiting for a lock, the age of the index, room on the disk, what is not for check mode.

PRIVATE to the collection.
"""

from __future__ import annotations

import os
import time
import typing as t

from .._errors import DiskFullError, InternalError, PackageLockedError
from .._ports import Ports
from . import judge
from .apply_scratch import Scratch
from .objects import Origin, Request, Transaction

# Written after each refresh of ours: the managers' own files also change where a refresh failed, or do not change where
# nothing was new.
STAMP = "/var/lib/accel-gpu/package-index"
_PAUSE = 1.0  # seconds between two attempts at a lock
_T = t.TypeVar("_T")


class Base:
    """The ports, the scratch folder if there is one, and how long to wait for a lock.

    `index` is what changes on the node when its index is fetched, `definitions` the files and folders that say where
    packages come from, `cache` where their files are put. `simulate`, `_fetch_files` and `_fetch_index` come from the
    class of the manager.
    """

    kind = ""
    index = ""
    definitions: t.Tuple[str, ...] = ()
    cache = ""

    def __init__(self, ports: Ports, scratch: t.Optional[Scratch], lock_timeout: float) -> None:
        self._ports = ports
        self._scratch = scratch
        self._lock_timeout = lock_timeout

    def streams(self, _module: str) -> t.Tuple[str, ...]:
        """Streams of a module that repositories offer; dnf alone has modules."""
        return ()

    def stream(self, _module: str) -> t.Optional[str]:
        """The one that is enabled on the node."""
        return None

    def components(self) -> t.Tuple[t.Tuple[str, str], ...]:
        """(component, file that names it) of the configured repositories; apt alone has components."""
        return ()

    def needs_for_holds(self) -> t.Tuple[str, ...]:
        """Packages without which `hold` has no effect."""
        return ()

    def fresh(self, max_age: int) -> bool:
        """Whether the index is younger than `max_age` seconds, and than every file that defines a repository."""
        newest = max(self._changed(self.index), self._changed(STAMP))
        defined = max((self._changed(path) for path in self._definitions()), default=0.0)
        return defined <= newest and time.time() - newest < max_age

    def refresh(self, max_age: int, needed: t.Optional[t.Sequence[Origin]] = None) -> bool:
        """Fetches the index unless it is `fresh`; True if it was fetched. Not in check mode.

        `needed` are repositories that must answer; None means all. Others hinder nothing. Where none is needed, the
        index does not count as fetched afterwards.
        """
        if self._ports.check or self.fresh(max_age):
            return False
        self._may_change("refresh")
        self._fetch_index(needed)
        if needed is None or needed:
            self._stamp()
        return True

    def simulate(self, request: Request) -> Transaction:
        """What `run` would do. Raises what it would refuse; removals beyond the request and a disk that is too full are
        only told."""
        raise NotImplementedError

    def download(self, request: Request) -> Transaction:
        """Puts into the cache what `run` will need."""
        self._may_change("download")
        transaction = self._checked(request)
        if transaction.changes:
            self._fetch_files(request)
        return transaction

    def close(self) -> None:
        if self._scratch is not None:
            self._scratch.close()

    def __enter__(self: _T) -> _T:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # --- within ---

    def _fetch_files(self, request: Request) -> None:
        raise NotImplementedError

    def _fetch_index(self, needed: t.Optional[t.Sequence[Origin]]) -> None:
        raise NotImplementedError

    def _patiently(self, attempt: t.Callable[[float], _T]) -> _T:
        """`attempt` gets the seconds waited so far; it is made again as long as it raises PackageLockedError."""
        start = time.monotonic()
        while True:
            waited = time.monotonic() - start
            try:
                return attempt(waited)
            except PackageLockedError:
                if waited >= self._lock_timeout:
                    raise
            time.sleep(min(_PAUSE, max(0.0, self._lock_timeout - waited)))

    def _may_change(self, what: str) -> None:
        if self._scratch is not None:
            raise InternalError(f"{what} was called on repositories that exist in a temporary folder only")
        if self._ports.check:
            raise InternalError(f"{what} was called in check mode")

    def _checked(self, request: Request) -> Transaction:
        transaction = self.simulate(request)
        judge.check_removals(request, transaction)
        if transaction.full is not None:
            raise transaction.full
        return transaction

    def _full(self, installed: int, downloaded: int) -> t.Optional[DiskFullError]:
        """Why so many bytes below /usr and in the cache do not fit; None where they do."""
        places: t.Dict[int, t.Tuple[str, int]] = {}
        for path, size in (("/usr", installed), (self.cache, downloaded)):
            there = self._ports.files.path(path)
            if size > 0 and os.path.exists(there):
                device = os.stat(there).st_dev
                first, earlier = places.get(device, (path, 0))
                places[device] = (first, earlier + size)
        for path, needed in places.values():
            state = os.statvfs(self._ports.files.path(path))
            free = state.f_bavail * state.f_frsize
            if needed > free:
                return judge.disk_full(path, needed, free)
        return None

    def _definitions(self) -> t.Iterator[str]:
        for path in self.definitions:
            yield path
            yield from (f"{path}/{name}" for name in self._ports.files.names(path))

    def _changed(self, path: str) -> float:
        try:
            return os.stat(self._ports.files.path(path)).st_mtime
        except OSError:
            return 0.0

    def _stamp(self) -> None:
        self._ports.files.write(STAMP, b"")
