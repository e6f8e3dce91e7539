"""A TCP proxy that breaks connections on request."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class CuttingProxy:
    """Forwards bytes between clients and a service."""

    def __init__(self, port: int) -> None:
        self._service = ("127.0.0.1", port)
        self._left: int | None = None
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks all connections."""
        while self._sockets:
            with suppress(OSError):
                self._sockets.pop().shutdown(socket.SHUT_RDWR)

    def cut_after(self, answered: int) -> None:
        """Breaks all connections after this many further bytes of responses."""
        self._left = answered

    def stop(self) -> None:
        """Ends all connections, and accepts no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                service = socket.create_connection(self._service)
                self._sockets += [client, service]
                for ends in [(client, service, False), (service, client, True)]:
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError), source:
            while data := source.recv(4096):
                if is_answer and self._is_over(len(data)):
                    self.cut()
                    return
                sink.sendall(data)

    def _is_over(self, size: int) -> bool:
        if self._left is None:
            return False
        self._left -= size
        if self._left >= 0:
            return False
        self._left = None
        return True
