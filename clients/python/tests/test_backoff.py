from __future__ import annotations

import pytest

from pipewright import _backoff


def test_pauses_grow_to_their_bound_and_start_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "FIRST", 0.1)
    backoff = _backoff.Backoff()
    for full in [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]:
        assert full / 2 <= backoff.pause() <= full
    backoff.reset()
    assert backoff.pause() <= 0.1
