# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of gpu_driver to a Wish: shape only, no node is looked at. PRIVATE to the collection."""

from __future__ import annotations

import datetime
import re
import typing as t

from .._data.driver_branches import BRANCHES
from .._data.driver_distributions import KEYS
from .._data.driver_system import MODULES
from .._errors import WishError
from .._expected import parse_exceptions, parse_expected
from .._packages import openpgp
from .._problems import Problems
from .._shape import boolean, integer, keys, mapping, number, sequence, shown, text
from . import versions
from .model import Mirror, Parameters, Wish

CHOICES: t.Dict[str, t.Tuple[str, ...]] = {
    "state": ("present", "absent", "restored"),
    "source": ("distribution", "nvidia", "mirror"),
    "flavour": ("auto", "open", "proprietary"),
    "profile": ("compute", "full"),
    "modules": ("dkms", "precompiled"),
    "reload": ("never", "if_needed"),
    "when_busy": ("refuse", "defer"),
    "daemon_reload": ("auto", "allowed"),
}
BOOLEANS = (
    "persistenced",
    "hold",
    "blacklist_nouveau",
    "change_loaded",
    "allow_kernel_change",
    "takeover",
    "newest",
    "download_only",
    "keep_geometry",
)
_OTHERS = (
    "mirror",
    "branch",
    "version",
    "parameters",
    "expected",
    "exceptions",
    "run",
    "restore_runs",
    "cache_valid_time",
    "lock_timeout",
    "address_prefix",
)
OPTIONS = (*CHOICES, *BOOLEANS, *_OTHERS)

_MIRROR = "a mapping with url, and with key and fingerprint where another key signs it"
_RUN = "the name of a run, such as 20261126T044721Z-9c1f"
_ADDRESS = re.compile(r"^(?:https?://[^\s/]+|file://)/?[^\s]*$")
_CREDENTIALS = re.compile(r"^[^/]*//[^/]*@")
_FINGERPRINT = re.compile(r"^[0-9A-F]{40}$")
_PARAMETER = re.compile(r"^[A-Za-z0-9_]+$")


def parse(options: t.Mapping[str, t.Any], today: datetime.date) -> Wish:
    """The wish of one node; None stands for an option that was not given.

    Raises WishError that names every wrong option, with `address_prefix` in front. `today` is the day against which the
    life of a branch is judged.
    """
    prefix = str(options.get("address_prefix") or "")
    given = {name: value for name, value in options.items() if value is not None and name != "address_prefix"}
    problems = Problems()
    with problems.caught():
        keys(given, prefix.rstrip("_.") or "options", OPTIONS)
    found: t.Dict[str, t.Any] = {"today": today, "prefix": prefix}
    for name, allowed in CHOICES.items():
        with problems.caught():
            if name in given:
                found[name] = _choice(given[name], f"{prefix}{name}", allowed)
    for name in BOOLEANS:
        with problems.caught():
            if name in given:
                found[name] = boolean(given[name], f"{prefix}{name}")
    _numbers(given, prefix, problems, found)
    _release(given, prefix, problems, found)
    _runs(given, prefix, problems, found)
    _declaration(given, prefix, problems, found)
    with problems.caught():
        found["mirror"] = _mirror(given, prefix)
    with problems.caught():
        if "parameters" in given:
            found["parameters"] = _parameters(given["parameters"], f"{prefix}parameters")
    problems.raise_any()
    return Wish(**found)


def _choice(value: t.Any, address: str, allowed: t.Sequence[str]) -> str:
    if value not in allowed:
        raise WishError(f"{address}: {shown(value)} is unknown; allowed are {', '.join(allowed)}", address=address)
    return str(value)


def _numbers(given: t.Mapping[str, t.Any], prefix: str, problems: Problems, found: t.Dict[str, t.Any]) -> None:
    with problems.caught():
        if "cache_valid_time" in given:
            found["cache_valid_time"] = integer(given["cache_valid_time"], f"{prefix}cache_valid_time", 0)
    with problems.caught():
        if "lock_timeout" in given:
            found["lock_timeout"] = number(given["lock_timeout"], f"{prefix}lock_timeout", "seconds above 0")


def _runs(given: t.Mapping[str, t.Any], prefix: str, problems: Problems, found: t.Dict[str, t.Any]) -> None:
    with problems.caught():
        if "run" in given:
            found["run"] = text(given["run"], f"{prefix}run", _RUN)
    with problems.caught():
        if "restore_runs" in given:
            address = f"{prefix}restore_runs"
            entries = sequence(given["restore_runs"], address, "a list of names of runs")
            found["restore_runs"] = tuple(text(one, f"{address}[{n}]", _RUN) for n, one in enumerate(entries))


def _declaration(given: t.Mapping[str, t.Any], prefix: str, problems: Problems, found: t.Dict[str, t.Any]) -> None:
    """Suboptions that were not given are None to a module."""
    with problems.caught():
        declared = {key: value for key, value in (given.get("expected") or {}).items() if value is not None}
        found["expected"] = parse_expected(declared, f"{prefix}expected") if declared else None
    with problems.caught():
        found["faults"] = parse_exceptions(given.get("exceptions"), f"{prefix}exceptions")


# --- which driver --------------------------------------------------------------------------------------------------


def _release(given: t.Mapping[str, t.Any], prefix: str, problems: Problems, found: t.Dict[str, t.Any]) -> None:
    with problems.caught():
        if "branch" in given:
            found["branch"] = _branch(given["branch"], f"{prefix}branch")
    with problems.caught():
        if "version" in given:
            found["version"] = _version(given["version"], f"{prefix}version")
    if "branch" in found and "version" in found:
        problems.add(
            f"{prefix}branch: {shown(found['branch'])} and {prefix}version {shown(found['version'])} exclude each "
            "other; keep the branch to follow it, or the version to stay at it",
            address=f"{prefix}branch",
        )


def _branch(value: t.Any, address: str) -> str:
    """YAML makes a number of an unquoted 580."""
    given = str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value, address)
    if versions.is_exact(given):
        raise WishError(
            f"{address}: {shown(given)} is a version; give it as {address[: -len('branch')]}version, or branch "
            f"{versions.branch(given)}",
            address=address,
        )
    if given not in BRANCHES:
        raise WishError(
            f"{address}: {shown(given)} is no driver branch that is known here; known are {', '.join(BRANCHES)}",
            address=address,
        )
    return given


def _version(value: t.Any, address: str) -> str:
    if isinstance(value, float):  # an unquoted 575.64; 580.10 would have lost its last digit
        raise WishError(f"{address}: {value} is a number; quote it, versions are strings", address=address)
    given = text(value, address, 'a version such as "580.126.16"')
    if not versions.is_exact(given):
        raise WishError(
            f"{address}: {shown(given)} is no driver version; give NVIDIA's form without revision, such as 580.126.16",
            address=address,
        )
    if versions.branch(given) not in BRANCHES:
        raise WishError(
            f"{address}: {given} belongs to branch {versions.branch(given)}, which is not known here; known are "
            f"{', '.join(BRANCHES)}",
            address=address,
        )
    return given


# --- where it comes from -------------------------------------------------------------------------------------------


def _mirror(given: t.Mapping[str, t.Any], prefix: str) -> t.Optional[Mirror]:
    """Read where the source is the mirror; elsewhere a group's mirror may stand unread."""
    address = f"{prefix}mirror"
    if given.get("source") != "mirror":
        return None
    if not given.get("mirror"):
        raise WishError(f"{address}: is empty, but {prefix}source is mirror; give {_MIRROR}", address=address)
    value = mapping(given["mirror"], address, _MIRROR)
    keys(value, address, ("url", "key", "fingerprint"))
    url = _url(value.get("url"), f"{address}.url")
    key = text(value["key"], f"{address}.key", "an armored OpenPGP key") if value.get("key") else ""
    fingerprint = _fingerprint(value["fingerprint"], f"{address}.fingerprint") if value.get("fingerprint") else ""
    if key and not fingerprint:
        raise WishError(
            f"{address}: key is given without fingerprint, so nothing says that it is the right one; give the "
            "fingerprint of the key",
            address=address,
        )
    if key:
        _check_key(key, fingerprint, address)
    elif fingerprint and fingerprint not in KEYS:
        raise WishError(
            f"{address}: fingerprint {fingerprint} is none of NVIDIA's keys, and key is not given; give the armored "
            "key",
            address=address,
        )
    return Mirror(url, key, fingerprint)


def _url(value: t.Any, address: str) -> str:
    wanted = "the address that stands for .../compute/cuda/repos"
    given = text(value, address, wanted).rstrip("/")
    if _CREDENTIALS.match(given):
        raise WishError(
            f"{address}: has a user name in it, and results, reports and files that everybody may read would show it; "
            "give the address without, and name and password to the package manager itself (/etc/apt/auth.conf.d, "
            "username and password in /etc/dnf/dnf.conf, /etc/zypp/credentials.cat)",
            address=address,
        )
    if not _ADDRESS.match(given):
        raise WishError(f"{address}: {shown(given)} is no http, https or file address; give {wanted}", address=address)
    return given


def _fingerprint(value: t.Any, address: str) -> str:
    given = "".join(text(value, address, "40 hexadecimal digits").split()).upper()
    if not _FINGERPRINT.match(given):
        raise WishError(
            f"{address}: {shown(value)} is no fingerprint; give all 40 hexadecimal digits, a key id is not enough",
            address=address,
        )
    return given


def _check_key(key: str, fingerprint: str, address: str) -> None:
    try:
        there = openpgp.fingerprints(key.encode("utf-8"))
    except WishError as error:
        raise WishError(f"{address}.key: {error.message}", address=f"{address}.key") from None
    if fingerprint not in there:
        raise WishError(
            f"{address}.key: has the fingerprint {', '.join(there)}, not {fingerprint}; give the key that belongs to "
            "the fingerprint, and do not trust this one",
            address=f"{address}.key",
        )
    more = sorted(set(there) - {fingerprint})
    if more:
        raise WishError(
            f"{address}.key: beside {fingerprint} it has the key {', '.join(more)}, which the package manager would "
            f"trust as well; give the one key alone (gpg --armor --export {fingerprint})",
            address=f"{address}.key",
            fingerprints=more,
        )


# --- parameters ----------------------------------------------------------------------------------------------------


def _parameters(value: t.Any, address: str) -> Parameters:
    """{nvidia: {NVreg_RestrictProfilingToAdminUsers: 0}}; a dash in a module's name is an underscore to the kernel."""
    problems = Problems()
    found: t.Dict[str, t.Dict[str, str]] = {}
    for module, entries in mapping(value, address, "a mapping of kernel module to its parameters").items():
        where = f"{address}.{module}"
        name = module.replace("-", "_")
        with problems.caught():
            if name not in MODULES:
                raise WishError(
                    f"{where}: is no kernel module of the driver; allowed are {', '.join(MODULES)}", address=where
                )
            pairs = found.setdefault(name, {})
            for parameter, setting in mapping(entries, where, "a mapping of parameter to value").items():
                pairs[_name(parameter, where)] = _setting(setting, f"{where}.{parameter}")
    problems.raise_any()
    return {name: entries for name, entries in found.items() if entries}


def _name(parameter: str, address: str) -> str:
    if not _PARAMETER.match(parameter):
        raise WishError(
            f"{address}: {shown(parameter)} is no name of a parameter; names have letters, digits and underscores",
            address=address,
        )
    return parameter


def _setting(value: t.Any, address: str) -> str:
    """As the kernel reads it: 1 and 0 for true and false."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    given = text(value, address, "a number, true, false or a string")
    if re.search(r"[\s\"'#\\]", given):
        raise WishError(
            f"{address}: {shown(given)} has a blank, a quotation mark, # or \\, which modprobe.d takes for something "
            "else; give the value without",
            address=address,
        )
    return given
