"""The end of a blocking client."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Closing:
    """Notifies all waiters of a client, in any thread, that it was closed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_set = False

    def is_set(self) -> bool:
        """Whether the client was closed."""
        return self._is_set

    def set(self) -> None:
        """Ends all pauses."""
        self._is_set = True
        self.wake()

    def wake(self) -> None:
        """Makes each pause check its own reason to end."""
        with self._changed:
            self._changed.notify_all()

    def pause(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Waits, unless the client is closed or `is_over` is true."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_set or is_over(),
                # A service may request more than a thread can wait.
                min(seconds, threading.TIMEOUT_MAX),
            )
