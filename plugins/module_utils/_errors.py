# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors, one class per thing the user should do. PRIVATE to the collection.

Cores raise them, `_module` turns them into `fail_json` and the node agent into an exit code, each in one place.
A message names the object, the option, the given value, what is allowed and the remedy.
"""

from __future__ import annotations

import typing as t


class AccelError(Exception):
    """Base of all expected failures.

    `kind` is a stable word for machines (module result `error.kind`, agent JSON); `facts` holds plain JSON values.
    """

    kind = "error"

    def __init__(self, message: str, **facts: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class WishError(AccelError):
    """The wish is wrong or cannot be met by this hardware: correct the inventory."""

    kind = "wish"


class BusyError(AccelError):
    """Running work would be hurt: drain first, or use the named opt-out if there is one."""

    kind = "busy"


class ForeignManagerError(AccelError):
    """Another manager owns this node: configure that one, or set `accel_gpu_takeover`."""

    kind = "foreign_manager"


class BlockedError(AccelError):
    """The change cannot be completed here now (guest without reset, unknown holder): remove what the message names."""

    kind = "blocked"


class LockTimeoutError(AccelError):
    """Another run holds the node's lock: wait for it and run again."""

    kind = "locked"


class NotRootError(AccelError):
    """Rights are missing: become root."""

    kind = "permission"


class DriverMissingError(AccelError):
    """No NVIDIA driver or library on the node: install it (role gpu_driver)."""

    kind = "driver_missing"


class DriverMismatchError(AccelError):
    """Library and loaded kernel module differ in version: reload the module or reboot."""

    kind = "driver_mismatch"


# What role gpu_driver mends: in check mode nobody can say yet what a module would find after it (rule 27).
AWAITS_DRIVER = (DriverMissingError, DriverMismatchError)


class MissingGpuError(AccelError):
    """A GPU that the inventory declares does not answer: repair the node or declare an exception."""

    kind = "gpu_missing"


class BindingWantedError(AccelError):
    """libnvidia-ml is there but no pynvml: the action plugin brings it and calls again."""

    kind = "binding_missing"


class PayloadWantedError(AccelError):
    """Files of the node agent are out of date: the action plugin brings them and calls again."""

    kind = "payload_wanted"


class NvmlError(AccelError):
    """NVML refused one call. facts: call, gpu, code (int), code_name ("IN_USE", ...)."""

    kind = "nvml"


class GpuLostError(NvmlError):
    """The GPU fell off the bus or needs a reset: reset, reboot or contact support."""

    kind = "gpu_lost"


class GpuHungError(NvmlError):
    """An NVML call did not answer within its deadline. facts: call, gpu, deadline."""

    kind = "gpu_hung"


class SessionDiedError(NvmlError):
    """The child that held the NVML session ended without an answer. facts: call, gpu, signal."""

    kind = "session_died"


class PackageLockedError(AccelError):
    """Another program works on packages: wait for it. facts: path, pid, program."""

    kind = "package_locked"


class PackageStateError(AccelError):
    """The package database is not in order (interrupted dpkg, broken rpm database): repair it. facts: problems."""

    kind = "package_state"


class RepositoryError(AccelError):
    """A repository cannot be used: correct its address or key, or repair it. facts: url, reason, detail."""

    kind = "repository"


class VersionMissingError(AccelError):
    """A package or a version of it is in no repository of the node. facts: package, version, available."""

    kind = "version_missing"


class DependencyError(AccelError):
    """Packages do not go together: name those that the message tells, or wish another version. facts: detail."""

    kind = "dependency"


class HeldError(AccelError):
    """A package that somebody else holds would change: ask them, or release it. facts: packages."""

    kind = "held"


class DiskFullError(AccelError):
    """A file system is too full: make room. facts: path, needed, free."""

    kind = "disk_full"


class TransactionError(AccelError):
    """The package manager failed on the way (a script of a package, for instance). facts: packages, detail."""

    kind = "transaction"


class ApplyError(AccelError):
    """A step failed on the way. facts: step, restored (bool), cause (kind)."""

    kind = "apply"


class VerifyError(AccelError):
    """After the last step the node is not what the plan said. facts: wanted, found."""

    kind = "verify"


class InternalError(AccelError):
    """A bug in accel.gpu: report it with the message."""

    kind = "internal"
