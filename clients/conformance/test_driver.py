"""The driver must detect the errors of clients."""

import asyncio
import unittest
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

from clients import ALL
from driver import Played, differences
from player import Json, Player
from proxy import Proxy
from scenario import GATES, Story, Tally
from transcript import Transcript
from world import World


def event(sequence: int, gate: str | None = None) -> Json:
    """An event; with a gate, of a running stage."""
    run = {"stageName": gate, "state": "STATE_RUNNING"}
    change = {"stageRunChanged": {"stageRun": run}} if gate else {}
    return {"event": {"sequence": str(sequence), **change}}


ENDED = {"ended": {"state": "STATE_SUCCEEDED", "lastSequence": "4"}}
GOOD = [*(event(number, gate) for number, gate in enumerate(GATES, 1)), event(4), ENDED]


class FakePlayer:
    """Yields prepared lines."""

    def __init__(self, lines: list[Json]) -> None:
        self.lines = lines

    async def watch(self, _job_id: str, last_seen_sequence: int) -> AsyncIterator[Json]:
        """Yields them."""
        for line in self.lines[last_seen_sequence:]:
            yield line


class FakeProxy:
    """Counts cuts."""

    cuts = 0

    def cut(self) -> None:
        """Counts one."""
        self.cuts += 1


class FakeWorld:
    """Has gates."""

    directory = "/somewhere"

    def __init__(self) -> None:
        self.proxy = FakeProxy()
        self.opened: list[str] = []

    def open(self, gate: str) -> None:
        """Opens one."""
        self.opened.append(gate)


def watched(lines: list[Json]) -> Tally:
    """The summary of a watch with these lines."""
    player, world = cast("Player", FakePlayer(lines)), cast("World", FakeWorld())
    story = Story(player, world, ALL[0])
    asyncio.run(story.watches_through_cuts("job"))
    return story.tally


class Watches(unittest.TestCase):
    """Invalid sequences of events."""

    def test_a_valid_watch_is_counted(self) -> None:
        """A control for the other tests."""
        tally = watched(GOOD)
        told = (tally.cuts, tally.events, tally.repeats, tally.gaps)
        self.assertEqual(told, (3, 4, 0, 0))

    def test_repeats_gaps_and_early_ends_fail(self) -> None:
        """Each of them."""
        for lines in (
            [*GOOD[:3], event(3), *GOOD[3:]],
            [*GOOD[:3], event(5), ENDED],
            [*GOOD[:3], ENDED],
            [*GOOD[:2], GOOD[3], ENDED],
        ):
            with self.subTest(lines=lines), self.assertRaises(AssertionError):
                watched(lines)


class Transcripts(unittest.TestCase):
    """Allowed differences, and others."""

    def played(self, *values: Json) -> Played:
        """A client with this output."""
        transcript = Transcript("/somewhere")
        for value in values:
            transcript.add("step", value)
        return Played(ALL[0], Tally(), transcript, 0)

    def test_ids_are_equal_if_they_occur_in_the_same_places(self) -> None:
        """Whatever they are."""
        one, two, three = (f"01a1fe35-0b5c-717d-8031-00000000000{n}" for n in (1, 2, 3))
        first = self.played({"id": one}, {"id": two, "parent": one})
        self.assertEqual(
            differences(first, self.played({"id": two}, {"id": three, "parent": two})), []
        )
        self.assertNotEqual(
            differences(first, self.played({"id": one}, {"id": one, "parent": one})), []
        )

    def test_a_missing_field_or_line_is_a_difference(self) -> None:
        """Also an empty one."""
        first = self.played({"name": "", "number": 1})
        self.assertNotEqual(differences(first, self.played({"number": 1})), [])
        self.assertNotEqual(differences(first, self.played()), [])


class Proxies(unittest.IsolatedAsyncioTestCase):
    """Between a client and a service that responds to each byte with a hundred."""

    async def asyncSetUp(self) -> None:
        """Starts both."""
        self.answered = asyncio.Event()
        self.service = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.proxy = Proxy(self.service.sockets[0].getsockname()[1])
        await self.proxy.start()

    async def asyncTearDown(self) -> None:
        """Stops both."""
        await self.proxy.stop()
        self.service.close()
        await self.answered.wait()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Acts as the service."""
        with suppress(ConnectionError):
            while await reader.read(1):
                writer.write(b"x" * 100)
        writer.close()
        self.answered.set()

    async def test_cuts_after_so_many_bytes(self) -> None:
        """Not before, and only once."""
        self.proxy.cut_after(150)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        writer.write(b"a")
        self.assertEqual(len(await reader.readexactly(100)), 100)
        self.assertFalse(self.proxy.was_cut())
        writer.write(b"a")
        with self.assertRaises(ConnectionResetError):
            await reader.readexactly(100)
        self.assertEqual((self.proxy.was_cut(), self.proxy.cuts), (True, 1))
        with self.assertRaises(AssertionError):
            self.proxy.cut()

    async def test_holds_responses(self) -> None:
        """Until they are released."""
        self.proxy.hold()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        writer.write(b"a")
        read = asyncio.create_task(reader.readexactly(100))
        done, _ = await asyncio.wait([read], timeout=0.05)
        self.assertEqual(done, set())
        self.proxy.release()
        self.assertEqual(len(await read), 100)
        writer.close()


if __name__ == "__main__":
    unittest.main()
