"""A data set of a continent: publishing it, its size, and what a box of one degree costs over HTTP.

    python benchmarks/publish.py [--rows 100000] [--boxes 5] [--duckdb PYTHON]

A whole continent is --rows 796374: the made-up embeddings of benchmarks/explore.py, 2.5 GB in build/bench, and 8 GB for the data sets.

Publishing runs in a process of its own, for its time and its memory. The boxes are read with DuckDB, each in a new process, from a server
on this machine that counts requests and bytes, and is as slow as a distant one: of the run's own files, of the data set, and of its files
with other row groups, among them the 128 MB that geoembeddings.org names for irregular grids. DuckDB needs its extension httpfs, which the
environment of `make readers` has: without it the boxes are left out. --duckdb names another Python.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from explore import FOLDER, RECIPE, YEAR, make_output
from read import MB, serving

from embedder.grid import COLUMN_PIXELS, HEIGHT_PIXELS, NORTH, TILE_PIXELS, WEST
from embedder.output.chip_ids import chips_of_ids
from embedder.publish import layout

PUBLISH = """
import resource, sys, time
from embedder.console.progress import Progress
from embedder.publish.dataset import DataSet
from embedder.publish.source import finished_years
from embedder.recipes import RECIPES
from embedder.storage import open_storage

output, to, recipe, form = sys.argv[1:]
start = time.perf_counter()
finished = finished_years(open_storage(output), RECIPES[recipe])
DataSet(storage=open_storage(to), recipe=RECIPES[recipe], progress=Progress()).publish(finished, [form], least_recall=0)
print(f"{time.perf_counter() - start:.1f} s, peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
"""
QUERY = """
import json, sys, importlib.util, pathlib, duckdb
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
package = importlib.util.find_spec("duckdb_extension_httpfs")
if package:
    (extension,) = pathlib.Path(package.origin).parent.rglob("httpfs.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
else:
    connection.execute("LOAD httpfs")
connection.execute("SET enable_progress_bar = false")
urls, (west, south, east, north) = json.load(sys.stdin)
where = f"bbox.xmax > {west} AND bbox.xmin < {east} AND bbox.ymax > {south} AND bbox.ymin < {north}"
print(len(connection.execute(f"SELECT chip_id, embeddings FROM read_parquet({urls}) WHERE {where}").fetchall()))
"""
CELLS = (8, 16, 32, 64)
"""Widths of a row group to compare, chips."""
LATENCY_S, RATE = 0.03, 80 * MB
"""Of the server, which answers as a distant one does."""
LARGE_BYTES = 128_000_000
"""Of a row group, as geoembeddings.org recommends where there is no grid."""


def measure(name: str, files: Sequence[Path], boxes: Sequence[tuple[float, ...]], python: str) -> None:
    """Print a row: requests, bytes and seconds of a box, on average."""
    took, rows = 0.0, 0
    with serving(files[0].parent, latency=LATENCY_S, rate=RATE) as server:
        for box in boxes:
            asked = json.dumps([[f"{server.url}/bucket/{file.name}" for file in files], box])
            start = time.perf_counter()
            done = subprocess.run([python, "-c", QUERY], input=asked, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode:
                sys.exit(f"{python} could not read over HTTP: {done.stderr.strip().splitlines()[-1]}")
            took, rows = took + time.perf_counter() - start, rows + int(done.stdout)
        sent = server.traffic("bucket")
    each = len(boxes)
    cells = name, len(files), f"{rows / each:.0f}", f"{sent.requests / each:.0f}", f"{sent.size / each / 1e6:.1f}", f"{took / each:.1f}"
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def with_row_groups(files: Sequence[Path], folder: Path, cell: int | None) -> list[Path]:
    """The same files, with row groups of cells so wide, or of LARGE_BYTES."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = []
    for file in files:
        table = pq.read_table(file)
        made.append(folder / file.name)
        if cell:
            layout.CELL_CHIPS = cell
            _, counts = layout.spatial_order(chips_of_ids(table["chip_id"]), RECIPE.chip_pixels)  # rows are in this order already
        else:
            rows = LARGE_BYTES // (4 * RECIPE.width)
            counts = np.array([min(rows, table.num_rows - start) for start in range(0, table.num_rows, rows)])
        plain = ["embeddings.list.element", "chip_id", "geometry"]
        dictionary = [name for name in _leaves(file) if name not in plain]
        statistics = [name for name in _leaves(file) if name not in plain[::2]]
        with pq.ParquetWriter(made[-1], table.schema, compression="zstd", use_dictionary=dictionary, write_statistics=statistics) as writer:
            start = 0
            for count in counts.tolist():
                writer.write_table(table.slice(start, count), row_group_size=count)
                start += count
    return made


def _leaves(file: Path) -> list[str]:
    parquet = pq.ParquetFile(file).schema
    return [parquet.column(place).path for place in range(len(parquet.names))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--boxes", type=int, default=5)
    parser.add_argument("--duckdb", default="build/readers/venv/bin/python", metavar="PYTHON")
    arguments = parser.parse_args()
    output = make_output(arguments.rows)
    dataset = FOLDER / f"publish-{arguments.rows}"
    shutil.rmtree(dataset, ignore_errors=True)
    for form in ("geoparquet", "int8", "zarr"):
        command = [sys.executable, "-c", PUBLISH, str(output), str(dataset), RECIPE.name, form]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            sys.exit(done.stderr)
        sizes = [path.stat().st_size / 1e6 for path in (dataset / form / str(YEAR)).rglob("*") if path.is_file()]
        large = sorted(size for size in sizes if size > 1)
        print(f"{form}: {done.stdout.strip()}; {sum(sizes):,.1f} MB, files of {large[0]:.1f} to {large[-1]:.1f} MB", flush=True)
    quantisation = json.loads((dataset / "provenance" / str(YEAR) / "int8.json").read_bytes())["quantisation"]
    print(f"int8: recall@10 {quantisation['recall']:.4f} against float32, over {quantisation['queries']} chips", flush=True)
    if not Path(arguments.duckdb).exists():
        print(f"the boxes are not measured: {arguments.duckdb} is not there (make readers)")
        return
    columns = -(-arguments.rows // (HEIGHT_PIXELS // COLUMN_PIXELS))
    random = np.random.default_rng(3)
    east = WEST + columns * COLUMN_PIXELS / TILE_PIXELS
    corners = zip(random.uniform(WEST, max(WEST, east - 1), arguments.boxes), random.uniform(26, NORTH - 1, arguments.boxes), strict=True)
    boxes = [(float(west), float(south), float(west) + 1, float(south) + 1) for west, south in corners]
    print("\n| a box of 1 degree | files | rows | requests | MB | s |\n|---|---|---|---|---|---|")
    own = sorted((output / RECIPE.name / str(YEAR)).glob("*.parquet"))
    files = sorted((dataset / "geoparquet" / str(YEAR)).glob("*.parquet"))
    measure("the run's own files", own, boxes, arguments.duckdb)
    measure(f"the data set, cells of {layout.CELL_CHIPS} chips", files, boxes, arguments.duckdb)
    for cell in (*CELLS, None):
        name = f"row groups of {cell} x {cell} chips" if cell else "row groups of 128 MB"
        other = FOLDER / f"publish-{arguments.rows}-other"
        measure(name, with_row_groups(files, other, cell), boxes, arguments.duckdb)
        shutil.rmtree(other)


if __name__ == "__main__":
    main()
