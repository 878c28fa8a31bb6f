# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Profile names and how they are found on a live GPU. PRIVATE to the collection.

The grammar is `[Cc.]Gg.Ngb[+attribute][-attribute]`: C compute slices out of a GPU instance with G slices and N GB.
The figure N drifts: the driver's names differ between versions (NVIDIA/mig-parted#227: 1g.24gb became 1g.23gb on
GB200) and from the rounding that mig-parted does by itself (NVIDIA/mig-parted#31: 3g.39gb for 3g.40gb). So a name is
looked for exactly, then by its slices, attributes and nearly its memory.
"""

from __future__ import annotations

import math
import re
import typing as t
from dataclasses import dataclass

from .._errors import WishError
from .._nvml.objects import ComputeInstanceProfile, Gpu, GpuInstanceProfile
from .._select import label

_NAME = re.compile(r"^(?:(\d+)c\.)?(\d+)g\.(\d+)gb((?:[+-][a-z0-9]+(?:\.[a-z0-9]+)*)*)$")
_ATTRIBUTE = re.compile(r"[+-][^+-]+")
_COMPUTE = re.compile(r"^(\d+)c$")

# How far the memory in a name may be off. Names that drifted are within 4.4 % (23 for 24), names of other boards
# beyond 12 % (1g.10gb is no 1g.12gb).
_DRIFT = 0.05

# How far `memory_gib` of a wish may be off: people give the size of the name or what nvidia-smi prints, which on
# H200 (1g.18gb has 16.0 GiB) are 12 % apart. Profiles of equal slices are at least 90 % apart.
_NEAR = 0.10


@dataclass(frozen=True)
class ProfileName:
    """`compute` is C where given. `attributes` keep their sign: ("+me",), ("-me",)."""

    slices: int
    gigabytes: int
    attributes: t.Tuple[str, ...] = ()
    compute: t.Optional[int] = None

    @property
    def gpu_instance(self) -> str:
        return f"{self.slices}g.{self.gigabytes}gb{''.join(self.attributes)}"

    @property
    def spans(self) -> bool:
        return self.compute in (None, self.slices)


def parse_name(text: str) -> t.Optional[ProfileName]:
    """None where the text is no profile name. Mixing + and - is none, as in mig-parted."""
    match = _NAME.match(text)
    if match is None:
        return None
    attributes = tuple(sorted(_ATTRIBUTE.findall(match.group(4))))
    if len({attribute[0] for attribute in attributes}) > 1 or int(match.group(2)) == 0:
        return None
    compute = None if match.group(1) is None else int(match.group(1))
    if compute is not None and not 1 <= compute <= int(match.group(2)):
        return None
    return ProfileName(int(match.group(2)), int(match.group(3)), attributes, compute)


def compute_slices(text: str, of: int) -> t.Optional[int]:
    """How many compute slices "1c", "1c.3g.40gb" or "3g.40gb" takes of a GPU instance with `of` slices."""
    short = _COMPUTE.match(text)
    if short is not None:
        return int(short.group(1)) or None
    name = parse_name(text)
    if name is None:
        return None
    return of if name.compute is None else name.compute


def attributes_of(profile: GpuInstanceProfile) -> t.Tuple[str, ...]:
    """The name is the one place where NVML tells attributes."""
    return tuple(sorted(_ATTRIBUTE.findall(profile.name.partition("gb")[2])))


def offered(profiles: t.Iterable[t.Union[GpuInstanceProfile, ComputeInstanceProfile]]) -> str:
    """Names for a message, as people list them: small ones first."""
    ordered = sorted(profiles, key=lambda profile: (profile.slices, profile.name.partition("gb")[0], profile.name))
    return ", ".join(dict.fromkeys(profile.name for profile in ordered))


def find_by_name(text: str, gpu: Gpu, address: str) -> t.Tuple[GpuInstanceProfile, t.Optional[str]]:
    """The live profile that `text` names, with a note where its name differs. Raises WishError where there is none."""
    profiles = gpu.mig.profiles
    exact = next((profile for profile in profiles if profile.name == text), None)
    if exact is not None:
        return exact, None
    name = parse_name(text)
    if name is not None:
        like = [p for p in profiles if p.slices == name.slices and attributes_of(p) == name.attributes]
        near = [p for p in like if _is_near(name.gigabytes, _sizes(p, gpu), _DRIFT)]
        if len(near) == 1:
            return near[0], f"{address}: profile {text} is named {near[0].name} by this driver"
    raise WishError(
        f'{address} ({label(gpu)}): profile "{text}" does not exist on this GPU; it offers {offered(profiles)}; '
        "give one of these",
        address=address,
        gpu=gpu.uuid,
    )


def find_by_figures(
    slices: int, memory_gib: t.Optional[float], attributes: t.Tuple[str, ...], gpu: Gpu, address: str
) -> GpuInstanceProfile:
    """The live profile with these slices and attributes and nearly this memory. Raises WishError unless exactly one."""
    like = [p for p in gpu.mig.profiles if p.slices == slices and attributes_of(p) == tuple(sorted(attributes))]
    near = like if memory_gib is None else [p for p in like if _is_near(memory_gib, _sizes(p, gpu), _NEAR)]
    if len(near) == 1:
        return near[0]
    wished = f"slices {slices}" + ("" if memory_gib is None else f", memory_gib {memory_gib:g}")
    wished += f", attributes {' '.join(attributes)}" if attributes else ""
    ordered = sorted(gpu.mig.profiles, key=lambda p: (p.slices, p.memory_mib, p.name))
    table = ", ".join(f"{p.name} (slices {p.slices}, {p.memory_mib / 1024:.2f} GiB)" for p in ordered)
    problem = f"several profiles have {wished}: {offered(near)}" if near else f"no profile has {wished}"
    raise WishError(
        f"{address} ({label(gpu)}): {problem}; this GPU offers {table}; correct the figures or give profile by name",
        address=address,
        gpu=gpu.uuid,
    )


def _sizes(profile: GpuInstanceProfile, gpu: Gpu) -> t.List[float]:
    """What may stand in the name of a profile: the driver's figure, its real memory, mig-parted's rounding."""
    sizes = [profile.memory_mib / 1024]
    name = parse_name(profile.name)
    if name is not None:
        sizes.append(float(name.gigabytes))
    if gpu.memory_mib:
        # Source: go-nvlib pkg/nvlib/device/mig_profile.go, the memory in eighths of the GPU's, rounded up.
        eighths = math.ceil(profile.memory_mib / gpu.memory_mib * 8)
        sizes.append(eighths / 8 * round(gpu.memory_mib / 1024))
    return sizes


def _is_near(asked: float, sizes: t.Iterable[float], tolerance: float) -> bool:
    return any(abs(asked - size) <= tolerance * asked for size in sizes)
