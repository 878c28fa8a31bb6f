# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of a rolling change, of all hosts, before the first is touched. Pure. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from .._errors import WishError
from .._problems import Problems
from .._shape import integer, keys, mapping, number, sequence, shown
from .model import NOT_RESTORED, REBOOTS, SCHEDULERS, Host, Rolling, Size

VARIABLE = "gpu_driver_upgrade"
DOMAIN = "accel_gpu_failure_domain"
# These mean the run as a whole.
_SHARED = ("serial", "max_failures", "max_per_domain")
_KEYS = (*_SHARED, "drain_timeout", "drain_poll", "verify_timeout", "not_restored")
# As module gpu_drain takes them: least and most seconds.
_TIMES = {"drain_timeout": (1, 30 * 86400), "drain_poll": (0.1, 86400), "verify_timeout": (1, 86400)}
_YES = ("true", "yes", "on", "1")
_PERCENT = re.compile(r"(\d+)%")
_WANTED = 'a number of hosts, a share such as "20%", or a list of these'

Variables = t.Mapping[str, t.Any]


def parse_rolling(value: t.Any, address: str = VARIABLE) -> Rolling:
    """Raises WishError that names every wrong key. None is the default."""
    if value is None:
        return Rolling()
    given = mapping(value, address, "a mapping such as {serial: [1, 5%, 20%], max_failures: 2, max_per_domain: 1}")
    problems = Problems()
    with problems.caught():
        keys(given, address, _KEYS)
    read: t.Dict[str, t.Any] = {}
    for key, reader in (
        ("serial", _serial),
        ("max_failures", lambda one, where: integer(one, where, 0)),
        ("max_per_domain", lambda one, where: integer(one, where, 1)),
        *((name, _seconds(*limits)) for name, limits in _TIMES.items()),
        ("not_restored", _not_restored),
    ):
        if key in given:
            with problems.caught():
                read[key] = reader(given[key], f"{address}.{key}")
    problems.raise_any()
    return Rolling(**read)


def _seconds(least: float, most: float) -> t.Callable[[t.Any, str], float]:
    wanted = f"a number of seconds, {least} to {most}"

    def read(value: t.Any, address: str) -> float:
        given = number(value, address, wanted)
        if not least <= given <= most:
            raise WishError(f"{address}: {shown(value)} is out of range; give {wanted}", address=address)
        return given

    return read


def _not_restored(value: t.Any, address: str) -> str:
    if value not in NOT_RESTORED:
        raise WishError(f"{address}: {shown(value)} is unknown; allowed is {', '.join(NOT_RESTORED)}", address=address)
    return str(value)


def _serial(value: t.Any, address: str) -> t.Tuple[Size, ...]:
    if not isinstance(value, (list, tuple)):
        return (_size(value, address),)
    given = sequence(value, address)
    if not given:
        raise WishError(f"{address}: the list is empty; give {_WANTED}", address=address)
    return tuple(_size(one, f"{address}[{place}]") for place, one in enumerate(given))


def _size(value: t.Any, address: str) -> Size:
    text = str(value).strip() if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    percent = _PERCENT.fullmatch(text)
    if percent and 1 <= int(percent.group(1)) <= 100:
        return Size(int(percent.group(1)), percent=True)
    if text.isdigit() and int(text) >= 1:
        return Size(int(text))
    raise WishError(f"{address}: {shown(value)} is no size of a batch; give {_WANTED}", address=address)


def declares_gpus(own: Variables) -> bool:
    """Only a host that says that it has none is left out, as in every other playbook."""
    expected = own.get("accel_gpu_expected")
    none = isinstance(expected, dict) and str(expected.get("count", "")) == "0"
    return own.get("accel_gpu_use", "compute") != "none" and bool(expected) and not none


def declares_driver(own: Variables) -> bool:
    """As role gpu_driver sees it by its default of gpu_driver_enabled."""
    enabled = own.get("gpu_driver_enabled")
    if enabled is not None:
        return str(enabled).lower() in _YES
    wished = any(str(own.get(f"gpu_driver_{name}") or "") for name in ("branch", "version"))
    other = own.get("gpu_driver_state") not in (None, "present")
    return wished or other or own.get("gpu_driver_source") == "distribution"


def left_out(own: Variables) -> t.Optional[str]:
    """Why the run has nothing to do with a host, None where it has."""
    if not declares_gpus(own):
        return "declares no GPU, see accel_gpu_expected"
    if not declares_driver(own):
        return "declares no driver, see gpu_driver_version and gpu_driver_branch"
    return None


def parse_hosts(names: t.Sequence[str], variables: t.Mapping[str, Variables]) -> t.Tuple[t.List[Host], t.List[str]]:
    """The hosts in the given order, and every problem as a sentence that names host and variable."""
    hosts: t.List[Host] = []
    problems: t.List[str] = []
    for name in names:
        own = variables[name]
        try:
            rolling = parse_rolling(own.get(VARIABLE))
        except WishError as error:
            problems += [f"{name}: {line}" for line in error.message.splitlines()]
            continue
        domain, wrong = _domain(own.get(DOMAIN))
        hosts.append(Host(name, rolling, domain))
        problems += [f"{name}: {line}" for line in (*wrong, *_choices(own))]
    return hosts, [*problems, *_differing(hosts)]


def _domain(value: t.Any) -> t.Tuple[t.Optional[str], t.List[str]]:
    if value is None or value == "":
        return None, []
    if isinstance(value, str) and "{{" in value:
        # ansible-core 2.18 hands a template on as it is where a variable in it is undefined; newer ones refuse it.
        return None, [f"{DOMAIN}: {shown(value)} names a variable that is undefined here; define it for the host"]
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value), []
    return None, [f"{DOMAIN}: {shown(value)} is not the name of a failure domain; give a word such as the rack's"]


def _choices(own: Variables) -> t.Iterator[str]:
    for name, allowed in (("accel_gpu_scheduler", SCHEDULERS), ("gpu_driver_reboot", REBOOTS)):
        value = own.get(name)
        if value is not None and value not in allowed:
            yield f"{name}: {shown(value)} is unknown; allowed are {', '.join(allowed)}"
    state = own.get("gpu_driver_state")
    if state not in (None, "present"):
        yield (
            f"gpu_driver_state: {shown(state)} is no upgrade; set present, and to go back declare the version of "
            "before. On a drained node accel.gpu.site does what you declare, with gpu_driver_change_loaded: true"
        )
    if own.get("accel_gpu_scheduler") == "command" and not own.get("accel_gpu_drain_command"):
        yield "accel_gpu_drain_command is missing; accel_gpu_scheduler: command needs the program that drains"


def _differing(hosts: t.Sequence[Host]) -> t.Iterator[str]:
    """One run has one size of batches and one limit."""
    for host in hosts[1:]:
        for key in _SHARED:
            if getattr(host.rolling, key) != getattr(hosts[0].rolling, key):
                yield (
                    f"{host.name}: {VARIABLE}.{key} differs from that of {hosts[0].name}; "
                    "give all hosts of a run the same, or upgrade them in runs of their own"
                )
