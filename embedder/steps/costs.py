"""What each column of a step costs: its share of a strip's reading, and of the time and energy of the batches."""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from embedder.machine import cpu_count
from embedder.models.energy import Card
from embedder.output.receipt import Receipt
from embedder.source.meter import Meter


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """A column's part of a strip."""

    meter: Meter
    start: Fraction
    """Where its part begins and ends, if the strip's chips that were read are laid out from 0 to 1."""
    stop: Fraction

    def part(self, amount: int) -> int:
        """Of the strip's amount; the parts of all its columns make the whole."""
        return int(amount * self.stop) - int(amount * self.start)


@dataclass(kw_only=True)
class _Batches:
    """A column's part of all batches so far."""

    elapsed_s: float = 0.0
    inference_s: float = 0.0
    energy_kwh: float | None = 0.0


class Costs:
    """Of the columns of one step, from now on. Strips are told from one thread, the rest from another."""

    def __init__(self) -> None:
        self.card: Card | None = None
        """Whose energy counts, once there is one."""
        self._cpus = cpu_count()
        self._reading: defaultdict[int, list[_Reading]] = defaultdict(list)
        self._batches: defaultdict[int, _Batches] = defaultdict(_Batches)
        self.computed_s = 0.0
        """As told with the last batch."""
        self._last = time.perf_counter()

    def strip(self, chips: Mapping[int, int], meter: Meter) -> None:
        """A strip is about to be read, which counts into `meter`, with so many chips to read for each of its columns."""
        whole = sum(chips.values())
        ends = [Fraction(end, whole) if whole else Fraction(0) for end in accumulate(chips.values(), initial=0)]
        for column, start, stop in zip(chips, ends, ends[1:], strict=False):
            self._reading[column].append(_Reading(meter=meter, start=start, stop=stop))

    def batch(self, chips: Mapping[int, int], computed_s: float) -> None:
        """A batch is done, with so many chips of each column, and so has the device computed for `computed_s` since the step began."""
        if not chips:  # the end of a strip, whose time is the next batch's
            return
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        inference, self.computed_s = computed_s - self.computed_s, computed_s
        energy = self.card.drawn_kwh() if self.card else None
        whole = sum(chips.values())
        for column, count in chips.items():
            share, sums = count / whole, self._batches[column]
            sums.elapsed_s += elapsed * share
            sums.inference_s += inference * share
            sums.energy_kwh = None if energy is None or sums.energy_kwh is None else sums.energy_kwh + energy * share

    def receipt(self, column: int, device: str | None) -> Receipt:
        """Of a column whose last batch is done; `device` is what computed its embeddings, if any."""
        batches, reading = self._batches.pop(column, _Batches()), self._reading.pop(column, [])
        return Receipt(
            device=device,
            cpus=self._cpus,
            elapsed_s=round(batches.elapsed_s, 6),
            read_s=round(sum(part.meter.seconds * float(part.stop - part.start) for part in reading), 6),
            inference_duration_s=round(batches.inference_s, 6),
            bytes=sum(part.part(part.meter.bytes) for part in reading),
            requests=sum(part.part(part.meter.requests) for part in reading),
            retries=sum(part.part(part.meter.retries) for part in reading),
            energy_kwh=None if device is None or batches.energy_kwh is None else round(batches.energy_kwh, 9),
        )
