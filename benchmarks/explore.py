"""Search of a continent: loading, indexing, asking, against LanceDB used plainly.

    python benchmarks/explore.py [--rows 100000] [--queries 100] [--no-baseline | --tried | --every]

A whole continent is --rows 796374: some ten minutes, and 10 GB of disk in build/bench.
--tried measures, in place of all this, the indexes that the one in use was chosen from, LanceDB's exact search, and a plain matrix product
over the vectors in memory; it prints the table of docs/performance.md.
--every measures, in place of all this, what it takes to answer for every chip, to find the random pairs, and to write the answer as a file,
against LanceDB's exact search with a limit of all rows.

The vectors are invented, in clusters as land cover is: 4000 centres of 48 dimensions of falling weight, spread into 768 with a common
mean and noise. They are written once, as this package's own column files with a manifest, to build/bench; the cache is made anew each time.
The baseline is LanceDB's IVF_PQ (512 partitions, 96 sub-vectors) over the same vectors, asked as its guide shows.
"""

import argparse
import hashlib
import math
import os
import resource
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import embedder
from embedder.console.progress import Progress
from embedder.explore.layers import write_layer
from embedder.explore.search import Question, Searcher, top
from embedder.explore.vectors.catalogue import Published, published_years
from embedder.explore.vectors.database import Database
from embedder.explore.vectors.index import Index
from embedder.explore.vectors.ingest import open_database
from embedder.explore.vectors.pairs import pair_distances
from embedder.explore.vectors.part import columns_in
from embedder.grid import COLUMN_COUNT, Bounds, chips_in_column
from embedder.output import column_file
from embedder.output.manifest import Manifest, PublishedColumn
from embedder.output.run import Run
from embedder.recipes import RECIPES
from embedder.storage import open_storage

RECIPE = RECIPES["clay-v0.1"]
YEAR = 2020
FOLDER = Path(__file__).parents[1] / "build" / "bench"
CLUSTERS, DIMENSIONS = 4_000, 48
IN_COLUMN = chips_in_column(RECIPE.chip_pixels)
K = 10

TRIED: dict[str, tuple[tuple[str, str, dict[str, int], tuple[tuple[int, int], ...]], ...]] = {
    "float32": (
        ("IVF_RQ, 1 bit", "IvfRq", {"num_bits": 1}, ((50, 1), (20, 5), (50, 5))),
        ("IVF_RQ, 5 bits", "IvfRq", {"num_bits": 5}, ((50, 1), (50, 3))),
        ("IVF_SQ", "IvfSq", {}, ((50, 1), (50, 3))),
        ("IVF_HNSW_SQ, 1 partition, m 16, ef 100", "HnswSq", {"num_partitions": 1, "m": 16, "ef_construction": 100}, ((1, 1), (1, 3))),
        ("IVF_PQ, 96 sub-vectors", "IvfPq", {"num_sub_vectors": 96}, ((50, 1), (50, 5))),
    ),
    "float16": (
        ("float16: IVF_RQ, 1 bit", "IvfRq", {"num_bits": 1}, ((50, 5),)),
        ("float16: IVF_RQ, 5 bits", "IvfRq", {"num_bits": 5}, ((50, 3),)),
        ("float16: IVF_SQ", "IvfSq", {}, ((50, 3),)),
    ),
}
"""By the numbers in the table: name, LanceDB's class, its settings, and the pairs of nprobes and refine factor to ask with."""


def make_output(rows: int) -> Path:
    """A folder of column files and a manifest, made once."""
    folder = FOLDER / f"explore-{rows}"
    place = folder / RECIPE.name / str(YEAR)
    if (place / "_manifest.json").exists():
        return folder
    print(f"writing {rows} made-up embeddings as column files, once ...", flush=True)
    place.mkdir(parents=True, exist_ok=True)
    run = Run(
        recipe=RECIPE,
        year=YEAR,
        source="none",
        inventory={},
        weights="none",
        checkpoint_sha256=None,
        weights_sha256="0" * 64,
        precision="fp32",
        columns=tuple(range(COLUMN_COUNT)),
    )
    columns: dict[int, PublishedColumn] = {}
    for column in range(-(-rows // IN_COLUMN)):
        count = min(IN_COLUMN, rows - column * IN_COLUMN)
        data = column_file.write(
            run, column, "e" * count + "t" * (IN_COLUMN - count), embeddings(column, count), device=None, precision=None
        )
        name = f"worldcover_embeddings_{YEAR}_{column:04d}.parquet"
        (place / name).write_bytes(data)
        columns[column] = PublishedColumn(file=name, rows=count, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    manifest = Manifest(
        recipe=RECIPE.name,
        year=YEAR,
        config_digest=run.config_digest,
        weights=run.weights,
        weights_sha256=run.weights_sha256,
        complete=False,
        chips={"embedded": rows},
        columns=columns,
    )
    (place / "_manifest.json").write_bytes(manifest.to_json())
    return folder


def embeddings(column: int, count: int) -> NDArray[np.float32]:
    """(count, width): a column's vectors, the same each time."""
    world = np.random.default_rng(0)
    weight = (1 / np.sqrt(1 + np.arange(DIMENSIONS) / 4)).astype(np.float32)
    spread = world.standard_normal((DIMENSIONS, RECIPE.width), dtype=np.float32) / np.sqrt(np.float32(DIMENSIONS))
    mean = 1.5 * world.standard_normal(RECIPE.width, dtype=np.float32)
    centres = world.standard_normal((CLUSTERS, DIMENSIONS), dtype=np.float32) * weight
    random = np.random.default_rng([1, column])
    inner = centres[random.integers(0, CLUSTERS, count)] + 0.5 * weight * random.standard_normal((count, DIMENSIONS), dtype=np.float32)
    out: NDArray[np.float32] = inner @ spread + mean + 0.15 * random.standard_normal((count, RECIPE.width), dtype=np.float32)
    return out


def peak() -> float:
    """The most resident memory of the process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def timed(ask: Callable[[int], set[int]], positions: Sequence[int]) -> tuple[list[float], list[set[int]]]:
    """Milliseconds of each question, and the positions of its hits."""
    ask(positions[0])
    times, found = [], []
    for position in positions:
        start = time.perf_counter()
        found.append(ask(position))
        times.append(1e3 * (time.perf_counter() - start))
    return times, found


def recall(found: list[set[int]], truth: list[set[int]]) -> float:
    """The part of the true hits that was found."""
    return sum(len(some & right) for some, right in zip(found, truth, strict=True)) / (K * len(truth))


def report(name: str, times: list[float], found: list[set[int]], truth: list[set[int]]) -> float:
    """Print and return the median."""
    median = statistics.median(times)
    print(f"{name:44} recall@{K} {recall(found, truth):.3f}   p50 {median:7.1f} ms   p95 {np.percentile(times, 95):7.1f} ms", flush=True)
    return median


def ours(searcher: Searcher, *, exact: bool) -> Callable[[int], set[int]]:
    """Ask for the chips like the one at a position."""
    database = searcher.database

    def ask(position: int) -> set[int]:
        hits = searcher.search(Question(like=[database.chip(position)], count=K, exact=exact))
        return {database.position(hit.chip) or 0 for hit in hits}

    return ask


@contextmanager
def plain_table(database: Database, numbers: str = "float32") -> Iterator[Any]:
    """The vectors as a LanceDB table, made as its guide shows."""
    import lancedb  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    folder = FOLDER / "explore-plain"
    shutil.rmtree(folder, ignore_errors=True)
    vector_type = pa.list_(pa.from_numpy_dtype(numbers), RECIPE.width)
    schema = pa.schema([("position", pa.int32()), ("vector", vector_type)])

    def batches() -> Any:  # noqa: ANN401
        for start, block in database.blocks(database.live):
            vector = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel().astype(numbers)), type=vector_type)
            yield pa.record_batch([pa.array(np.arange(start, start + len(block), dtype=np.int32)), vector], schema=schema)

    yield lancedb.connect(folder).create_table("plain", pa.RecordBatchReader.from_batches(schema, batches()))
    shutil.rmtree(folder)


def plain(database: Database, table: Any, build: Callable[[Any], Any]) -> Callable[[int], set[int]]:  # noqa: ANN401
    """Ask LanceDB for the chips like the one at a position."""

    def ask(position: int) -> set[int]:
        query = database.vectors([position])[0]
        found = build(table.search(query).distance_type("cosine")).limit(K + 1).select(["position", "_distance"]).to_arrow()
        return set(found["position"].to_pylist()) - {position}

    return ask


def looking(probes: int, refine: int) -> Callable[[Any], Any]:
    """Into so many partitions, with so many times the hits compared exactly."""
    return lambda search: search.nprobes(probes).refine_factor(refine)


def baseline(database: Database, positions: Sequence[int], truth: list[set[int]]) -> dict[str, float]:
    """LanceDB as its guide shows: create_table, create_index, search."""
    from lancedb.index import IvfPq  # noqa: PLC0415

    start = time.perf_counter()
    with plain_table(database) as table:
        ingest = time.perf_counter() - start
        start = time.perf_counter()
        table.create_index("vector", config=IvfPq(distance_type="cosine", num_partitions=512, num_sub_vectors=96))
        built = time.perf_counter() - start
        print(f"plain LanceDB: ingest {ingest:.1f} s, IVF_PQ {built:.1f} s", flush=True)
        out = {"build": built}
        for name, build, questions in (
            ("plain IVF_PQ, its defaults", lambda search: search, len(positions)),
            ("plain IVF_PQ, nprobes 50, refine 20", looking(50, 20), len(positions)),
            ("plain exact (bypass_vector_index)", lambda search: search.bypass_vector_index(), 5),
        ):
            times, found = timed(plain(database, table, build), positions[:questions])
            out[name] = report(name, times, found, truth[:questions])
    return out


def tried(database: Database, positions: Sequence[int], truth: list[set[int]]) -> None:
    """Print what else could have been chosen, as the table of docs/performance.md."""
    from lancedb import index  # noqa: PLC0415

    print(f"\n| {database.rows} rows | built in | nprobes | refine | recall@{K} | p50 |\n|---|---|---|---|---|---|")

    def row(ask: Callable[[int], set[int]], *cells: object) -> None:
        times, found = timed(ask, positions)
        print(f"| {' | '.join(map(str, cells))} | {recall(found, truth):.3f} | {statistics.median(times):.1f} ms |", flush=True)

    partitions = max(1, math.isqrt(database.rows) // 2)
    row(in_memory(database), "matrix product in memory", "", "", "")
    for numbers, indexes in TRIED.items():
        with plain_table(database, numbers) as table:
            row(plain(database, table, lambda search: search), f"LanceDB exact, {numbers}", "", "", "")
            for name, kind, settings, asked in indexes:
                start = time.perf_counter()
                config = getattr(index, kind)(distance_type="cosine", **({"num_partitions": partitions} | settings))
                table.create_index("vector", config=config)
                built = time.perf_counter() - start
                for probes, refine in asked:
                    row(plain(database, table, looking(probes, refine)), name, f"{built:.0f} s", probes, refine)


def every(searcher: Searcher, positions: Sequence[int], *, with_baseline: bool) -> None:
    """Print the milliseconds of answers for all chips, how far they are from LanceDB's, and the seconds of the files."""
    database = searcher.database
    start = time.perf_counter()
    pairs = pair_distances(database)
    print(f"{len(pairs)} random pairs: {time.perf_counter() - start:.2f} s, median distance {np.median(pairs):.4f}", flush=True)
    before, times = peak(), []
    for position in positions:
        start = time.perf_counter()
        answer = searcher.scores(Question(like=[database.chip(position)]))
        times.append(1e3 * (time.perf_counter() - start))
    rows = f"{len(answer.values)} rows"
    print(
        f"every chip, {rows}: p50 {statistics.median(times):.0f} ms, most {max(times):.0f} ms; memory + {peak() - before:.2f} GB",
        flush=True,
    )
    layer = answer.layer({})
    for ending in (".parquet", ".csv", ".tif"):
        path = FOLDER / f"every{ending}"
        start = time.perf_counter()
        write_layer(layer, path)
        print(f"{ending}: {time.perf_counter() - start:.2f} s, {path.stat().st_size / 1e6:.1f} MB", flush=True)
        path.unlink()
    if not with_baseline:
        return
    query, times = database.vectors(positions[-1:])[0], []
    with plain_table(database) as table:
        for _ in range(3):
            start = time.perf_counter()
            search = table.search(query).distance_type("cosine").bypass_vector_index().limit(database.rows)
            found = search.select(["position", "_distance"]).to_arrow()
            times.append(1e3 * (time.perf_counter() - start))
    theirs = np.full(database.rows, np.nan, np.float32)
    theirs[found["position"].to_numpy()] = found["_distance"].to_numpy()
    furthest = np.abs(theirs[answer.positions] - answer.values).max()
    print(f"plain LanceDB, limit of all rows: p50 {statistics.median(times):.0f} ms; its distances differ by {furthest:.1e} at most")


def in_memory(database: Database) -> Callable[[int], set[int]]:
    """One product of all vectors, which are in memory, with the query's."""
    vectors = np.empty((database.rows, RECIPE.width), np.float32)
    for start, block in database.blocks(database.live):
        vectors[start : start + len(block)] = block

    def ask(position: int) -> set[int]:
        return set(top(vectors @ vectors[position], K + 1).tolist()) - {position}

    return ask


def box(output: Path, published: Published) -> None:
    """A degree's vectors in a notebook, which needs neither the year nor its cache."""
    bounds = Bounds(west=-124.0, south=40.0, east=-123.0, north=41.0)
    start = time.perf_counter()
    vectors = embedder.open(output, year=YEAR).vectors((bounds.west, bounds.south, bounds.east, bounds.north))
    took = time.perf_counter() - start
    files = [output / published.columns[column].key for column in columns_in(published, bounds)]
    megabytes, all_of_them = (sum(file.stat().st_size for file in some) / 1e6 for some in (files, output.rglob("*.parquet")))
    print(f"a box of one degree, without the cache: {len(vectors)} chips in {took:.2f} s", end="")
    print(f" from {len(files)} of {len(published.columns)} columns, {megabytes:.0f} of {all_of_them:.0f} MB", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--no-baseline", action="store_true")
    parser.add_argument("--tried", action="store_true")
    parser.add_argument("--every", action="store_true")
    arguments = parser.parse_args()
    output = make_output(arguments.rows)
    cache = FOLDER / "explore-cache"
    shutil.rmtree(cache, ignore_errors=True)
    os.environ["XDG_CACHE_HOME"] = str(cache)
    training = 0.0
    train = Index.train

    def timed_train(self: Index) -> None:
        nonlocal training
        start = time.perf_counter()
        train(self)
        training = time.perf_counter() - start

    Index.train = timed_train  # type: ignore[method-assign]
    (published,) = published_years(open_storage(str(output)), RECIPE)
    box(output, published)
    start = time.perf_counter()
    database = open_database(published, Progress())
    took = time.perf_counter() - start
    print(f"{database.count} rows x {RECIPE.width}: ingest {took - training:.1f} s, index {training:.1f} s, peak memory {peak():.2f} GB")
    start = time.perf_counter()
    database = open_database(published, Progress())
    searcher = Searcher(database)
    print(f"second start: {time.perf_counter() - start:.2f} s")
    positions = np.random.default_rng(2).integers(0, database.rows, arguments.queries).tolist()
    if arguments.every:
        every(searcher, positions, with_baseline=not arguments.no_baseline)
        return
    times, truth = timed(ours(searcher, exact=True), positions)
    if arguments.tried:
        tried(database, positions, truth)
        return
    exact = report("exact", times, truth, truth)
    times, found = timed(ours(searcher, exact=False), positions)
    quick = report("index, candidates compared exactly" if searcher.has_index else "exact (too few for an index)", times, found, truth)
    print(f"peak memory of all this: {peak():.2f} GB", flush=True)
    if not arguments.no_baseline:
        theirs = baseline(database, positions, truth)
        print(f"ratio to plain: index build {theirs['build'] / max(training, 1e-9):.1f} x quicker, ", end="")
        print(f"search {theirs['plain IVF_PQ, nprobes 50, refine 20'] / quick:.1f} x, ", end="")
        print(f"exact {theirs['plain exact (bypass_vector_index)'] / exact:.1f} x")


if __name__ == "__main__":
    main()
