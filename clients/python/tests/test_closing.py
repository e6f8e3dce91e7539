from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

import pipewright
from drivers import Driver
from fake_service import PATIENCE, Do, FakeService, Refuse, Silence, Step
from pipewright import ApiError
from pipewright.v1 import GetJobRequest, WatchJobRequest
from test_log import chunk
from test_watch import events

UNAVAILABLE = Refuse(grpc.StatusCode.UNAVAILABLE)
HOUR = 3600


def assert_closed(error: BaseException | None) -> None:
    assert isinstance(error, ApiError)
    assert error.code is grpc.StatusCode.CANCELLED
    assert error.message == "the client is closed"


class Kind:
    """A call or stream that is open when the client is closed."""

    def __init__(self, method: str, begun: list[Step], do: Callable[[Any], Any]) -> None:
        self.method = method
        self.begun = begun
        self.do = do


KINDS = {
    "call": Kind("GetJob", [], lambda client: client.jobs.GetJob(GetJobRequest())),
    "stream": Kind("WatchJob", [events(1)], lambda client: client.jobs.WatchJob(WatchJobRequest())),
    "watch": Kind(
        "WatchJob", [events(1)], lambda client: client.watch_job("j", last_seen_sequence=0)
    ),
    "log": Kind(
        "ReadStageLog", [chunk(0, b"a")], lambda client: client.read_log("j", "s", follow=True)
    ),
}
OPEN = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
PAUSING = pytest.mark.parametrize(
    "kind", [KINDS["call"], KINDS["watch"], KINDS["log"]], ids=["call", "watch", "log"]
)


@pytest.fixture
def _long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipewright._backoff.FIRST", HOUR)
    monkeypatch.setattr("pipewright._backoff.LONGEST", HOUR)


def in_thread(client: pipewright.Client, kind: Kind) -> Callable[[], BaseException | None]:
    """Runs it in another thread; returns a function that waits for its error."""
    errors: list[BaseException] = []

    def do() -> None:
        try:
            answer = kind.do(client)
            if kind.begun:
                list(answer)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=do)
    thread.start()

    def error() -> BaseException | None:
        thread.join(PATIENCE)
        assert not thread.is_alive()
        return errors[0] if errors else None

    return error


def sets(event: asyncio.Event) -> Do:
    """A step that sets an event of the running loop."""
    loop = asyncio.get_running_loop()
    return Do(lambda: loop.call_soon_threadsafe(event.set))


async def awaited(client: pipewright.aio.Client, kind: Kind) -> None:
    """Runs it with the asyncio client."""
    answer = kind.do(client)
    if kind.begun:
        async for _ in answer:
            pass
    else:
        await answer


@OPEN
def test_open_calls_end_with_a_blocking_client(service: FakeService, kind: Kind) -> None:
    come = threading.Event()
    service.on(kind.method, [*kind.begun, Do(come.set), Silence()])
    with pipewright.connect(service.address) as client:
        error = in_thread(client, kind)
        assert come.wait(PATIENCE)
    assert_closed(error())
    assert service.calls[0].cancelled()
    assert len(service.calls) == 1


@OPEN
def test_open_calls_end_with_an_asyncio_client(service: FakeService, kind: Kind) -> None:
    async def play() -> None:
        come = asyncio.Event()
        service.on(
            kind.method,
            [*kind.begun, sets(come), Silence()],
        )
        async with pipewright.aio.connect(service.address) as client:
            task = asyncio.create_task(awaited(client, kind))
            await come.wait()
        (error,) = await asyncio.gather(task, return_exceptions=True)
        assert_closed(error)
        assert await asyncio.to_thread(service.calls[0].cancelled)

    asyncio.run(play())
    assert len(service.calls) == 1


@PAUSING
@pytest.mark.usefixtures("_long_pauses")
def test_a_pause_ends_with_a_blocking_client(service: FakeService, kind: Kind) -> None:
    service.on(kind.method, [*kind.begun, UNAVAILABLE])
    with pipewright.connect(service.address, timeout=2 * HOUR) as client:
        error = in_thread(client, kind)
        assert service.came.wait(PATIENCE)
        assert not service.calls[0].cancelled()
    assert_closed(error())


@PAUSING
@pytest.mark.usefixtures("_long_pauses")
def test_a_pause_ends_with_an_asyncio_client(service: FakeService, kind: Kind) -> None:
    service.on(kind.method, [*kind.begun, UNAVAILABLE])

    async def play() -> None:
        async with pipewright.aio.connect(service.address, timeout=2 * HOUR) as client:
            task = asyncio.create_task(awaited(client, kind))
            assert await asyncio.to_thread(service.came.wait, PATIENCE)
            assert not await asyncio.to_thread(service.calls[0].cancelled)
        (error,) = await asyncio.gather(task, return_exceptions=True)
        assert_closed(error)

    asyncio.run(play())


def test_calls_that_were_just_made_end_with_an_asyncio_client(service: FakeService) -> None:
    async def play() -> None:
        client = pipewright.aio.connect(service.address)
        tasks = [asyncio.create_task(awaited(client, kind)) for kind in KINDS.values()]
        await client.close()
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            assert_closed(error)

    asyncio.run(play())


def test_a_task_that_is_cancelled_as_its_client_is_closed_is_cancelled(
    service: FakeService,
) -> None:
    async def play() -> None:
        for kind in KINDS.values():
            come = asyncio.Event()
            service.on(
                kind.method,
                [*kind.begun, sets(come), Silence()],
            )
            client = pipewright.aio.connect(service.address)
            task = asyncio.create_task(awaited(client, kind))
            await come.wait()
            closing = asyncio.create_task(client.close())
            task.cancel()
            (error, _) = await asyncio.gather(task, closing, return_exceptions=True)
            assert isinstance(error, asyncio.CancelledError)

    asyncio.run(play())


@pytest.fixture
def closed(service: FakeService) -> Iterator[pipewright.Client]:
    """A client that is closed."""
    client = pipewright.connect(service.address)
    client.close()
    yield client
    client.close()


@OPEN
def test_a_closed_blocking_client_makes_no_call(
    closed: pipewright.Client, service: FakeService, kind: Kind
) -> None:
    assert_closed(in_thread(closed, kind)())
    assert service.calls == []


def test_a_closed_client_makes_no_future(closed: pipewright.Client) -> None:
    with pytest.raises(ApiError) as raised:
        closed.jobs.GetJob.future(GetJobRequest())
    assert_closed(raised.value)


@OPEN
def test_a_closed_asyncio_client_makes_no_call(service: FakeService, kind: Kind) -> None:
    async def play() -> None:
        client = pipewright.aio.connect(service.address)
        await client.close()
        await client.close()
        with pytest.raises(ApiError) as raised:
            await awaited(client, kind)
        assert_closed(raised.value)

    asyncio.run(play())
    assert service.calls == []


def test_unread_items_end_too(client: Driver, service: FakeService) -> None:
    service.on("WatchJob", [events(1), Silence()])
    updates = client.watch("j", last_seen_sequence=0)
    assert next(updates).sequence == 1
    client.shut()
    with pytest.raises(ApiError) as raised:
        next(updates)
    assert_closed(raised.value)
