"""A card's energy, from a stand-in for the driver's library."""

import ctypes
from dataclasses import dataclass
from typing import Any

import pytest

from embedder.models import energy
from embedder.models.energy import Card

UUID = "8f2b6f4e-0000-0000-0000-000000000001"
NOT_SUPPORTED = 3


@dataclass
class Nvml:
    """As a card that one process uses, without MIG."""

    millijoules: int = 5_000_000
    processes: int = 1
    mps_processes: int = 0
    mig: int | None = 0
    """None: of a kind that knows no MIG."""
    init: int = 0
    energy: int = 0

    def nvmlInit_v2(self) -> int:  # noqa: N802 - the library's own names
        return self.init

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, card: Any) -> int:  # noqa: ANN401, N802
        assert isinstance(card._obj, ctypes.c_void_p)
        return 0 if uuid == f"GPU-{UUID}".encode() else 6

    def nvmlDeviceGetMigMode(self, _card: Any, now: Any, _pending: Any) -> int:  # noqa: ANN401, N802
        now._obj.value = self.mig or 0
        return NOT_SUPPORTED if self.mig is None else 0

    def nvmlDeviceGetComputeRunningProcesses_v3(self, _card: Any, count: Any, room: None) -> int:  # noqa: ANN401, N802
        return self._count(self.processes, count, room)

    def nvmlDeviceGetMPSComputeRunningProcesses_v3(self, _card: Any, count: Any, room: None) -> int:  # noqa: ANN401, N802
        return self._count(self.mps_processes, count, room)

    def nvmlDeviceGetTotalEnergyConsumption(self, _card: Any, millijoules: Any) -> int:  # noqa: ANN401, N802
        millijoules._obj.value = self.millijoules
        return self.energy

    @staticmethod
    def _count(found: int, count: Any, room: None) -> int:  # noqa: ANN401
        assert (count._obj.value, room) == (0, None)
        count._obj.value = found
        return energy.INSUFFICIENT_SIZE if found else 0


@pytest.mark.parametrize("mig", [0, None])
def test_energy_is_what_was_drawn_since_the_last_call(mig: int | None) -> None:
    nvml = Nvml(mig=mig)
    card = Card(UUID, nvml)
    nvml.millijoules += 3_600_000_000
    assert card.drawn_kwh() == 1
    nvml.millijoules += 1_800_000
    assert card.drawn_kwh() == pytest.approx(0.0005)


@pytest.mark.parametrize(
    "change", [{"processes": 2}, {"processes": 0}, {"mps_processes": 1}, {"mig": 1}, {"energy": NOT_SUPPORTED}, {"init": 9}], ids=str
)
def test_energy_is_not_known_when_the_card_is_shared_or_does_not_count(change: dict[str, int]) -> None:
    nvml = Nvml(**change)
    card = Card(UUID, nvml)
    nvml.millijoules += 1_000
    assert card.drawn_kwh() is None


def test_energy_is_not_known_while_another_process_came_and_went() -> None:
    nvml = Nvml()
    card = Card(UUID, nvml)
    nvml.processes = 2
    assert card.drawn_kwh() is None
    nvml.processes = 1
    assert card.drawn_kwh() is None, "some of it was drawn while there were two"
    nvml.millijoules += 3_600_000_000
    assert card.drawn_kwh() == 1


def test_energy_is_not_known_of_a_card_that_the_driver_does_not_know() -> None:
    assert Card("of a part of a card", Nvml()).drawn_kwh() is None


def test_energy_is_not_known_without_a_driver_or_with_an_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "LIBRARY", "libnvidia-ml-that-is-not-here.so.1")
    assert Card(UUID).drawn_kwh() is None
    assert Card(UUID, object()).drawn_kwh() is None
