# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A unary gRPC call over a Unix socket, with nothing but the standard library. PRIVATE to the collection.

Nodes have no pip, and the kubelet speaks gRPC only. One request and one answer need few frames of HTTP/2 (RFC 9113):
preface, SETTINGS, HEADERS, DATA out; DATA in, with SETTINGS and PING acknowledged. Headers go out as literals
(RFC 7541 section 6.2.2), and incoming headers are not decoded: an answer without a whole message is an error.
"""

from __future__ import annotations

import socket
import struct
import time
import typing as t

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
_END_STREAM, _END_HEADERS, _PADDED, _ACK = 0x1, 0x4, 0x8, 0x1
_WINDOW_MAX = 2**31 - 1
_INITIAL_WINDOW = 65535  # RFC 9113 section 6.9.2
_MESSAGE_MAX = 64 * 1024 * 1024


class GrpcError(Exception):
    """The peer did not answer this call with a message."""


def unary(path: str, method: str, request: bytes = b"", timeout: float = 5.0) -> bytes:
    """Call `method` ("/package.Service/Method") at the socket `path`; answer the message's bytes.

    Raises OSError when the socket cannot be reached and GrpcError when the peer answers without a message.
    """
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(timeout)
        peer.connect(path)
        peer.sendall(_opening(method, request))
        return _answer(peer, deadline)


def _opening(method: str, request: bytes) -> bytes:
    headers = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", method.encode()),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    )
    message = struct.pack(">BI", 0, len(request)) + request
    return b"".join(
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            _frame(_SETTINGS, 0, 0, struct.pack(">HI", 0x4, _WINDOW_MAX)),  # 0x4: SETTINGS_INITIAL_WINDOW_SIZE
            _frame(_WINDOW, 0, 0, struct.pack(">I", _WINDOW_MAX - _INITIAL_WINDOW)),
            _frame(_HEADERS, _END_HEADERS, 1, b"".join(_literal(name, value) for name, value in headers)),
            _frame(_DATA, _END_STREAM, 1, message),
        )
    )


def _literal(name: bytes, value: bytes) -> bytes:
    # One length byte holds up to 126; every header above is shorter.
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _answer(peer: socket.socket, deadline: float) -> bytes:
    body = b""
    while True:
        kind, flags, stream, payload = _read_frame(peer, deadline)
        if kind == _SETTINGS and not flags & _ACK:
            peer.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            peer.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RESET, _GOAWAY):
            raise GrpcError("the peer broke the call off")
        elif kind == _DATA and stream == 1:
            body += _unpadded(flags, payload)
        if len(body) > _MESSAGE_MAX:
            raise GrpcError(f"the answer is larger than {_MESSAGE_MAX} bytes")
        if kind in (_DATA, _HEADERS) and stream == 1 and flags & _END_STREAM:
            return _message(body)


def _unpadded(flags: int, payload: bytes) -> bytes:
    return payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload


def _message(body: bytes) -> bytes:
    if len(body) < 5:
        raise GrpcError("the peer refused the call")
    compressed, length = struct.unpack(">BI", body[:5])
    if compressed or len(body) < 5 + length:
        raise GrpcError("the answer is compressed or cut off")
    return body[5 : 5 + length]


def _read_frame(peer: socket.socket, deadline: float) -> t.Tuple[int, int, int, bytes]:
    head = _read(peer, 9, deadline)
    length = int.from_bytes(head[:3], "big")
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return kind, flags, stream & 0x7FFFFFFF, _read(peer, length, deadline)


def _read(peer: socket.socket, size: int, deadline: float) -> bytes:
    data = b""
    while len(data) < size:
        left = deadline - time.monotonic()
        if left <= 0:
            raise GrpcError("no answer in time")
        peer.settimeout(left)
        try:
            part = peer.recv(size - len(data))
        except socket.timeout:  # an alias of TimeoutError only since Python 3.10
            raise GrpcError("no answer in time") from None
        if not part:
            raise GrpcError("the peer closed the connection")
        data += part
    return data
