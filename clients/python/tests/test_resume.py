from __future__ import annotations

import grpc
import pytest

from pipewright._resume import FINAL, Resumption, broken


def test_a_message_starts_the_pauses_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipewright._backoff.FIRST", 0.1)
    resumption = Resumption(FINAL)
    error = broken("the connection was cut")
    for full in [0.1, 0.2, 0.4]:
        assert full / 2 <= resumption.pause(error) <= full
    resumption.heard()
    assert resumption.pause(error) <= 0.1


def test_what_breaks_the_contract_looks_like_a_broken_connection() -> None:
    assert broken("gap").code is grpc.StatusCode.UNAVAILABLE
