"""How many chips a second the CPUs can feed to a device: the embed step beside a stand-in that computes without any CPU.

    python benchmarks/feed.py [--rounds 3] [--latency-ms 30] [--mb-a-second 80]

The stand-in takes 1/R seconds a chip, one batch of 32 after the other, and gives made-up vectors; all else is the step's own: reading,
decoding, filling batches, writing and checking files. Each step is a process of its own, so that its memory is its own; it imports no
torch. The baseline is what GDAL takes to decode the same blocks, in the same run: no step could feed more chips with that decoder.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from read import COLUMNS, GDAL, MB, ROWS, TILE, YEAR, decoders, decoding_rates, make_source, peak_memory, serving

from embedder.console.progress import Progress
from embedder.grid import COLUMN_PIXELS, TILE_PIXELS
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from embedder.source.blocks import BLOCK_BYTES, index_blocks
from embedder.source.inventory import list_tiles, open_source
from embedder.source.strip import new_pixels
from embedder.steps.inspect import Inspected
from embedder.steps.pipeline import Batch, Pipeline
from embedder.steps.plan import PlanOptions, plan
from embedder.storage import open_storage

RECIPE = RECIPES["clay-v0.1"]
BATCH = 32
"""Chips, as on a GPU."""
AT_ONCE = 1e9
"""Chips a second of a device that costs nothing."""
TALL = 4
"""Tiles one above the other, of the 24 or so of a whole column: so that a step's start weighs little, as it does there."""
CPUS = (1, 2, 4, 16)
"""That the model is asked about; what this machine has of them is measured."""


class StandIn:
    """A device of `rate` chips a second, in place of the encoder."""

    device, precision, batch_size = "stand-in", "fp32", BATCH

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.busy_s, self.began, self.ended = 0.0, 0.0, 0.0
        """Seconds of work; when the first batch came, and when the last was done."""

    def new_batch(self) -> NDArray[np.uint16]:
        """As Encoder's."""
        return new_pixels((BATCH,), RECIPE.chip_pixels)

    def encode(self, batches: Iterable[Batch]) -> Iterator[NDArray[np.float32]]:
        """As Encoder's on a GPU: the next batch is drawn while the device works on this one."""
        pending: deque[tuple[float, int]] = deque()
        for pixels, _ in batches:
            now = time.perf_counter()
            self.began = self.began or now
            self.ended = max(now, self.ended) + len(pixels) / self.rate
            self.busy_s += len(pixels) / self.rate
            pending.append((self.ended, len(pixels)))
            while len(pending) > 1:
                yield self._collect(*pending.popleft())
        while pending:
            yield self._collect(*pending.popleft())

    @staticmethod
    def _collect(done: float, count: int) -> NDArray[np.float32]:
        time.sleep(max(0, done - time.perf_counter()))
        return np.random.default_rng(count).standard_normal((count, RECIPE.width), np.float32)


def rows_of(tiles_high: int) -> int:
    """Complete chips of a column."""
    return tiles_high * TILE_PIXELS // COLUMN_PIXELS


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one embed step took, from its start to its last file."""

    wall: float
    cpu: float
    """Seconds of all threads."""
    busy: float
    """Of the time from the device's first batch to its last."""
    memory: int
    """Of the process, at most: bytes."""


def step(output: str, source: str, columns: Sequence[int], rate: float) -> Step:
    """The embed step in this process, of columns without files."""
    place = RunPlace(storage=open_storage(output), recipe=RECIPE, year=YEAR)
    device = StandIn(rate)
    run = replace(place.load(), source=source, inventory=list_tiles(open_source(source), YEAR))  # the same tile, elsewhere
    if hasattr(Pipeline, "_make_encoder"):
        Pipeline._make_encoder = lambda *_: device  # type: ignore[assignment,method-assign]  # noqa: SLF001
    else:  # of a commit before, which is measured for docs/performance.md
        Pipeline.encoder = property(lambda _: device)  # type: ignore[assignment,method-assign]
    nothing = {column: Inspected(key=place.column_key(column), content=None, version=None) for column in columns}
    progress = Progress()
    with progress.task("embed", columns=len(columns), chips=ROWS * len(columns)):
        pipeline = Pipeline(place=place, run=run, found=nothing, device="cpu", progress=progress)
        wall, cpu = time.perf_counter(), time.process_time()
        done = list(pipeline.embed([columns]))
    took = time.perf_counter() - wall, time.process_time() - cpu
    assert sum(getattr(column, "rows", 0) for column in done) == rows_of(len(run.inventory)) * len(columns)  # noqa: S101 - else what is measured?
    for column in columns:
        place.storage.local_path(place.column_key(column), Path()).unlink()
    return Step(wall=took[0], cpu=took[1], busy=device.busy_s / (device.ended - device.began), memory=peak_memory())


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A planned run, and where its steps read."""

    output: str
    rounds: int

    def step(self, source: str, columns: Sequence[int], *, rate: float = AT_ONCE, cpus: int = 0) -> Step:
        """Medians over rounds of steps in processes of their own, which may use so many CPUs."""
        done = [self._once(source, columns, rate, cpus) for _ in range(self.rounds)]
        return Step(**{name: statistics.median(getattr(each, name) for each in done) for name in asdict(done[0])})

    def _once(self, source: str, columns: Sequence[int], rate: float, cpus: int) -> Step:
        arguments = ["--step", self.output, source, f"{columns[0]}-{columns[-1]}", str(rate)]
        allowed = sorted(os.sched_getaffinity(0))[: cpus or None]
        done = subprocess.run(  # noqa: S603 - ours
            [sys.executable, __file__, *arguments],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        )
        return Step(**json.loads(done.stdout))


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Of the benchmark's tile."""

    folder: Path
    rounds: int

    @cached_property
    def rates(self) -> dict[str, float]:
        """MB of pixels per second of CPU time."""
        data = (self.folder / TILE.key(YEAR)).read_bytes()
        ways, sizes = decoders(self.folder, index_blocks(lambda start, stop: data[start:stop], len(data)))
        return decoding_rates(ways, len(sizes), self.rounds)

    def report(self) -> float:
        """Print them; chips per second of CPU time that GDAL's decoding alone allows of eight columns, which take five blocks across."""
        print("decoding whole blocks, one thread          MB of pixels per CPU second   of GDAL's")
        for name, rate in self.rates.items():
            print(f"  {name:42} {rate:24.0f}   {rate / self.rates[GDAL]:9.2f}")
        blocks = 5 * 12
        return ROWS * len(COLUMNS) / (blocks * BLOCK_BYTES / MB / self.rates[GDAL])


def report(bench: Bench, folder: Path, tall: Path, bucket: str, limit: float) -> None:
    """All of the step."""
    chips, one = rows_of(TALL) * len(COLUMNS), COLUMNS[1:2]
    print(f"\nGDAL's decoding alone would allow {limit:.0f} chips per CPU second of eight columns; the device costs nothing")
    print("                                        chips/s   chips per CPU s   of GDAL's decoding   peak memory MB")
    rows = (
        ("folder, 8 columns", str(folder), COLUMNS),
        (f"folder, 8 columns, {TALL} tiles high", str(tall), COLUMNS),
        ("folder, 1 column", str(folder), one),
        ("bucket, 8 columns", bucket, COLUMNS),
        ("bucket, 1 column", bucket, one),
    )
    taken = {name: bench.step(source, columns) for name, source, columns in rows}
    for name, source, columns in rows:
        took, count = taken[name], rows_of(TALL if source == str(tall) else 1) * len(columns)
        print(f"  {name:36} {count / took.wall:9.1f}  {count / took.cpu:16.1f}  {count / took.cpu / limit:19.2f}  {took.memory / MB:15.0f}")
    free = taken[f"folder, 8 columns, {TALL} tiles high"]
    rate = chips / free.wall / 2
    half = bench.step(str(tall), COLUMNS, rate=rate)
    print(f"\na device of {rate:.0f} chips/s, half of what these CPUs feed, is busy {half.busy:.1%} of the time from first batch to last")
    model(bench, tall, chips / free.cpu)


def model(bench: Bench, tall: Path, per_cpu: float) -> None:
    """What more CPUs would feed, and whether fewer do as the model says."""
    here, chips = len(os.sched_getaffinity(0)), rows_of(TALL) * len(COLUMNS)
    print("\nCPUs   chips/s by the model: CPUs x chips per CPU second   measured   of the model")
    for cpus in CPUS:
        found = ""
        if cpus <= here:
            measured = chips / bench.step(str(tall), COLUMNS, cpus=cpus).wall
            found = f"{measured:8.0f}   {measured / (cpus * per_cpu):12.2f}"
        print(f"{cpus:4}   {cpus * per_cpu:50.0f}   {found}")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, default=30, help="before each reply of the bucket")
    parser.add_argument("--mb-a-second", type=float, default=80, help="of each connection to the bucket")
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        output, source, span, rate = args.step
        first, last = map(int, span.split("-"))
        print(json.dumps(asdict(step(output, source, range(first, last + 1), float(rate)))))
        return
    folder, tall = make_source(), make_source(TALL)
    with tempfile.TemporaryDirectory() as output:
        options = PlanOptions(recipe=RECIPE, year=YEAR, columns=COLUMNS, source=str(folder), weights="random:0", precision="fp32")
        with contextlib.redirect_stderr(io.StringIO()):
            plan(open_storage(output), options, Progress())
        with serving(folder, latency=args.latency_ms / 1_000, rate=args.mb_a_second * MB) as server:
            limit = Decoding(folder=folder, rounds=args.rounds).report()
            report(Bench(output=output, rounds=args.rounds), folder, tall, f"{server.url}/feed", limit)


if __name__ == "__main__":
    main()
