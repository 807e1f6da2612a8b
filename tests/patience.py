"""The code's patience, with shorter waits or fewer attempts."""

from dataclasses import replace
from typing import Literal

import pytest
from tenacity import wait_fixed

from embedder.storage import retries


def shorten_waits(monkeypatch: pytest.MonkeyPatch, *kinds: Literal["SOURCE", "OUTPUT", "CHECKPOINT"], wait_s: float = 0.01) -> None:
    for kind in kinds:
        monkeypatch.setattr(retries, kind, replace(getattr(retries, kind), wait=wait_fixed(wait_s)))


def limit_attempts(monkeypatch: pytest.MonkeyPatch, kind: Literal["SOURCE", "OUTPUT", "CHECKPOINT"], attempts: int) -> None:
    monkeypatch.setattr(retries, kind, replace(getattr(retries, kind), attempts=attempts))
