"""What a card makes of the encoders: a table for docs/performance.md. Without a card it tries itself on the CPU, and says so.

    python benchmarks/gpu.py [--recipe clay-v1.5] [--batch-sizes 8,32,128] [--quick]

For each recipe, in bf16 and fp16 (fp16 alone where a card has no bf16): the card's own rate of matrix multiplications of the model's
shapes, the best over the batch sizes; chips a second and their share of that rate by batch size, as the encoder is, and with its
transformer compiled or recorded as a CUDA graph; the cosine to fp32; seconds from a process's start to its first chip; and how busy the
card is during the embed step of eight columns of a made-up tile: the time that encoding the same chips from memory takes, of the step's.
Compiling needs a C compiler and Triton, which the image has not: there its rows say so. `--quick` takes the tests' narrow model, which is
all that a CPU is asked for.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import torch
from encode import Products, flop_a_chip, made_up_chips, seconds
from end_to_end import Job, prepare
from rasterio.windows import Window as RasterWindow
from read import COLUMNS, TILE, YEAR, make_source, measure
from startup import first_embedding
from torch import Tensor, nn

from embedder.errors import ConfigurationError
from embedder.grid import BLOCK_PIXELS, COLUMN_PIXELS, NORTH, TILE_PIXELS, WEST, column_window
from embedder.models.cards import driver, why_not_cuda
from embedder.models.checkpoint import recipe_for
from embedder.models.encoder import BATCH_SIZES, Encoder, resolve_precision
from embedder.models.weights import SlimWeights, slim
from embedder.recipes import BANDS, RECIPES, Precision, Recipe

TINY = recipe_for("clay-v1.5-tiny")
MEASUREMENT_S = 1.0
"""About how long a measurement takes, seconds."""


class Recorded(nn.Module):
    """A transformer recorded as a CUDA graph for the first batch that it is given, and played for others of that size."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer
        self.graph: torch.cuda.CUDAGraph | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, width) to the same."""
        if self.graph is None:
            self.given = x.clone()  # (n, t, width)
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # on which cuBLAS takes its memory, as recording may not
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(2):
                    self.transformer(self.given)
            torch.cuda.current_stream().wait_stream(side)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.made: Tensor = self.transformer(self.given)  # (n, t, width)
        self.given.copy_(x)
        self.graph.replay()
        return self.made


def compiled(transformer: nn.Module) -> nn.Module:
    """The transformer compiled for batches of one size."""
    torch.compiler.reset()
    return torch.compile(transformer, dynamic=False)  # type: ignore[return-value]


WAYS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "eager": lambda transformer: transformer,
    "torch.compile": compiled,
    "CUDA graph": Recorded,
    "torch.compile in a CUDA graph": lambda transformer: Recorded(compiled(transformer)),
}


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What is measured, and where."""

    recipe: Recipe
    device: torch.device
    precisions: Sequence[Precision]
    """Reduced ones, the device's own choice first."""
    batch_sizes: Sequence[int]
    ways: Sequence[str]
    """With which the first precision is measured; the others are measured eager."""
    source: Path
    columns: Sequence[int]
    """Of the source, for the embed step."""
    rounds: int
    """Of which medians are taken."""

    def rows(self) -> Iterator[list[str]]:
        """The table's rows, each printed as soon as it is measured."""
        flop = flop_a_chip(self.recipe)
        with tempfile.TemporaryDirectory() as folder:
            key = Path(folder) / self.recipe.name / "_weights" / "slim.safetensors"
            made = slim("random:0", key, self.recipe)
            weights = made.path.rename(made.path.with_stem(made.sha256))
            best = {precision: self._matmul_rate(precision) for precision in self.precisions}
            yield ["torch.matmul, the model's shapes", *(f"{rate / 1e12:.3g} TFLOP/s" for rate in best.values())]
            for way in self.ways:
                for size in self.batch_sizes:
                    cells = []
                    for precision in self.precisions if way == "eager" else self.precisions[:1]:
                        try:
                            rate = self._rate(weights, precision, way, size)
                            cells.append(f"{rate:.1f} chips/s, {100 * rate * flop / best[precision]:.0f} %")
                        except Exception as error:  # noqa: BLE001 - whatever one way lacks, the others are measured
                            print(
                                f"{way}, {size} chips at once in {precision}: {type(error).__name__}: {str(error).strip()[:200]}",
                                flush=True,
                            )
                            cells.append("none")
                    yield [f"{way}, {size} chips at once", *cells]
            job = next(prepare(str(self.source), Path(folder) / "steps", self.columns, self.precisions[:1], self.recipe))[1]
            yield [
                "cosine to fp32, the least of a batch",
                *(f"{self._cosine(weights, precision, job):.7f}" for precision in self.precisions),
            ]
            yield ["first chip after the process's start", *self._first_chip(Path(folder), made)]
            yield [f"busy in the embed step, columns together: {len(self.columns)}", f"{100 * busy(job, self.rounds):.0f} %"]

    def _matmul_rate(self, precision: Precision) -> float:
        """The best over the batch sizes, FLOP/s."""
        return max(Products(self.recipe, size, precision, self.device).matmul_rate() for size in self.batch_sizes)

    def _rate(self, weights: Path, precision: Precision, way: str, size: int) -> float:
        """Chips a second, the median of the rounds."""
        encoder = self._encoder(weights, precision, size)
        encoder._model.transformer = WAYS[way](encoder._model.transformer)  # type: ignore[assignment]  # noqa: SLF001 - our own
        batch = made_up_chips(self.recipe, size)

        def rate(batches: int) -> float:
            return size * batches / seconds(lambda: list(encoder.encode([batch] * batches)), self.device)

        rate(2)  # warms up: compiles, records
        batches = max(2, round(MEASUREMENT_S * rate(2) / size)) if self.device.type == "cuda" else 1
        found = statistics.median(rate(batches) for _ in range(self.rounds))
        if encoder.batch_size != size:
            raise ConfigurationError(f"only {encoder.batch_size} fit the card's memory")
        return found

    def _cosine(self, weights: Path, precision: Precision, job: Job) -> float:
        """Between embeddings in this precision and in fp32, of the tile's chips."""
        one, other = (next(self._encoder(weights, name).encode(job.batches[:1])).astype(np.float64) for name in (precision, "fp32"))
        return float(np.min((one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)))

    def _first_chip(self, folder: Path, made: SlimWeights) -> Iterator[str]:
        for precision in self.precisions:
            start = first_embedding(str(folder), made.sha256, self.recipe.name, self.device.type, precision)
            parts = ", ".join(f"{part} {took:.1f}" for part, took in start["seconds"].items() if part != "total")
            yield f"{start['wall']:.1f} s ({parts})"

    def _encoder(self, weights: Path, precision: str, size: int | None = None) -> Encoder:
        return Encoder(weights, self.recipe, year=YEAR, device=str(self.device), precision=precision, batch_size=size)


def busy(job: Job, rounds: int) -> float:
    """The part of the embed step in which the device computes, its start left out; the median of the rounds."""
    shares = []
    for _ in range(rounds):
        alone, loading, step = (measure(work)[0].wall for work in (job.encode_alone, job.load, job.embed))
        job.remove_files()
        shares.append(alone / max(step - loading, alone))
    return statistics.median(shares)


def markdown(title: str, precisions: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a column for each precision."""
    head = [title, *precisions]
    lines = [head, ["---"] * len(head), *([*row, *[""] * (len(head) - len(row))] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |".replace("  ", " ") for line in lines)


def small_source(folder: Path) -> Path:
    """The folder with a tile that has noise where column COLUMNS[0] begins, for eight chips of 256 pixels, and no pixels elsewhere."""
    path = folder / TILE.key(YEAR)
    path.parent.mkdir(parents=True)
    left, size = column_window(COLUMNS[0]).x - TILE.window.x, COLUMN_PIXELS
    layout = {"tiled": True, "blockxsize": BLOCK_PIXELS, "blockysize": BLOCK_PIXELS, "interleave": "pixel", "sparse_ok": True}
    profile = {"driver": "GTiff", "width": TILE_PIXELS, "height": TILE_PIXELS, "count": len(BANDS), "dtype": "uint16", "nodata": 0}
    place = {
        "crs": "EPSG:4326",
        "transform": rasterio.Affine(1 / TILE_PIXELS, 0, WEST + TILE.column, 0, -1 / TILE_PIXELS, NORTH - TILE.row),
    }
    with rasterio.open(path, "w", compress="deflate", predictor=2, **profile, **place, **layout) as dataset:
        pixels = np.random.default_rng(0).integers(1_000, 1_060, (len(BANDS), 2 * size, size), np.uint16)
        dataset.write(pixels, window=RasterWindow(left, 0, size, 2 * size))
    return folder


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, action="append", help="default clay-v0.1 and clay-v1.5")
    parser.add_argument("--batch-sizes", default=f"8,{BATCH_SIZES['cuda']},128", help="chips at once")
    parser.add_argument("--quick", action="store_true", help="the tests' narrow model on a few chips")
    args = parser.parse_args()
    card = torch.cuda.is_available()
    if not card:
        print(f"NO CARD: {why_not_cuda()}. What follows was computed on the CPU by the tests' narrow model: it tells nothing of a card.")
    device = torch.device("cuda" if card else "cpu")
    own: Precision = resolve_precision("auto", device)  # type: ignore[assignment]
    where = f"{torch.cuda.get_device_name()}, driver {driver()}" if card else f"no card: this CPU, {torch.get_num_threads()} threads"
    where += f", torch {torch.__version__}"
    precisions: list[Precision] = [own, "fp16"] if own == "bf16" and card else [own]
    quick = args.quick or not card
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for recipe in [TINY] if quick else [RECIPES[name] for name in args.recipe or ("clay-v0.1", "clay-v1.5")]:
            RECIPES.setdefault(recipe.name, recipe)  # the narrow one is none of people's
            bench = Bench(
                recipe=recipe,
                device=device,
                precisions=precisions,
                batch_sizes=[2] if quick else [int(size) for size in args.batch_sizes.split(",")],
                ways=list(WAYS) if card else ["eager"],
                source=small_source(Path(folder)) if quick else make_source(),
                columns=COLUMNS[:1] if quick else COLUMNS,
                rounds=1 if quick else 3,
            )
            rows = []
            print(f"{recipe.name} on {where}", flush=True)
            for row in bench.rows():
                print(f"  {row[0]:44} {'; '.join(row[1:])}", flush=True)
                rows.append(row)
            tables.append(markdown(f"{recipe.name}, {flop_a_chip(recipe) / 1e9:.1f} GFLOP a chip", precisions, rows))
    print(f"\n{where}:\n\n" + "\n\n".join(tables))


if __name__ == "__main__":
    main()
