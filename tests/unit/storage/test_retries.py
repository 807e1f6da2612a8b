"""For how long what is tried again, on a clock of the test's own."""

import threading
from collections.abc import Callable
from uuid import uuid4

import pytest

from embedder.errors import ConfigurationError, NoS3Error, NotFoundError, TemporaryError
from embedder.storage import retries
from embedder.storage.retries import Patience
from tests.patience import skip_waits


class DamagedError(Exception):
    """Doubted."""


class RefusedError(Exception):
    """Likewise."""


@pytest.fixture
def place() -> str:
    return uuid4().hex


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return skip_waits(monkeypatch)


def fails(*errors: Exception, then: Exception | None = None) -> Callable[[], str]:
    """Raises these, one a call, and `then` for ever, if that is given."""
    left = list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        if then:
            raise then
        return "done"

    return attempt


def test_trouble_ends_after_ten_seconds_when_the_place_has_never_answered(place: str, waits: list[float]) -> None:
    with pytest.raises(TemporaryError):
        Patience(place)(fails(then=TemporaryError()))
    assert sum(waits) == pytest.approx(retries.FIRST_CONTACT_S) == pytest.approx(10)


@pytest.mark.parametrize("answer", [None, NotFoundError("none")])
def test_trouble_ends_after_five_minutes_when_the_place_has_answered_before(
    place: str, waits: list[float], answer: NotFoundError | None
) -> None:
    if answer:
        with pytest.raises(NotFoundError):
            Patience(place)(fails(then=answer))
    else:
        Patience(place)(fails())
    with pytest.raises(TemporaryError):
        Patience(place)(fails(then=TemporaryError()))
    assert sum(waits) == pytest.approx(retries.REACHED_S) == pytest.approx(300)


def test_a_long_attempt_is_made_once_more_when_it_fails(place: str, waits: list[float]) -> None:
    """Patience begins with the first failure, not with the first attempt."""
    left = [TemporaryError(), TemporaryError()]

    def long_attempt() -> str:
        waits.append(1_000)
        if left:
            raise left.pop()
        return "done"

    with pytest.raises(TemporaryError):
        Patience(place)(long_attempt)
    assert not left


def test_doubt_ends_after_twenty_seconds_and_the_thing_gets_one_attempt_from_then_on(place: str, waits: list[float]) -> None:
    patience = Patience(place, thing=f"{place}/tile", damaged=(DamagedError,))
    with pytest.raises(DamagedError):
        patience(fails(then=DamagedError()))
    assert sum(waits) == pytest.approx(retries.DOUBT_S)
    with pytest.raises(DamagedError):
        patience(fails(DamagedError()))
    assert sum(waits) == pytest.approx(retries.DOUBT_S)
    assert patience(fails()) == "done"
    assert patience(fails(DamagedError())) == "done"


def test_it_is_trouble_on_the_way_when_a_thing_is_damaged_in_another_way_each_time(place: str, waits: list[float]) -> None:
    patience = Patience(place, thing=f"{place}/weights", damaged=(DamagedError,))
    assert patience(fails(*(DamagedError(f"SHA-256 {number}") for number in range(30)))) == "done"
    assert sum(waits) > 2 * retries.DOUBT_S
    waits.clear()
    numbers = iter(range(10_000))

    def damaged() -> None:
        raise DamagedError(f"SHA-256 {next(numbers)}")

    with pytest.raises(TemporaryError, match=r"^SHA-256 \d+: not the same twice, so that it is trouble on the way: try again later$"):
        patience(damaged)
    assert sum(waits) >= retries.REACHED_S


def test_a_refusal_is_the_things_own_when_it_is_worded_anew_each_time(place: str, waits: list[float]) -> None:
    references = iter(range(10_000))

    def refused() -> None:
        raise RefusedError(f"blocked, your reference is {next(references)}")

    with pytest.raises(RefusedError):
        Patience(place, thing=f"{place}/tile", damaged=(DamagedError,), refused=(RefusedError,))(refused)
    assert sum(waits) == pytest.approx(retries.DOUBT_S)


def test_an_answer_that_is_no_s3s_is_final_at_first_and_trouble_on_the_way_after_one_of_s3(place: str, waits: list[float]) -> None:
    for _ in range(2):
        with pytest.raises(NoS3Error):
            Patience(place)(fails(NoS3Error("no S3")))
    assert not waits
    assert Patience(place)(fails()) == "done"
    assert Patience(place)(fails(NoS3Error("no S3"))) == "done"
    with pytest.raises(TemporaryError, match=r"^no S3; it was S3 before, so try again later$"):
        Patience(place)(fails(then=NoS3Error("no S3")))
    assert sum(waits) >= retries.REACHED_S


def test_doubt_has_its_own_time_when_it_comes_after_other_trouble(place: str, waits: list[float]) -> None:
    Patience(place)(fails())
    trouble = fails(*[TemporaryError()] * 25, DamagedError())
    assert Patience(place, thing=place, damaged=(DamagedError,))(trouble) == "done"
    assert sum(waits) > retries.DOUBT_S


def test_another_error_is_final_at_once(place: str, waits: list[float]) -> None:
    with pytest.raises(ConfigurationError):
        Patience(place)(fails(ConfigurationError()))
    with pytest.raises(DamagedError):
        Patience(place)(fails(DamagedError()))
    assert not waits


def test_waiting_ends_when_it_is_stopped(place: str) -> None:
    Patience(place)(fails())
    stop, failed = threading.Event(), threading.Event()

    def attempt() -> None:
        failed.set()
        raise TemporaryError

    def stop_soon() -> None:
        failed.wait()
        stop.set()

    threading.Thread(target=stop_soon).start()
    with pytest.raises(TemporaryError):
        Patience(place, stop=stop)(attempt)
    assert stop.is_set()
