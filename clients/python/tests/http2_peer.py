"""A peer that speaks HTTP/2, but not gRPC, or not even HTTP/2."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
END_STREAM, ACK, END_HEADERS = 1, 1, 4

Serve = Callable[[socket.socket], None]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def headers(fields: Sequence[tuple[str, str]]) -> bytes:
    """Header fields without compression."""

    def text(value: str) -> bytes:
        return bytes([len(value)]) + value.encode()

    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)


class Answer:
    """Answers all requests in the same way, and counts them."""

    def __init__(
        self, fields: Sequence[tuple[str, str]], body: bytes, *, ends: bool = True
    ) -> None:
        self._fields = headers(fields)
        self._body = body
        self._ends = ends
        self.requests = 0

    def __call__(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as sent:
            sent.read(24)
            connection.sendall(frame(SETTINGS, 0, 0))
            while head := sent.read(9):
                payload = sent.read(int.from_bytes(head[:3], "big"))
                kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
                if kind in (SETTINGS, PING) and not flags & ACK:
                    connection.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
                if kind == DATA and flags & END_STREAM:
                    self.requests += 1
                    connection.sendall(self._answer(stream))

    def _answer(self, stream: int) -> bytes:
        if not self._body:
            return frame(HEADERS, END_HEADERS | END_STREAM, stream, self._fields)
        head = frame(HEADERS, END_HEADERS, stream, self._fields)
        return head + frame(DATA, END_STREAM if self._ends else 0, stream, self._body)


@contextmanager
def peer(serve: Serve) -> Iterator[str]:
    """Serves connections on a free port of loopback; gives the address."""
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def run(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=run, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection in connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
