# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What package managers share: waiting for a lock, what is not for check mode. PRIVATE to the collection."""

from __future__ import annotations

import os
import time
import typing as t

from .._errors import InternalError, PackageLockedError
from .._ports import Ports
from .apply_scratch import Scratch

# Written after each refresh of ours: the managers' own files also change where a refresh failed, or do not change where
# nothing was new.
STAMP = "/var/lib/accel-gpu/package-index"
_PAUSE = 1.0  # seconds between two attempts at a lock
_T = t.TypeVar("_T")


class Base:
    """The ports, the scratch folder if there is one, and how long to wait for a lock."""

    kind = ""

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

    def close(self) -> None:
        if self._scratch is not None:
            self._scratch.close()

    def __enter__(self: _T) -> _T:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

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

    def _is_fresh(self, max_age: int, index: str, sources: t.Sequence[str]) -> bool:
        """Whether the index is younger than `max_age` seconds, and than every file that defines a repository."""
        newest = max(self._changed(index), self._changed(STAMP))
        defined = max((self._changed(path) for path in self._definitions(sources)), default=0.0)
        return defined <= newest and time.time() - newest < max_age

    def _definitions(self, sources: t.Sequence[str]) -> t.Iterator[str]:
        for path in sources:
            yield path
            yield from (f"{path}/{name}" for name in self._ports.files.names(path))

    def _changed(self, path: str) -> float:
        try:
            return os.stat(self._ports.files.path(path)).st_mtime
        except OSError:
            return 0.0

    def _stamp(self) -> None:
        self._ports.files.write(STAMP, b"")
