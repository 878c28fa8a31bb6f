# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the lab."""

from __future__ import annotations

import argparse
import sys
import typing as t
from pathlib import Path

from labctl import image, inventory, nodes
from labctl.common import LabError, Progress


def main(arguments: t.Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _image(options: argparse.Namespace) -> None:
    for name in options.names or ["node"]:
        print(image.ensure(name))


def _up(options: argparse.Namespace) -> None:
    specs = inventory.read(options.inventory)
    if not specs:
        raise LabError(f"{options.inventory} has no host with lab_boards or lab_state")
    tags = {name: image.ensure(name) for name in sorted({spec.image for spec in specs})}
    progress = Progress(f"scenario {options.scenario}")
    nodes.report(progress, nodes.up(options.scenario, specs, tags))


def _down(options: argparse.Namespace) -> None:
    if not options.all and options.scenario is None:
        raise LabError("down needs --scenario NAME or --all")
    progress = Progress("down")
    for name in nodes.down(None if options.all else options.scenario):
        progress.say(f"removed {name}")
    if options.images:
        for tag in image.remove_all():
            progress.say(f"removed image {tag}")


def _restart(options: argparse.Namespace) -> None:
    progress = Progress(f"scenario {options.scenario}")
    nodes.report(progress, [nodes.restart(options.scenario, options.host, options.hard)])


def _list(options: argparse.Namespace) -> None:
    for one in nodes.containers(options.scenario):
        print(f"{one.name:40} {one.status:10} {one.boards or '-'}")


def _exec(options: argparse.Namespace) -> None:
    nodes.execute(options.scenario, options.host, options.argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab.py", description="Simulated GPU nodes for tests and the demo.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("image", help="make the node image if its recipe changed, print its tag")
    one.add_argument("names", nargs="*", metavar="NAME", help="other images of recipes.yml (default: node)")
    one.set_defaults(command=_image)

    one = commands.add_parser("up", help="start the nodes of an inventory (hosts with lab_boards or lab_state)")
    one.add_argument("--scenario", required=True, help="part of the nodes' names: accel-SCENARIO-HOST")
    one.add_argument("--inventory", required=True, type=Path)
    one.set_defaults(command=_up)

    one = commands.add_parser("down", help="remove the nodes of a scenario")
    one.add_argument("--scenario")
    one.add_argument("--all", action="store_true", help="of every scenario")
    one.add_argument("--images", action="store_true", help="remove the lab's images too")
    one.set_defaults(command=_down)

    one = commands.add_parser("restart", help="reboot one node")
    one.add_argument("--scenario", required=True)
    one.add_argument("--host", required=True)
    one.add_argument("--hard", action="store_true", help="cut the power instead of shutting down")
    one.set_defaults(command=_restart)

    one = commands.add_parser("list", help="show the nodes that exist")
    one.add_argument("--scenario")
    one.set_defaults(command=_list)

    one = commands.add_parser("exec", help="run a command in a node")
    one.add_argument("--scenario", required=True)
    one.add_argument("--host", required=True)
    one.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")
    one.set_defaults(command=_exec)
    return parser
