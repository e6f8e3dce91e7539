"""Waiting longer and longer between tries."""

from __future__ import annotations

import random

FIRST = 0.1
LONGEST = 5.0


class Backoff:
    """Pauses in seconds: 100 ms doubled up to 5 s, each shortened by up to a half at random.

    The randomness keeps clients that lost the same service from coming back as one.
    """

    def __init__(self) -> None:
        self._next = FIRST

    def pause(self) -> float:
        """The next pause."""
        pause = self._next
        self._next = min(2 * pause, LONGEST)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def reset(self) -> None:
        """Starts over, after a success."""
        self._next = FIRST
