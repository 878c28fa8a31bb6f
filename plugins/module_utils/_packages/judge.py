# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What repositories and package managers refuse, as errors that say what to do. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .._errors import (
    DependencyError,
    DiskFullError,
    HeldError,
    PackageLockedError,
    RepositoryError,
    TransactionError,
    VersionMissingError,
)
from .objects import Request, Transaction

# reason → what it is, and the remedy
_REASONS: t.Dict[str, t.Tuple[str, str]] = {
    "unreachable": ("cannot be reached", "check the address, the network and the proxy of the node"),
    "missing": ("does not exist at this address", "check the address and the suite"),
    "denied": ("refuses access", "check the address, the user and the proxy of the node"),
    "certificate": ("has a TLS certificate that the node does not trust", "install its authority on the node"),
    "unsigned": ("is not signed", "use a repository that is signed; unsigned ones are not accepted"),
    "no_key": ("is signed by another key than the one given", "give the key that signs it now, and its fingerprint"),
    "expired": ("is signed by an expired key, or its index is expired", "give the renewed key, or renew the mirror"),
    "revoked": ("is signed by a revoked key", "give the key that replaced it"),
    "sha1": (
        "is signed with SHA-1, which this distribution no longer accepts",
        "use the repository for this distribution, or a mirror that is signed anew",
    ),
    "bad_signature": (
        "has a signature that does not fit the key given",
        "give the key that signs it now, or repair the mirror",
    ),
    "damaged": ("has an index that does not fit its signature", "repair the mirror, or bring it up to date"),
    "stale": ("is out of date", "bring the mirror up to date, or correct the clock of the node"),
    "conflict": ("is defined twice with different keys", "remove one of the two definitions below /etc/apt"),
}
_TAIL = 12  # lines of a failed transaction that are told
_SHOWN = 8  # versions that are listed


def repository_error(url: str, reason: str, detail: str) -> RepositoryError:
    what, remedy = _REASONS[reason]
    return RepositoryError(
        f"repository {url} {what} ({detail.rstrip('.')}); {remedy}", url=url, reason=reason, detail=detail
    )


def locked(path: str, pid: t.Optional[int], program: str, waited: float) -> PackageLockedError:
    who = f"PID {pid} ({program})" if pid and program else f"PID {pid}" if pid else "another program"
    return PackageLockedError(
        f"the package database is locked by {who} ({path}); waited {waited:.0f} s; wait for its end and run again",
        path=path,
        pid=pid,
        program=program,
    )


def version_missing(package: str, version: t.Optional[str], available: t.Sequence[str]) -> VersionMissingError:
    facts = {"package": package, "version": version, "available": list(available)}
    if not available:
        return VersionMissingError(
            f"package {package} is in no repository of this node; check its name and the repositories", **facts
        )
    more = f" and {len(available) - _SHOWN} older ones" if len(available) > _SHOWN else ""
    return VersionMissingError(
        f"package {package}: version {version} is in no repository of this node; "
        f"there are {', '.join(available[:_SHOWN])}{more}",
        **facts,
    )


def held(packages: t.Sequence[str]) -> HeldError:
    names = ", ".join(packages)
    many = "are held" if len(packages) > 1 else "is held"
    return HeldError(
        f"{names} would change but {many} by somebody else; ask them, or release the hold and run again",
        packages=list(packages),
    )


def disk_full(path: str, needed: t.Optional[int], free: t.Optional[int], more: bool = False) -> DiskFullError:
    """`more`: what is needed is on top of what is free."""
    word = "more are needed" if more else "are needed"
    amounts = ", ".join(
        f"{_amount(size)} {what}" for size, what in ((needed, word), (free, "are free")) if size is not None
    )
    told = f": {amounts}" if amounts else ""
    return DiskFullError(
        f"the file system of {path} has not enough room{told}; make room and run again",
        path=path,
        needed=needed,
        free=free,
    )


def failed(packages: t.Sequence[str], detail: str) -> TransactionError:
    lines = [line.rstrip() for line in detail.splitlines() if line.strip()][-_TAIL:]
    who = f" at {', '.join(packages)}" if packages else ""
    return TransactionError(
        f"the package transaction failed{who}: {' / '.join(line.strip() for line in lines)}; "
        "repair what it names and run again",
        packages=list(packages),
        detail="\n".join(lines),
    )


def dependency(lines: t.Sequence[str]) -> DependencyError:
    return DependencyError(
        f"the packages do not go together: {'; '.join(lines)}; name the missing ones too, or wish another version",
        detail="\n".join(lines),
    )


def downgraded(names: t.Sequence[str]) -> DependencyError:
    return DependencyError(
        f"the package transaction would downgrade {', '.join(names)}, which was not allowed; nothing was changed; "
        "wish the installed version or a newer one, or allow the downgrade",
        detail=" ".join(names),
    )


def check_downgrades(request: Request, names: t.Sequence[str]) -> None:
    if names and not request.downgrade:
        raise downgraded(names)


def gpg_reason(err: str) -> str:
    """Why gpg --verify did not accept a signature."""
    words = (("No public key", "no_key"), ("expired", "expired"), ("revoked", "revoked"), ("digest", "sha1"))
    return next((reason for word, reason in words if word in err), "bad_signature")


def check_holds(request: Request, transaction: Transaction, holds: t.AbstractSet[str]) -> None:
    """Raises HeldError where a package would change that somebody else holds."""
    foreign = sorted({change.name for change in transaction.changes} & (holds - set(request.own_holds)))
    if foreign:
        raise held(foreign)


def check_removals(request: Request, transaction: Transaction) -> None:
    """Raises TransactionError where a package would go that the request does not name."""
    unasked = sorted(set(transaction.removed) - set(request.remove))
    if unasked:
        names = ", ".join(unasked)
        raise TransactionError(
            f"the package transaction would also remove {names}, which was not asked for; nothing was changed; "
            "choose other packages, or remove these first",
            packages=unasked,
            detail="",
        )


def _amount(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
