"""Fixtures: a service that plays scripts, and both clients."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drivers import Asyncio, Blocking, Driver
from fake_service import FakeService

Connect = Callable[..., Driver]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipewright._backoff.FIRST", 0.001)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    left = [thread.name for thread in threading.enumerate() if "pipewright" in thread.name]
    assert left == []


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A service that plays scripts."""
    fake = FakeService()
    yield fake
    fake.stop()


@pytest.fixture(params=[Blocking, Asyncio], ids=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Creates clients of one kind."""
    clients: list[Driver] = []

    def connected(address: str, **options: Any) -> Driver:
        client: Driver = request.param(address, **options)
        clients.append(client)
        return client

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect, service: FakeService) -> Driver:
    """A client of the service."""
    return connect(service.address)
