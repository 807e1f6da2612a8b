"""How what a step takes is shared between its columns."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from embedder.models.energy import Card
from embedder.output.receipt import Receipt, total
from embedder.source.meter import Meter
from embedder.steps.costs import Costs


class Clock:
    """In the time's place."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.perf_counter", made)
    return made


def card(*drawn: float | None) -> Card:
    """One that has drawn this much at each call."""
    left = iter(drawn)

    class Drawn:
        drawn_kwh: Callable[[], Any] = staticmethod(lambda: next(left))

    return cast("Card", Drawn())


def test_reading_is_shared_by_chips_and_nothing_is_lost(clock: Clock) -> None:
    costs, meter = Costs(), Meter()
    costs.strip({5: 1, 6: 0, 7: 1, 8: 1}, meter)
    with meter.reading():
        clock.now += 6
    for _ in range(10):
        meter.requested()
        meter.fetched(100)
    meter.tried_again()
    receipts = {column: costs.receipt(column, "cpu") for column in (5, 6, 7, 8)}
    assert [receipt.bytes for receipt in receipts.values()] == [333, 0, 333, 334]
    assert [receipt.read_s for receipt in receipts.values()] == [2, 0, 2, 2]
    (summed,) = total(receipts.values())
    assert (summed.bytes, summed.requests, summed.retries, summed.read_s) == (1000, 10, 1, 6)


def test_a_strip_that_is_read_again_column_by_column_costs_both() -> None:
    costs, together, again = Costs(), Meter(), Meter()
    costs.strip({5: 3, 6: 1}, together)
    together.fetched(400)
    costs.strip({6: 1}, again)
    again.fetched(70)
    assert costs.receipt(6, "cpu").bytes == 170
    assert costs.receipt(5, "cpu").bytes == 300


def test_columns_at_sea_cost_nothing_but_their_time(clock: Clock) -> None:
    costs = Costs()
    costs.strip({5: 0, 6: 0}, Meter())
    clock.now += 3
    costs.batch({5: 586, 6: 586}, 0.0)
    receipt = costs.receipt(5, None)
    assert receipt == Receipt(cpus=receipt.cpus, elapsed_s=1.5, read_s=0, inference_duration_s=0, bytes=0, requests=0, retries=0)


def test_batches_are_shared_by_chips_and_their_sum_is_the_steps(clock: Clock) -> None:
    costs = Costs()
    costs.card = card(0.4, 0.2)
    costs.strip({5: 20, 6: 20}, Meter())
    clock.now += 8
    costs.batch({5: 24, 6: 8}, 4.0)
    costs.batch({}, 4.0)
    clock.now += 2
    costs.batch({6: 8}, 5.0)
    first, second = (costs.receipt(column, "cuda:card") for column in (5, 6))
    assert (first.elapsed_s, first.inference_duration_s, first.energy_kwh) == (6, 3, 0.3)
    assert (second.elapsed_s, second.inference_duration_s, second.energy_kwh) == (4, 2, 0.3)


@pytest.mark.parametrize("drawn", [(None, 0.2), (0.4, None)])
def test_energy_is_not_known_when_it_was_not_during_one_batch(drawn: tuple[float | None, float | None]) -> None:
    costs = Costs()
    costs.card = card(*drawn)
    costs.strip({5: 20}, Meter())
    costs.batch({5: 10}, 0.0)
    costs.batch({5: 10}, 0.0)
    assert costs.receipt(5, "cuda:card").energy_kwh is None


def test_energy_is_not_known_without_a_card() -> None:
    costs = Costs()
    costs.strip({5: 20}, Meter())
    costs.batch({5: 20}, 0.0)
    assert costs.receipt(5, "cpu").energy_kwh is None
