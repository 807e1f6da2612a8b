"""The energy that an NVIDIA card draws, as its driver counts it, where this process has the card for itself."""

import ctypes
from contextlib import suppress
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
"""NVML, which comes with the driver: there where a card is."""
INSUFFICIENT_SIZE = 7
"""NVML's answer to who asks for the processes without room for them: it says how many there are all the same."""
PROCESSES = ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses_v3")
"""Functions that count a card's processes: all, and those that share it through MPS."""
MILLIJOULES_PER_KWH = 3.6e9


class Card:
    """A card's counter of energy (Volta and later)."""

    def __init__(self, uuid: str, nvml: Any = None) -> None:  # noqa: ANN401 - functions that ctypes finds by name
        """`uuid` as CUDA has it, without a prefix; `nvml` stands for the driver's library. Never fails; what can't be known is None."""
        self._nvml, self._card = nvml, ctypes.c_void_p()
        self._has_card = False
        with suppress(OSError, AttributeError):  # no driver, or one from before these functions
            self._nvml = nvml or ctypes.CDLL(LIBRARY)
            self._has_card = not (
                self._nvml.nvmlInit_v2() or self._nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode(), ctypes.byref(self._card))
            )
        self._last = self._count()

    def drawn_kwh(self) -> float | None:
        """Since the last call, or since the card was opened; None where it can't be told from what others draw."""
        before, self._last = self._last, self._count()
        return None if before is None or self._last is None else (self._last - before) / MILLIJOULES_PER_KWH

    def _count(self) -> int | None:
        """Millijoules since the driver was loaded."""
        millijoules = ctypes.c_ulonglong()
        with suppress(AttributeError):
            if (
                self._has_card
                and self._is_ours()
                and not self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._card, ctypes.byref(millijoules))
            ):
                return millijoules.value
        return None

    def _is_ours(self) -> bool:
        """Whether the driver names one process on the card, which is this one, and MIG does not split it."""
        now, pending = ctypes.c_uint(), ctypes.c_uint()
        is_split = not self._nvml.nvmlDeviceGetMigMode(self._card, ctypes.byref(now), ctypes.byref(pending)) and now.value
        return not is_split and [self._processes(name) for name in PROCESSES] == [1, 0]

    def _processes(self, function: str) -> int | None:
        count = ctypes.c_uint(0)
        answer = getattr(self._nvml, function)(self._card, ctypes.byref(count), None)
        return count.value if answer in {0, INSUFFICIENT_SIZE} else None
