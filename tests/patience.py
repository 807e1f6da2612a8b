"""The code's patience, without its waits, or with fewer attempts."""

import pytest
import tenacity

from embedder.storage import retries


def skip_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have waits pass at once, and the time with them; returned are the seconds of each, as they come."""
    waits: list[float] = []
    monkeypatch.setattr(retries, "now", lambda: sum(waits))
    monkeypatch.setattr(retries, "pause", lambda seconds, _stop: waits.append(seconds))
    return waits


def limit_attempts(monkeypatch: pytest.MonkeyPatch, attempts: int) -> None:
    """The same, with so many attempts at anything, and none of it known from tests before."""
    skip_waits(monkeypatch)
    monkeypatch.setattr(retries, "WAIT", tenacity.wait_fixed(1))
    for name in ("FIRST_CONTACT_S", "REACHED_S", "DOUBT_S"):
        monkeypatch.setattr(retries, name, attempts - 1)
