# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of `gpusim`: options, and from them one command for the library's control function."""

from __future__ import annotations

import argparse
import typing as t

KINDS = ("compute", "graphics", "mps", "holder")
# What follows the GPU on the command line.
VALUES = {"set": "KEY VALUE", "xid": "CODE", "reset": "", "occupy": "", "release": ""}
INIT_WORDS = ("driver", "cuda", "nvml", "virt", "guest_reset", "ampere_toggle", "seed", "first_bus")
OCCUPY_WORDS = ("gi", "ci", "pid", "kind", "mem", "sm", "name")
EPILOG = """GPU is an index, a UUID or a PCI address, given first or with --gpu.
The state file is GPUSIM_STATE (default /var/lib/gpusim/state), the library GPUSIM_LIBRARY, else one beside the
command, else libnvidia-ml.so.1 of the loader. Exit code: 0 done, 1 refused by the simulator, 2 wrong usage."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without the usage block."""

    def error(self, message: str) -> t.NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def build() -> argparse.ArgumentParser:
    """The parser with all verbs."""
    parser = Parser(
        prog="gpusim",
        description="Set up and steer the simulated GPU node.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--state", metavar="FILE", help="state file, instead of GPUSIM_STATE")
    parser.add_argument("--library", metavar="FILE", help="the simulator's library, instead of GPUSIM_LIBRARY")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _node_verbs(verbs)
    _process_verbs(verbs)
    _fault_verbs(verbs)
    return parser


def _verb(verbs: t.Any, name: str, text: str, gpu: bool = False) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    if gpu:
        verb.add_argument("--gpu", help="index, UUID or PCI address")
        verb.add_argument("args", nargs="*", metavar=("[GPU] " + VALUES[name]).strip())
    return verb


def _node_verbs(verbs: t.Any) -> None:
    init = _verb(verbs, "init", "make a new node with these boards, all state fresh")
    init.add_argument(
        "--boards",
        metavar="BOARD[,BOARD…]",
        required=True,
        help="board keys, one per GPU; KEY*4 for four; none for no GPU",
    )
    init.add_argument("--driver", metavar="VERSION", help="driver version that NVML reports")
    init.add_argument("--cuda", metavar="NUMBER", help="CUDA driver version, e.g. 13000")
    init.add_argument("--nvml", metavar="VERSION", help="version of the library, when it is not the driver's")
    init.add_argument("--virt", choices=("none", "passthrough", "vgpu"), help="virtualization mode of the GPUs")
    init.add_argument("--guest-reset", choices=("yes", "no"), help="whether a guest can reset its GPUs")
    init.add_argument("--ampere-toggle", choices=("pending", "immediate"), help="what a MIG mode change does on Ampere")
    init.add_argument("--seed", metavar="WORD", help="makes other UUIDs and serial numbers")
    init.add_argument("--first-bus", metavar="NUMBER", help="PCI bus of the first GPU")
    show = _verb(verbs, "show", "show GPUs, instances and processes")
    show.add_argument("--json", action="store_true", help="the whole state as JSON")
    _verb(verbs, "boards", "the known boards and their facts, as JSON")
    _verb(verbs, "keys", "the keys of `set` with unit and default, as JSON")
    node = _verb(verbs, "node", "change a property of the node, such as kernel_driver or virt")
    node.add_argument("key", metavar="KEY")
    node.add_argument("value", metavar="VALUE")
    _verb(verbs, "reset", "reset one GPU, refused while it is in use", gpu=True)
    _verb(verbs, "reboot", "what a reboot does: instances, processes and settings go, pending modes are applied")
    _verb(verbs, "unload", "unload the driver module")
    _verb(verbs, "load", "load the driver module")
    _verb(verbs, "set", "set a reading, e.g. `set 0 temperature 88`", gpu=True)
    _verb(verbs, "xid", "raise an Xid error: one line in the kernel-log file", gpu=True)
    raw = _verb(verbs, "control", "send a command of the control interface as it is and print the answer")
    raw.add_argument("words", nargs="+", metavar="WORD")


def _process_verbs(verbs: t.Any) -> None:
    occupy = _verb(verbs, "occupy", "put a process on a GPU or an instance", gpu=True)
    occupy.add_argument("--gi", type=int, metavar="ID", help="GPU instance")
    occupy.add_argument("--ci", type=int, metavar="ID", help="compute instance of --gi")
    who = occupy.add_mutually_exclusive_group(required=True)
    who.add_argument("--pid", type=int, help="an existing process; it is dropped when it ends")
    who.add_argument("--spawn", action="store_true", help="start a sleeping process for it and print its pid")
    occupy.add_argument("--kind", choices=KINDS, help="compute (default), or a handle without process: holder")
    occupy.add_argument("--mem", type=int, metavar="MIB", help="GPU memory it uses")
    occupy.add_argument("--sm", type=int, metavar="PERCENT", help="SM utilization it causes")
    occupy.add_argument("--name", help="process name that NVML reports")
    occupy.add_argument("--sticky", action="store_true", help="keep it even if no such process exists")
    release = _verb(verbs, "release", "take a process off a GPU; one started with --spawn is ended", gpu=True)
    release.add_argument("--pid", type=int, required=True)


def _fault_verbs(verbs: t.Any) -> None:
    fault = _verb(verbs, "fault", "let the n-th coming call of an NVML function go wrong")
    fault.add_argument("function", metavar="FUNCTION", help="such as nvmlDeviceCreateGpuInstance, or * for any")
    fault.add_argument("--nth", type=int, default=1, metavar="N", help="which call from now on (default 1)")
    fault.add_argument("--times", type=int, metavar="K", help="how many calls from the n-th on")
    fault.add_argument("--gpu", help="only calls about this GPU")
    action = fault.add_mutually_exclusive_group(required=True)
    action.add_argument("--code", metavar="NVML_ERROR_…", help="return this code")
    action.add_argument("--hang", nargs="?", const="", metavar="SECONDS", help="return late, or never")
    action.add_argument("--kill", action="store_true", help="SIGKILL to the caller")
    action.add_argument("--killgroup", action="store_true", help="SIGKILL to the caller's process group")
    fault.add_argument("--when", choices=("before", "after"), help="after: the call takes effect first")
    _verb(verbs, "faults", "list the faults that are set")
    _verb(verbs, "clearfaults", "remove all faults")
    counts = _verb(verbs, "counts", "calls per NVML function since init or resetcounts")
    counts.add_argument("--json", action="store_true")
    _verb(verbs, "resetcounts", "set all call counts to zero")


def command(args: argparse.Namespace) -> t.List[str]:
    """The control command of parsed options. Raises ValueError with one sentence on wrong usage."""
    verb = args.verb
    if verb == "control":
        return list(args.words)
    if verb == "init":
        return ["init", args.boards, *_pairs(args, INIT_WORDS)]
    if verb == "node":
        return ["node", args.key, args.value]
    if verb in ("occupy", "release"):
        gpu = _gpu(args)[0]
        return [verb, gpu, *_pairs(args, OCCUPY_WORDS), *(["sticky"] if getattr(args, "sticky", False) else [])]
    if verb in ("reset", "set", "xid"):
        gpu, rest = _gpu(args)
        return [verb, gpu, *rest]
    if verb == "fault":
        return ["fault", args.function, f"nth={args.nth}", _action(args), *_pairs(args, ("times", "gpu", "when"))]
    return [verb]


def _gpu(args: argparse.Namespace) -> t.Tuple[str, t.List[str]]:
    rest = list(args.args)
    gpu = args.gpu
    if gpu is None:
        if not rest:
            raise ValueError(f"{args.verb}: name a GPU (index, UUID or PCI address), first or with --gpu")
        gpu = rest.pop(0)
    if len(rest) != len(VALUES[args.verb].split()):
        given = " ".join(rest) or "nothing"
        raise ValueError(
            "{} takes {} after the GPU; given: {}".format(args.verb, VALUES[args.verb] or "nothing", given)
        )
    return gpu, rest


def _pairs(args: argparse.Namespace, keys: t.Sequence[str]) -> t.List[str]:
    found = ((key, getattr(args, key, None)) for key in keys)
    return [f"{key}={value}" for key, value in found if value is not None]


def _action(args: argparse.Namespace) -> str:
    if args.code:
        return f"code={args.code}"
    if args.hang is not None:
        return f"hang={args.hang}" if args.hang else "hang"
    return "kill" if args.kill else "killgroup"
