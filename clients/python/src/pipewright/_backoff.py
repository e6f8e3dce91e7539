"""Exponential backoff between tries."""

from __future__ import annotations

import random
from datetime import timedelta

FIRST = 0.1
LONGEST = 5.0


class Backoff:
    """Pauses in seconds: 100 ms doubled up to 5 s, each shortened by up to a half at random.

    The randomness spreads out the reconnects of clients that lost the same service.
    """

    def __init__(self) -> None:
        self._next = FIRST

    def pause(self, asked: timedelta | None = None) -> float:
        """The next pause; the one that the service requests, if that is longer."""
        pause = self._next
        self._next = min(2 * pause, LONGEST)
        own = pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        return max(own, asked.total_seconds()) if asked else own

    def reset(self) -> None:
        """Starts over, after a success."""
        self._next = FIRST
