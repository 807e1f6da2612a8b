"""The embed step on a full-height tile, against encoding the same chips from memory, and against a naive way, all in the same run.

    python benchmarks/end_to_end.py [--columns 2] [--rounds 2] [--source folder] [--quick]

The step does all that a pod does once Python and torch have started: it loads the weights, reads, encodes, writes and checks the files.
The naive way reads chip by chip, the file opened anew for each, and encodes each by itself in fp32 with torch's own layers. Each round
measures everything in turn, encoding alone both before and after the step, and medians over the rounds are printed.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

import encode
import numpy as np
import torch
from read import COLUMNS, MB, ROWS, TILE, YEAR, Took, make_source, measure, naive_chip, serving

from embedder.console.progress import Progress
from embedder.grid import Chip
from embedder.models.clay import ClayEncoder
from embedder.models.encoder import Encoder, resolve_device, resolve_precision
from embedder.output.run import Run, RunPlace
from embedder.recipes import RECIPES, Precision, Recipe
from embedder.source.inventory import Source, list_tiles, open_source
from embedder.source.strip import read_strip
from embedder.steps.embed import embed
from embedder.steps.pipeline import Batch
from embedder.steps.plan import PlanOptions, plan
from embedder.steps.slim_weights import slim_weights
from embedder.storage import open_storage

RECIPE = RECIPES["clay-v0.1"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A planned run in one precision, and what its encoder does alone."""

    place: RunPlace
    run: Run
    columns: Sequence[int]
    encoder: Encoder
    batches: Sequence[Batch]
    """The columns' chips, in memory."""

    @property
    def chips(self) -> int:
        """How many the columns have."""
        return sum(len(pixels) for pixels, _ in self.batches)

    def encode_alone(self) -> None:
        """Encode the chips from memory."""
        for _ in self.encoder.encode(self.batches):
            pass

    def load(self) -> None:
        """What the embed step does before it can encode."""
        make_encoder(self.place, self.run)

    def embed(self) -> None:
        """The embed step, of columns without files."""
        with contextlib.redirect_stderr(io.StringIO()):
            result = embed(self.place, self.run, self.columns, Progress())
        assert sum(column.rows for column in result.written) == self.chips  # noqa: S101 - else it measures something else

    def remove_files(self) -> None:
        """As if the columns had never been embedded."""
        for column in self.columns:
            self.place.storage.local_path(self.place.column_key(column), Path()).unlink()


def make_encoder(place: RunPlace, run: Run) -> Encoder:
    """As the embed step makes it."""
    return Encoder(slim_weights(place, run), run.recipe, year=YEAR, precision=run.precision)


def prepare(
    source: str, output: Path, columns: Sequence[int], precisions: Sequence[Precision], recipe: Recipe = RECIPE
) -> Iterator[tuple[Precision, Job]]:
    """The jobs, by precision; their encoders are warm."""
    opened = open_source(source)
    chips = [chip for chip in read_strip(opened, list_tiles(opened, YEAR), YEAR, columns, recipe.chip_pixels) if chip.pixels is not None]
    for precision in precisions:
        place = RunPlace(storage=open_storage(str(output / precision)), recipe=recipe, year=YEAR)
        options = PlanOptions(recipe=recipe, year=YEAR, columns=columns, source=source, weights="random:0", precision=precision)
        with contextlib.redirect_stderr(io.StringIO()):
            run = plan(place.storage, options, Progress())
        encoder = make_encoder(place, run)
        groups = [chips[start : start + encoder.batch_size] for start in range(0, len(chips), encoder.batch_size)]
        batches = [
            (np.stack([chip.pixels for chip in group if chip.pixels is not None]), np.array([chip.chip.bounds.center for chip in group]))
            for group in groups
        ]
        list(encoder.encode(batches[:1]))
        yield precision, Job(place=place, run=run, columns=columns, encoder=encoder, batches=batches)


def naive(model: ClayEncoder, source: Source, rows: Sequence[int]) -> None:
    """Read and encode chips one after the other, as one would write it first."""
    device = next(model.parameters()).device
    for row in rows:
        pixels = naive_chip(source.gdal_path(TILE.key(YEAR)), COLUMNS[1], row)
        lonlat = np.array([Chip(row=row, column=COLUMNS[1], pixels=RECIPE.chip_pixels).bounds.center])
        encode.naive(model, torch.from_numpy(pixels[None].astype(np.int32)).to(device), lonlat)


def report(took: dict[str, list[Took]], chips: int, naive_chips: int) -> None:
    """Medians, and ratios within each round."""
    print("                                     wall s   CPU s   chips/s")
    for name, all_took in took.items():
        count = naive_chips if name == "naive" else chips
        wall, cpu = (statistics.median(getattr(t, what) for t in all_took) for what in ("wall", "cpu"))
        rate = f"  {count / wall:8.2f}" if "loading" not in name else ""
        label = f"{name}, {count} chips" if name == "naive" else name
        print(f"  {label:32} {wall:8.2f}  {cpu:6.1f}{rate}")
    for precision in (name.removesuffix(" embed step") for name in took if name.endswith("embed step")):
        step, loading = took[f"{precision} embed step"], took[f"{precision} loading the weights"]
        encoded = took[f"{precision} encode alone"]  # before each step, and after it
        alone = [Took((a.wall + b.wall) / 2, (a.cpu + b.cpu) / 2) for a, b in zip(encoded[::2], encoded[1::2], strict=True)]
        wall = statistics.median(s.wall / a.wall for s, a in zip(step, alone, strict=True))
        cpu = statistics.median(s.cpu / a.cpu for s, a in zip(step, alone, strict=True))
        loaded = statistics.median((s.wall - load.wall) / a.wall for s, load, a in zip(step, loading, alone, strict=True))
        faster = statistics.median(n.wall / naive_chips * chips / s.wall for s, n in zip(step, took["naive"], strict=True))
        print(f"{precision}: the embed step takes {wall:.3f} x encode alone ({loaded:.3f} x once the weights are loaded), ", end="")
        print(f"in CPU time {cpu:.3f} x; {faster:.2f} x as fast as the naive way")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, choices=range(1, len(COLUMNS)), default=1, help="adjacent ones, 23 chips each")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--source", choices=["folder", "bucket"], default="bucket", help="a bucket's server runs on this machine too")
    parser.add_argument("--latency-ms", type=float, default=30, help="before each reply of the bucket")
    parser.add_argument("--mb-a-second", type=float, default=80, help="of each connection to the bucket")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto", help="measured beside fp32")
    parser.add_argument("--naive-chips", type=int, default=4, choices=range(1, ROWS + 1), help="chips that the naive way gets")
    parser.add_argument("--quick", action="store_true", help="one round")
    args = parser.parse_args()
    device = resolve_device("auto")
    reduced = resolve_precision(args.precision, device)
    precisions: list[Precision] = ["fp32"] if reduced == "fp32" else ["fp32", reduced]  # type: ignore[list-item]
    columns = COLUMNS[1 : 1 + args.columns]  # the first of them is two blocks wide
    chips = ROWS * len(columns)
    rounds = 1 if args.quick else args.rounds

    folder, took = make_source(), dict[str, list[Took]]()
    with contextlib.ExitStack() as stack:
        output = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base = str(folder)
        if args.source == "bucket":
            base = stack.enter_context(serving(folder, latency=args.latency_ms / 1_000, rate=args.mb_a_second * MB)).url
        jobs = dict(prepare(f"{base}/ours" if args.source == "bucket" else base, output, columns, precisions))
        model = jobs["fp32"].encoder._model  # noqa: SLF001 - our own
        where = f"{jobs['fp32'].encoder.device}, {torch.get_num_threads()} threads"
        print(
            f"{RECIPE.name} on {where}; {len(columns)} columns, {chips} chips, from a {args.source}; medians of {rounds} rounds", flush=True
        )
        for number in range(rounds):
            source = open_source(f"{base}/naive-{number}" if args.source == "bucket" else base)
            for precision, job in jobs.items():
                for name, work in (
                    ("encode alone", job.encode_alone),
                    ("embed step", job.embed),
                    ("encode alone", job.encode_alone),
                    ("loading the weights", job.load),
                ):
                    took.setdefault(f"{precision} {name}", []).append(measure(work)[0])
                job.remove_files()
            with torch.inference_mode():
                took.setdefault("naive", []).append(measure(partial(naive, model, source, range(args.naive_chips)))[0])
    report(took, chips, args.naive_chips)


if __name__ == "__main__":
    main()
