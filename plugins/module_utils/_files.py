# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The port for files: whole files, replaced by rename. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import shutil
import stat
import tempfile
import typing as t

from ._errors import AccelError

# Copies of replaced files, by the path of the original. Never beside it: systemd, cron and the like read whole folders.
BACKUPS = "/var/lib/accel-gpu/backup"
KEPT = 3  # copies of each file; the oldest goes

Access = t.Tuple[int, int, int]  # uid, gid, permission bits


class Files:
    """Files below `root`, so that trees of other machines can be read in tests.

    Paths are absolute as the node names them. What cannot be read because it is not there is None; every other
    failure is an OSError, or an AccelError where a file of ours is broken.
    """

    def __init__(self, root: str = "/") -> None:
        self.root = root

    def path(self, path: str) -> str:
        """Where `path` of the node really lies."""
        return os.path.join(self.root, path.lstrip("/"))

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.path(path))

    def mode(self, path: str) -> int:
        """Permission bits of a file that is there."""
        return stat.S_IMODE(os.stat(self.path(path)).st_mode)

    def access(self, path: str) -> t.Optional[Access]:
        """Who may do what with a file; None if there is none. Links are not followed, they and folders are no files."""
        try:
            found = os.lstat(self.path(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(found.st_mode) or stat.S_ISDIR(found.st_mode):
            return None
        return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)

    def set_access(self, path: str, access: Access) -> None:
        """For a file that is not ours to replace. The owner first: a change of it may take bits of the mode away."""
        os.chown(self.path(path), access[0], access[1])
        os.chmod(self.path(path), access[2])

    def names(self, path: str) -> t.List[str]:
        """The sorted names in a directory; none if there is no such directory."""
        try:
            return sorted(os.listdir(self.path(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, path: str) -> t.Optional[bytes]:
        try:
            with open(self.path(path), "rb") as handle:
                return handle.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_text(self, path: str) -> t.Optional[str]:
        data = self.read(path)
        return None if data is None else data.decode("utf-8", "replace")

    def read_json(self, path: str) -> t.Any:
        """The document, or None if there is no such file. Raises AccelError where it is not JSON."""
        data = self.read(path)
        if data is None:
            return None
        try:
            return json.loads(data.decode("utf-8"))
        except ValueError as error:
            message = f"{path} is not JSON: {error}; restore it from a backup or remove it"
            raise AccelError(message, path=path) from error

    def write(
        self,
        path: str,
        data: bytes,
        mode: int = 0o644,
        owner: t.Optional[t.Tuple[int, int]] = None,
        backup: bool = False,
    ) -> t.Optional[str]:
        """Replaces the whole file; missing directories are made (0755).

        `owner` is (uid, gid). `backup` keeps what was there below BACKUPS, the last KEPT of each file; the answer is
        the copy's path as the node names it. A reader sees the old or the new file, also after a power cut.
        """
        directory = os.path.dirname(self.path(path))
        os.makedirs(directory, mode=0o755, exist_ok=True)
        kept = self._keep(path) if backup else None
        handle, name = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=directory)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fchmod(stream.fileno(), mode)
                if owner is not None:
                    os.fchown(stream.fileno(), owner[0], owner[1])
                os.fsync(stream.fileno())
            os.replace(name, self.path(path))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
        _sync_directory(directory)
        return kept

    def write_json(self, path: str, document: t.Any, mode: int = 0o644, backup: bool = False) -> t.Optional[str]:
        """`write` of readable JSON with sorted keys, so that equal documents are equal files."""
        return self.write(path, dump_json(document), mode=mode, backup=backup)

    def remove(self, path: str) -> bool:
        """False if there was no such file."""
        try:
            os.unlink(self.path(path))
        except (FileNotFoundError, NotADirectoryError):
            return False
        _sync_directory(os.path.dirname(self.path(path)))
        return True

    def backups(self, path: str) -> t.List[str]:
        """The copies that `write` kept of a file, the oldest first."""
        folder, name = os.path.split(f"{BACKUPS}{path}")
        stamp = re.compile(re.escape(name) + r"\.\d{8}T\d{6}\.\d{6}Z")
        return [f"{folder}/{one}" for one in self.names(folder) if stamp.fullmatch(one)]

    def prune(self, directory: str, top: t.Optional[str] = None) -> None:
        """Removes a directory if it is empty, and then those above it, up to `top` (itself by default)."""
        top = top or directory
        while directory == top or directory.startswith(f"{top}/"):
            try:
                os.rmdir(self.path(directory))
            except FileNotFoundError:
                pass
            except OSError:
                return  # something is in it, or it is not ours to remove
            directory = os.path.dirname(directory)

    def _keep(self, path: str) -> t.Optional[str]:
        if not os.path.exists(self.path(path)):
            return None
        kept = f"{BACKUPS}{path}.{datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%S.%fZ')}"
        os.makedirs(os.path.dirname(self.path(kept)), mode=0o755, exist_ok=True)
        shutil.copy2(self.path(path), self.path(kept))
        for old in self.backups(path)[:-KEPT]:
            self.remove(old)
        return kept


def dump_json(document: t.Any) -> bytes:
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def _sync_directory(directory: str) -> None:
    # Without it a rename may be lost in a power cut although the file's content is safe.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
