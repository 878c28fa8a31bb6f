# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service of the node that does nothing but write down what it found when it started, for tests of the boot order.

/run/accel-lab/started/NAME.json: {"name", "monotonic": seconds since the machine's boot, "gpus": [{"uuid", "mig":
current mode, "instances": how many}]}.
"""

from __future__ import annotations

import json
import signal
import sys
import time

import holder
import sim


def main(name: str) -> None:
    gpus = [
        {"uuid": gpu["uuid"], "mig": gpu["mig"]["current"], "instances": len(gpu["instances"])} for gpu in sim.gpus()
    ]
    found = {"name": name, "monotonic": time.monotonic(), "gpus": gpus}
    sim.put(sim.RUN / "started" / f"{name}.json", json.dumps(found) + "\n")
    holder.ready()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(sys.argv[1])
