"""A TCP proxy that breaks connections on request."""

import asyncio
import socket
import struct
from contextlib import suppress

PIECE = 16 * 1024


class Connection:
    """One connection of a client, and the corresponding one to the service."""

    def __init__(self, client: asyncio.StreamWriter, service: asyncio.StreamWriter) -> None:
        self.client = client
        self.service = service

    def cut(self) -> None:
        """Resets both, like a router that lost their state."""
        for writer in (self.client, self.service):
            # A linger time of 0 sends a reset.
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()


class Proxy:
    """Forwards bytes between clients and the service, and cuts connections."""

    def __init__(self, port: int) -> None:
        self.service_port = port
        self.port = 0
        self.cuts = 0
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._bytes_left: int | None = None

    async def start(self) -> None:
        """Listens on a free port of loopback."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stops listening and ends all connections."""
        self._server.close()
        self._cut_all()
        await self._server.wait_closed()
        await asyncio.gather(*self._tasks)

    def cut(self) -> None:
        """Breaks all connections; there must be one."""
        assert self._connections, "there is no connection to cut"
        self._cut_all()
        self.cuts += 1

    def hold(self) -> None:
        """Holds responses; requests pass."""
        self._passing.clear()

    def release(self) -> None:
        """Lets responses pass again."""
        self._passing.set()

    def cut_after(self, answered: int) -> None:
        """Breaks all connections after this many further bytes of responses."""
        self._bytes_left = answered

    def was_cut(self) -> bool:
        """Whether the cut that `cut_after` asked for was made."""
        return self._bytes_left is None

    def _cut_all(self) -> None:
        for connection in self._connections:
            connection.cut()
        self._connections.clear()

    def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            from_service, service = await asyncio.open_connection("127.0.0.1", self.service_port)
        except OSError:
            client.transport.abort()
            return
        connection = Connection(client, service)
        self._connections.add(connection)
        pumps = (self._ask(reader, service), self._answer(from_service, client))
        tasks = [asyncio.create_task(pump) for pump in pumps]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        self._connections.discard(connection)
        for writer in (client, service):
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, service: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(PIECE):
                service.write(data)
                await service.drain()

    async def _answer(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(PIECE):
                await self._passing.wait()
                if self._is_due(len(data)):
                    self.cut()
                    return
                client.write(data)
                await client.drain()

    def _is_due(self, answered: int) -> bool:
        """Whether the cut of `cut_after` is due before these bytes."""
        if self._bytes_left is None:
            return False
        self._bytes_left -= answered
        if self._bytes_left > 0:
            return False
        self._bytes_left = None
        return True
