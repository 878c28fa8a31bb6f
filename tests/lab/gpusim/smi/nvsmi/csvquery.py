# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""--query-gpu, --query-compute-apps, --query-remapped-rows and --query-supported-clocks as CSV."""

from __future__ import annotations

import typing as t

from nvsmi import errors, fields, options, processes, targets
from nvsmi.binding import nv, value

NOT_AVAILABLE = "[N/A]"
Row = t.Dict[str, t.Any]


def main(wish: options.Wish) -> int:
    """Print the chosen query. A wrong property or format ends with code 2 before any GPU is read."""
    query = t.cast(str, wish.query)
    header, units = _format(t.cast(str, wish.get("--format")))
    known = KNOWN[query]()
    aliases = fields.ALIASES if query == "--query-gpu" else APP_ALIASES
    names = [_resolve(word.strip(), known, aliases) for word in t.cast(str, wish.get(query)).split(",")]
    rows = ROWS[query](targets.present(wish.get("-i")), names)
    if header:
        print(", ".join(name + (f" [{known[name]}]" if known[name] and units else "") for name in names))
    for row in rows:
        print(", ".join(_cell(row[name], known[name] if units else "") for name in names))
    return errors.OK


def help_text(wish: options.Wish) -> int:
    """--help-query-…: the properties, one a line."""
    query = next(name for name in wish.given if name.startswith("--help-query"))[len("--help-") :]
    print(f'List of valid properties to query for the switch "--{query}":\n')
    for name in KNOWN["--" + query]():
        print(f'"{name}"')
    return errors.OK


def _format(text: str) -> t.Tuple[bool, bool]:
    words = [word.strip() for word in text.split(",")]
    if any(word not in ("csv", "noheader", "nounits") for word in words):
        raise errors.usage("Format modifier is not recognized.")
    if "csv" not in words:
        raise errors.usage("Format modifier --format=csv is mandatory.")
    return "noheader" not in words, "nounits" not in words


def _resolve(word: str, known: t.Dict[str, str], aliases: t.Dict[str, str]) -> str:
    name = word if word in known else aliases.get(word, word)
    if name not in known:
        raise errors.usage(f'Field "{word}" is not a valid field to query.\n')
    return name


def _cell(found: t.Any, unit: str) -> str:
    if found is None or found == "":
        return NOT_AVAILABLE
    return f"{found} {unit}" if unit else str(found)


def _gpu_rows(gpus: t.Sequence[targets.Gpu], names: t.Sequence[str]) -> t.Iterator[Row]:
    for gpu in gpus:
        yield {name: fields.FIELDS[name][1](gpu.handle) for name in names}


def _app_rows(gpus: t.Sequence[targets.Gpu], names: t.Sequence[str]) -> t.Iterator[Row]:
    for gpu in gpus:
        for process in processes.of(gpu.handle, ("C",)):
            yield {
                "timestamp": fields.FIELDS["timestamp"][1](gpu.handle),
                "gpu_name": nv.nvmlDeviceGetName(gpu.handle),
                "gpu_bus_id": gpu.pci,
                "gpu_serial": value(nv.nvmlDeviceGetSerial, gpu.handle),
                "gpu_uuid": nv.nvmlDeviceGetUUID(gpu.handle),
                "pid": process.pid,
                "process_name": process.name,
                "used_gpu_memory": process.memory_mib,
            }


def _row_rows(gpus: t.Sequence[targets.Gpu], names: t.Sequence[str]) -> t.Iterator[Row]:
    for gpu in gpus:
        found = value(nv.nvmlDeviceGetRemappedRows, gpu.handle) or (None, None, None, None)
        histogram = value(nv.nvmlDeviceGetRowRemapperHistogram, gpu.handle)
        row: Row = {
            "gpu_name": nv.nvmlDeviceGetName(gpu.handle),
            "gpu_bus_id": gpu.pci,
            "gpu_serial": value(nv.nvmlDeviceGetSerial, gpu.handle),
            "gpu_uuid": nv.nvmlDeviceGetUUID(gpu.handle),
        }
        for key, number in zip(("correctable", "uncorrectable", "pending", "failure"), found):
            row["remapped_rows." + key] = number
        for key in HISTOGRAM:
            row["remapped_rows.histogram." + key] = None if histogram is None else getattr(histogram, key)
        yield row


def _clock_rows(gpus: t.Sequence[targets.Gpu], names: t.Sequence[str]) -> t.Iterator[Row]:
    for gpu in gpus:
        for memory in value(nv.nvmlDeviceGetSupportedMemoryClocks, gpu.handle) or []:
            for graphics in value(nv.nvmlDeviceGetSupportedGraphicsClocks, gpu.handle, memory) or []:
                yield {
                    "timestamp": fields.FIELDS["timestamp"][1](gpu.handle),
                    "gpu_name": nv.nvmlDeviceGetName(gpu.handle),
                    "gpu_bus_id": gpu.pci,
                    "gpu_serial": value(nv.nvmlDeviceGetSerial, gpu.handle),
                    "gpu_uuid": nv.nvmlDeviceGetUUID(gpu.handle),
                    "memory": memory,
                    "graphics": graphics,
                }


APP_ALIASES = {"name": "process_name", "used_memory": "used_gpu_memory", "gr": "graphics", "mem": "memory"}
HISTOGRAM = ("max", "high", "partial", "low", "none")
IDENTITY = {"gpu_name": "", "gpu_bus_id": "", "gpu_serial": "", "gpu_uuid": ""}
KNOWN: t.Dict[str, t.Callable[[], t.Dict[str, str]]] = {
    "--query-gpu": lambda: {name: unit for name, (unit, _reader) in fields.FIELDS.items()},
    "--query-compute-apps": lambda: dict(IDENTITY, timestamp="", pid="", process_name="", used_gpu_memory="MiB"),
    "--query-remapped-rows": lambda: dict(
        IDENTITY,
        **{"remapped_rows." + key: "" for key in ("correctable", "uncorrectable", "pending", "failure")},
        **{"remapped_rows.histogram." + key: "" for key in HISTOGRAM},
    ),
    "--query-supported-clocks": lambda: dict(IDENTITY, timestamp="", memory="MHz", graphics="MHz"),
}
ROWS: t.Dict[str, t.Callable[[t.Sequence[targets.Gpu], t.Sequence[str]], t.Iterator[Row]]] = {
    "--query-gpu": _gpu_rows,
    "--query-compute-apps": _app_rows,
    "--query-remapped-rows": _row_rows,
    "--query-supported-clocks": _clock_rows,
}
