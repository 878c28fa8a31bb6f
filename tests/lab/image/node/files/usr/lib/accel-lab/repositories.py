# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server of the lab's repositories, inside the node: a stopped unit is an unreachable repository."""

from __future__ import annotations

import functools
import http.server

import holder

ADDRESS = ("127.0.0.1", 8099)
FOLDER = "/srv/accel-lab/repos"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Says nothing about what goes well."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        del code, size


if __name__ == "__main__":
    with http.server.ThreadingHTTPServer(ADDRESS, functools.partial(Quiet, directory=FOLDER)) as server:
        holder.ready()
        server.serve_forever()
