"""Behaviour of the asyncio client only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from fake_service import PATIENCE, Do, FakeService, Silence
from pipewright import aio
from pipewright.aio._stream import next_message
from pipewright.v1 import GetJobRequest
from test_watch import events


def run(service: FakeService, story: Callable[[aio.Client], Awaitable[None]]) -> None:
    async def play() -> None:
        async with aio.connect(service.address) as client:
            await story(client)

    asyncio.run(play())


async def gone(service: FakeService) -> bool:
    """Whether the first call was cancelled, without blocking the event loop."""
    return await asyncio.to_thread(service.calls[0].cancelled)


def test_a_watch_is_left_by_break(service: FakeService) -> None:
    service.on("WatchJob", [events(1), Silence()])

    async def story(client: aio.Client) -> None:
        async for _ in client.watch_job("j", last_seen_sequence=0):
            break
        assert await gone(service)

    run(service, story)


def test_a_task_that_is_cancelled_leaves_its_watch(service: FakeService) -> None:
    async def story(client: aio.Client) -> None:
        service.on("WatchJob", [events(1), Silence()])
        seen = asyncio.Event()

        async def watch() -> None:
            async for _ in client.watch_job("j", last_seen_sequence=0):
                seen.set()

        task = asyncio.create_task(watch())
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await gone(service)
        assert len(service.calls) == 1

    run(service, story)


def test_a_task_that_is_cancelled_as_a_message_comes_is_cancelled() -> None:
    async def story() -> None:
        asked = asyncio.Event()
        come: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def messages() -> AsyncIterator[int]:
            asked.set()
            yield await come

        task = asyncio.create_task(next_message(messages(), PATIENCE))
        await asked.wait()
        come.set_result(1)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())


def test_a_task_that_is_cancelled_leaves_its_call(service: FakeService) -> None:
    async def story(client: aio.Client) -> None:
        waiting = asyncio.Event()
        loop = asyncio.get_running_loop()
        service.on("GetJob", [Do(lambda: loop.call_soon_threadsafe(waiting.set)), Silence()])

        async def call() -> None:
            await client.jobs.GetJob(GetJobRequest())

        task = asyncio.create_task(call())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await gone(service)
        assert len(service.calls) == 1

    run(service, story)


def test_a_call_without_a_chance_ends_before_the_pause(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipewright._backoff.FIRST", 3600)
    monkeypatch.setattr("pipewright._backoff.LONGEST", 3600)
    service.on("WatchJob", [events(1), events(3), Silence()])

    async def story(client: aio.Client) -> None:
        updates = client.watch_job("j", last_seen_sequence=0)
        assert (await anext(updates)).sequence == 1
        pausing = asyncio.create_task(anext(updates, None))
        assert await gone(service)
        assert not pausing.done()
        pausing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pausing

    run(service, story)


def test_a_time_limit_of_the_caller_ends_a_watch(service: FakeService) -> None:
    service.on("WatchJob", [events(1), Silence()])

    async def story(client: aio.Client) -> None:
        async def watch() -> None:
            async for _ in client.watch_job("j", last_seen_sequence=0):
                pass

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(watch(), 0.3)
        assert await gone(service)

    run(service, story)


def test_many_watches_run_concurrently(service: FakeService) -> None:
    service.on("WatchJob", *[[events(1, end=2)]] * 8)

    async def story(client: aio.Client) -> None:
        async def watch() -> list[int]:
            updates = client.watch_job("j", last_seen_sequence=0)
            return [update.sequence async for update in updates]

        assert await asyncio.gather(*[watch() for _ in range(8)]) == [[1, 2]] * 8

    run(service, story)
