# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An API server that keeps nodes and pods in memory: what kubernetes.core asks of one, over real HTTP.

It knows no defaults, no admission and no strategic merge; the full tests ask a genuine kube-apiserver the same.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import typing as t
import urllib.parse

VERBS = ["create", "delete", "get", "list", "patch", "update"]
KINDS = {"nodes": "Node", "pods": "Pod"}
# What the API server of 1.20 says where a budget for disruptions forbids an eviction.
BUDGET = "Cannot evict pod as it would violate the pod's disruption budget."


def merge(into: dict[str, t.Any], what: dict[str, t.Any]) -> None:
    """RFC 7386."""
    for key, value in what.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            if not isinstance(into.get(key), dict):
                into[key] = {}
            merge(into[key], value)
        else:
            into[key] = value


class Refusal(Exception):
    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
        self.status |= {"reason": reason, "message": message}


class Store:
    """Objects by their path below /api/v1. Pods in `protected` have a budget that forbids their eviction."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, t.Any]] = {}
        self.protected: set[str] = set()
        self.away = False  # as a server that restarts: whoever asks gets no answer
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, t.Any]) -> dict[str, t.Any]:
        if not path.startswith("/api/v1/"):
            return discovery(path)
        path = path.removeprefix("/api/v1")
        kind = path.rsplit("/", 1)[-1]
        with self.lock:
            if method == "GET" and kind in KINDS:
                return {"kind": f"{KINDS[kind]}List", "apiVersion": "v1", "items": self.chosen(kind, query)}
            if method == "POST" and kind in KINDS:
                self.objects[f"{path}/{body['metadata']['name']}"] = {"kind": KINDS[kind], "apiVersion": "v1", **body}
                return body
            if method == "POST" and kind == "eviction":
                return self.evicted(path.removesuffix("/eviction"))
            return self.one(method, path, query, body)

    def chosen(self, kind: str, query: dict[str, str]) -> list[dict[str, t.Any]]:
        wanted = dict(term.split("=", 1) for term in query.get("fieldSelector", "").split(",") if term)
        node = wanted.get("spec.nodeName")
        found = [one for one in self.objects.values() if one["kind"] == KINDS[kind]]
        return [one for one in found if node in (None, one["spec"].get("nodeName"))]

    def evicted(self, path: str) -> dict[str, t.Any]:
        if path in self.protected:
            raise Refusal(429, "TooManyRequests", BUDGET)
        self.one("DELETE", path, {}, {})
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def one(self, method: str, path: str, query: dict[str, str], body: dict[str, t.Any]) -> dict[str, t.Any]:
        if path not in self.objects:
            raise Refusal(404, "NotFound", f"{path} not found")
        if method == "DELETE":
            return self.objects.pop(path)
        found = json.loads(json.dumps(self.objects[path]))
        if method == "PATCH":
            merge(found, body)
        if "dryRun" not in query:
            self.objects[path] = found
        return t.cast("dict[str, t.Any]", found)


def discovery(path: str) -> dict[str, t.Any]:
    resources = [
        {"name": name, "kind": kind, "singularName": kind.lower(), "namespaced": kind == "Pod", "verbs": VERBS}
        for name, kind in KINDS.items()
    ]
    known: dict[str, dict[str, t.Any]] = {
        "/version": {"major": "1", "minor": "20", "gitVersion": "v1.20.2"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": resources},
    }
    if path not in known:
        raise Refusal(404, "NotFound", f"{path} not found")
    return known[path]


@contextlib.contextmanager
def serve() -> t.Iterator[tuple[Store, str]]:
    """The store and its address."""
    store = Store()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if store.away:
                self.close_connection = True
                return
            address = urllib.parse.urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            try:
                query = dict(urllib.parse.parse_qsl(address.query))
                code, told = 200, store.answer(self.command, address.path.rstrip("/"), query, body)
            except Refusal as refusal:
                code, told = refusal.code, refusal.status
            text = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PATCH = do_DELETE = do_PUT = do_GET

        def log_message(self, *_args: t.Any) -> None:
            """Nothing on the terminal."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
