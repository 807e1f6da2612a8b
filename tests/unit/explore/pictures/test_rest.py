import time

import pytest

from embedder.explore.pictures.rest import Rest


def test_after_a_rest_one_asks_and_the_others_when_it_was_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rest = Rest()
    assert rest.may_ask()
    rest.failed()
    rest.failed()
    assert not rest.may_ask()
    now += 16
    assert [rest.may_ask() for _ in range(3)] == [True, False, False]
    rest.failed()
    now += 16
    assert not rest.may_ask()
    now += 16
    assert rest.may_ask()
    rest.answered()
    assert [rest.may_ask() for _ in range(3)] == [True] * 3
