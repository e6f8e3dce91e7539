"""Runs the scenario with each client, and compares their output."""

import asyncio
import os
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clients import ALL, Client
from player import Player
from scenario import Story, Tally
from transcript import Transcript
from world import World

# No client needs more; one that hangs has failed.
LONGEST = 180


@dataclass
class Played:
    """The result of a client."""

    client: Client
    tally: Tally
    transcript: Transcript
    seconds: float


async def play(client: Client, binary: str) -> Played:
    """Runs the scenario with one client, with a service of its own."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pipewright-conformance-") as directory:
        world = World(binary, Path(directory).resolve())
        await world.start()
        # Nothing of the caller's environment reaches the client.
        named = {key: value for key, value in os.environ.items() if "PIPEWRIGHT" not in key}
        environment = {**named, "PIPEWRIGHT": binary}
        player = await Player.start(list(client.command), environment)
        story = Story(player, world, client)
        try:
            async with asyncio.timeout(LONGEST):
                await story.play()
                status = await player.stop()
            assert status == 0, f"the player ended with {status}"
        finally:
            await player.kill()
            await world.stop()
    return Played(client, story.tally, story.transcript, time.monotonic() - began)


def differences(first: Played, other: Played) -> list[str]:
    """The differences between the output of two clients."""
    lines = []
    for theirs, ours in zip(first.transcript.lines, other.transcript.lines, strict=False):
        if theirs != ours:
            lines.append(f"  {first.client.name}: {theirs}\n  {other.client.name}: {ours}")
    counts = len(first.transcript.lines), len(other.transcript.lines)
    if counts[0] != counts[1]:
        lines.append(
            f"  {counts[0]} lines of {first.client.name}, {counts[1]} of {other.client.name}"
        )
    return lines


def table(all_played: list[Played]) -> str:
    """The final summary."""
    head = (
        "client",
        "calls",
        "cuts survived",
        "events seen",
        "repeats",
        "gaps",
        "log bytes",
        "time",
    )
    rows: list[tuple[str, ...]] = [head]
    for played in all_played:
        tally = played.tally
        counts = (tally.calls, tally.cuts, tally.events, tally.repeats, tally.gaps, tally.log_bytes)
        rows.append((played.client.name, *map(str, counts), f"{played.seconds:.1f} s"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def chosen(names: list[str]) -> list[Client]:
    """The clients with these names or languages, or all."""
    known = {name for client in ALL for name in (client.name, client.language)}
    if unknown := set(names) - known:
        sys.exit(f"there is no {', '.join(sorted(unknown))}, but {', '.join(sorted(known))}")
    return [client for client in ALL if not names or {client.name, client.language} & set(names)]


def main() -> int:
    """Runs all; returns 1 if a client failed or differs from the others."""
    binary = os.environ["PIPEWRIGHT"]
    all_played = []
    failed = False
    for client in chosen(sys.argv[1:]):
        print(f"{client.name} …", flush=True)
        try:
            all_played.append(asyncio.run(play(client, binary)))
        except Exception:
            failed = True
            traceback.print_exc()
            print(f"{client.name}: FAILED", file=sys.stderr, flush=True)
    for played in all_played[1:]:
        if lines := differences(all_played[0], played):
            failed = True
            print("not the same:", *lines, sep="\n", file=sys.stderr)
    print(table(all_played))
    return int(failed)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
