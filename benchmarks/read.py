"""How columns of a full tile are read, against reading chip by chip with the file opened anew for each, as people do today.

    python benchmarks/read.py [--rounds 3] [--latency-ms 30] [--mb-a-second 80]

The tile has pixels only as far east as is needed, and is made once, in build/bench: the developers' real tile mirrored across, or noise
on gradients that compresses alike. For counting bytes a server in another process serves it as S3 does, each reply after the delay that
a distant bucket would have. Each round measures everything in turn; medians over the rounds are printed.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import ClassVar, TypeVar
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen
from xml.sax.saxutils import escape

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from embedder.grid import BLOCK_PIXELS, COLUMN_PIXELS, NORTH, TILE_PIXELS, WEST, Tile, Window, column_window
from embedder.recipes import BANDS
from embedder.source import bands
from embedder.source.blocks import BLOCK_BYTES, BLOCK_SHAPE, Block, index_blocks, inflate
from embedder.source.inventory import Inventory, Source, list_tiles, open_source
from embedder.source.strip import read_strip
from embedder.source.tiles import HEADER_BYTES, TileReader

T = TypeVar("T")

YEAR = 2020
TILE = Tile.from_name("N49W076")
"""In the grid's first row, so that 23 chips of each column lie in it alone."""
COLUMNS = range(1149, 1157)
"""Eight columns that begin in the middle of a block, as most do: they touch five blocks across, each of them one or two."""
BLOCKS_WIDE = 5
ROWS = TILE_PIXELS // COLUMN_PIXELS
"""Chips of a column in the tile."""
MB = 1e6

REAL = Path(__file__).parents[2] / "shared" / "data" / Tile.from_name("N37W076").key(YEAR)
"""A tile with real pixels; on the developers' machines only."""
REAL_WINDOW = RasterWindow(3_360, 2_944, 2_048, 1_536)
"""Its pixels without nodata."""
GDAL, OURS = "GDAL, whole blocks from the file", "ours, whole blocks from the file, verified"
FOLDER = Path(__file__).parents[1] / "build" / "bench"


# The tile


def make_source(tiles_high: int = 1) -> Path:
    """A folder with the benchmark's tile, and the same pixels again in the tiles south of it."""
    folder = FOLDER / f"tiles-{tiles_high}"
    first = folder / TILE.key(YEAR)
    if not first.exists():
        first.parent.mkdir(parents=True, exist_ok=True)
        if tiles_high == 1:
            print("making the benchmark's tile, once ...", flush=True)
            _write_tile(first)
        else:
            os.link(make_source() / TILE.key(YEAR), first)
    for row in range(1, tiles_high):
        path = folder / Tile(row=row, column=TILE.column).key(YEAR)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _copy_tile(first, path, row)
    return folder


def _write_tile(path: Path) -> None:
    pattern = _pattern()
    profile = {"driver": "GTiff", "width": TILE_PIXELS, "height": TILE_PIXELS, "count": len(BANDS), "dtype": "uint16", "nodata": 0}
    place = {
        "crs": "EPSG:4326",
        "transform": rasterio.Affine(1 / TILE_PIXELS, 0, WEST + TILE.column, 0, -1 / TILE_PIXELS, NORTH - TILE.row),
    }
    blocks = {"tiled": True, "blockxsize": BLOCK_PIXELS, "blockysize": BLOCK_PIXELS, "interleave": "pixel", "sparse_ok": True}
    cog = {"compress": "deflate", "predictor": 2, "blocksize": BLOCK_PIXELS, "overview_count": 4, "overview_resampling": "nearest"}
    plain, made = path.with_suffix(".plain"), path.with_suffix(".made")
    with rasterio.open(plain, "w", **profile, **place, **blocks) as target:
        for y in range(0, TILE_PIXELS, BLOCK_PIXELS):
            rows = np.arange(y, min(y + BLOCK_PIXELS, TILE_PIXELS)) % pattern.shape[1]
            columns = np.arange(BLOCKS_WIDE * BLOCK_PIXELS) % pattern.shape[2]
            target.write(pattern[:, rows][:, :, columns], window=RasterWindow(0, y, len(columns), len(rows)))
    rasterio.shutil.copy(plain, made, driver="COG", sparse_ok=True, num_threads="ALL_CPUS", overviews="ignore_existing", **cog)
    plain.unlink()
    made.replace(path)


def _pattern() -> NDArray[np.uint16]:
    """(band, y, x): repeats without a seam, nowhere nodata."""
    if REAL.exists():
        with rasterio.open(REAL) as dataset:
            pixels: NDArray[np.uint16] = dataset.read(window=REAL_WINDOW)
    else:
        random = np.random.default_rng(0)
        ground = 1_000 + 600 * np.sin(np.arange(2_048) / 300) * np.sin(np.arange(1_536) / 200)[:, None]
        pixels = (ground + random.normal(0, 6, (len(BANDS), *ground.shape))).astype(np.uint16)  # as compressible as real pixels
    both = np.concatenate([pixels, pixels[:, :, ::-1]], axis=2)
    return np.concatenate([both, both[:, ::-1]], axis=1)


def _copy_tile(path: Path, copy: Path, row: int) -> None:
    """The same bytes in the place of a tile of another row."""
    made = copy.with_suffix(".made")
    shutil.copy(path, made)
    with made.open("r+b") as file:
        header = file.read(HEADER_BYTES)
        tie_point = struct.pack("<6d", 0, 0, 0, WEST + TILE.column, NORTH - TILE.row, 0)  # where pixel 0, 0 lies
        file.seek(header.index(tie_point))
        file.write(struct.pack("<6d", 0, 0, 0, WEST + TILE.column, NORTH - row, 0))
    made.replace(copy)


# The server


@dataclass(frozen=True)
class Traffic:
    """What a server has sent of one bucket."""

    requests: int
    size: int
    """Of the bodies, bytes."""


@dataclass(frozen=True)
class Server:
    """A running server. Every bucket holds the folder's files: one that was not read before is in no cache."""

    url: str

    def traffic(self, bucket: str) -> Traffic:
        """What was sent of a bucket, listings left out."""
        with urlopen(f"{self.url}/{bucket}?traffic") as reply:  # noqa: S310 - our own server
            return Traffic(*json.load(reply))


@contextmanager
def serving(folder: Path, *, latency: float = 0, rate: float = 0) -> Iterator[Server]:
    """A server in another process. Each reply waits `latency` seconds, and as long as its body takes at `rate` bytes per second."""
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    command = [sys.executable, __file__, "--serve", str(folder), str(latency), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout  # noqa: S101 - it is a pipe
        try:
            yield Server(process.stdout.readline().strip())
        finally:
            process.terminate()


def serve(folder: str, latency: str, rate: str) -> None:
    """Serve a folder at a free port, which is printed, until terminated."""
    _Handler.folder, _Handler.latency, _Handler.rate = Path(folder), float(latency), float(rate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    """As much of S3 as the source needs: ListObjectsV2, HEAD, and GET with Range and If-Match."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder: Path
    latency: float
    rate: float
    requests: ClassVar[Counter[str]] = Counter()
    sizes: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        bucket, _, key = address.path.lstrip("/").partition("/")
        query = parse_qs(address.query, keep_blank_values=True)
        if "traffic" in query:
            self._reply(200, json.dumps([self.requests[bucket], self.sizes[bucket]]).encode())
        elif "list-type" in query:
            self._reply(200, self._listing(query["prefix"][0]).encode())
        else:
            self._send_file(bucket, self.folder / key)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _send_file(self, bucket: str, path: Path) -> None:
        if not path.is_file():
            self._reply(404, b"")
            return
        size, etag = path.stat().st_size, _etag(path)
        if self.headers.get("If-Match", etag) != etag:
            self._reply(412, b"")
            return
        bounds = self.headers.get("Range")
        first, last = bounds.removeprefix("bytes=").split("-") if bounds else ("0", "")
        start, stop = int(first), min(int(last) + 1 if last else size, size)
        body = b""
        if self.command == "GET":
            with path.open("rb") as file:
                file.seek(start)
                body = file.read(stop - start)
        self.requests[bucket] += 1
        self.sizes[bucket] += len(body)
        time.sleep(self.latency + (len(body) / self.rate if self.rate else 0))
        headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Length": str(stop - start)}
        if bounds:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self._reply(206 if bounds else 200, body, headers)

    def _listing(self, prefix: str) -> str:
        keys = {path.relative_to(self.folder).as_posix(): path for path in sorted(self.folder.rglob("*.tif"))}
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><ETag>{escape(_etag(path))}</ETag><Size>{path.stat().st_size}</Size></Contents>"
            for key, path in keys.items()
            if key.startswith(prefix)
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"

    def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _etag(path: Path) -> str:
    return f'"{path.stat().st_mtime_ns:x}-{path.stat().st_size:x}"'


# What is measured


@dataclass(frozen=True)
class Took:
    """What some work cost."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of all threads, the system's included."""


def measure(work: Callable[[], T]) -> tuple[Took, T]:
    """What the work costs, and what it returns."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu), result


def ours(source: Source, inventory: Inventory, columns: Sequence[int]) -> int:
    """Read adjacent columns as one strip; how many chips they have to embed."""
    return sum(chip.outcome == "e" for chip in read_strip(source, inventory, YEAR, columns, COLUMN_PIXELS))


def naive(path: str, columns: Sequence[int], **options: str) -> int:
    """Read the same chips one by one, the file opened anew for each; with GDAL's options."""
    return sum(bool(naive_chip(path, column, row, **options).all()) for column in columns for row in range(ROWS))


def naive_chip(path: str, column: int, row: int, **options: str) -> NDArray[np.uint16]:
    """A chip of the tile, as one would write it first: (band, y, x)."""
    x, y = column_window(column).x - TILE.window.x, row * COLUMN_PIXELS
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", **options), rasterio.open(path) as dataset:
        pixels: NDArray[np.uint16] = dataset.read(window=RasterWindow(x, y, COLUMN_PIXELS, COLUMN_PIXELS))
        return pixels


def block_bytes(index: dict[tuple[int, int], Block], columns: Sequence[int]) -> tuple[int, float]:
    """Compressed bytes of the blocks that adjacent columns touch; and the part of these that their width holds."""
    left = column_window(columns[0]).x - TILE.window.x
    right = left + len(columns) * COLUMN_PIXELS
    edges = [left, *range(-(-left // BLOCK_PIXELS) * BLOCK_PIXELS, right, BLOCK_PIXELS), right]
    touched, held = 0, 0.0
    for start, stop in pairwise(sorted(set(edges))):
        size = sum(block.stop - block.start for block in index.values() if block.x == start // BLOCK_PIXELS)
        touched += size
        held += size * (stop - start) / BLOCK_PIXELS
    return touched, held


def print_bytes(folder: Path, index: dict[tuple[int, int], Block]) -> None:
    """What is fetched, counted by the server."""
    print("bytes fetched, headers included                        MB   requests   of the blocks touched   of the width's share")
    forget = {"CPL_VSIL_CURL_NON_CACHED": "/vsicurl/"}
    ways: dict[str, Callable[[Source, Sequence[int]], int]] = {
        "strip": lambda source, columns: ours(source, list_tiles(source, YEAR), columns),
        "chip by chip": lambda source, columns: naive(source.gdal_path(TILE.key(YEAR)), columns),
        "each chip by itself": lambda source, columns: naive(source.gdal_path(TILE.key(YEAR)), columns, **forget),
    }
    with serving(folder) as server:
        for label, columns in (("column, 1 block wide", [1149]), ("column, 2 blocks wide", [1150]), ("8 columns", list(COLUMNS))):
            touched, held = block_bytes(index, columns)
            for way, work in ways.items():
                bucket = f"{way.replace(' ', '-')}-{len(columns)}-{columns[0]}"
                chips = work(open_source(f"{server.url}/{bucket}"), columns)
                assert chips == ROWS * len(columns)  # noqa: S101 - else it measures something else
                sent = server.traffic(bucket)
                name = f"{label}: {way}"
                print(f"  {name:46} {sent.size / MB:9.1f}  {sent.requests:9}  {sent.size / touched:22.3f}  {sent.size / held:21.3f}")
    print("  chip by chip: in one process, where GDAL keeps the last 16 MB; each chip by itself: nothing kept, as in a task of its own")


def print_times(folder: Path, rounds: int, *, latency: float, rate: float) -> None:
    """How long a column takes, beside reading chip by chip."""
    column = [1150]
    key, took = TILE.key(YEAR), dict[str, list[Took]]()
    local = open_source(str(folder))
    at_hand = list_tiles(local, YEAR)
    with serving(folder, latency=latency, rate=rate) as server:
        for number in range(rounds):

            def remote(way: str, number: int = number) -> tuple[Source, Inventory]:
                source = open_source(f"{server.url}/{way}-{number}")
                return source, list_tiles(source, YEAR)

            path = remote("naive")[0].gdal_path(key)
            work: dict[str, Callable[[], int]] = {
                "folder, strip": partial(ours, local, at_hand, column),
                "folder, chip by chip": partial(naive, local.gdal_path(key), column),
                "bucket, strip": partial(ours, *remote("ours"), column),
                "bucket, strip, one thread": partial(_without_threads, partial(ours, *remote("alone"), column)),
                "bucket, chip by chip": partial(naive, path, column),
                "bucket, strip of 8 columns": partial(ours, *remote("eight"), list(COLUMNS)),
            }
            for name, read in work.items():
                took.setdefault(name, []).append(measure(read)[0])
    print(f"\none column, two blocks wide: {ROWS} chips; the bucket answers after {1_000 * latency:.0f} ms and sends {rate / MB:.0f} MB/s")
    print("                                  wall s   CPU s   chips/s")
    for name, all_took in took.items():
        wall, cpu = (statistics.median(values) for values in zip(*((t.wall, t.cpu) for t in all_took), strict=True))
        chips = ROWS * (len(COLUMNS) if "8" in name else 1)
        print(f"  {name:30} {wall:7.2f}  {cpu:6.2f}  {chips / wall:8.1f}")
    for place in ("folder", "bucket"):
        pairs = list(zip(took[f"{place}, chip by chip"], took[f"{place}, strip"], strict=True))
        wall, cpu = (statistics.median(getattr(n, what) / getattr(o, what) for n, o in pairs) for what in ("wall", "cpu"))
        print(f"  {place}: chip by chip takes {wall:.1f} x the wall time and {cpu:.1f} x the CPU time of a strip")


def _without_threads(read: Callable[[], int]) -> int:
    before = bands.MOST_THREADS
    bands.MOST_THREADS = 1
    try:
        return read()
    finally:
        bands.MOST_THREADS = before


def decoders(folder: Path, index: dict[tuple[int, int], Block]) -> tuple[dict[str, Callable[[], object]], list[int]]:
    """Ways to decode all blocks of the tile that have pixels; and how many bytes each block takes in the file."""
    source, key = open_source(str(folder)), TILE.key(YEAR)
    file = list_tiles(source, YEAR)[TILE]
    reader = TileReader(source, key, TILE, file, Event())
    blocks = [block for (x, y), block in index.items() if x < BLOCKS_WIDE and y < TILE_PIXELS // BLOCK_PIXELS]
    data = {block: source.read_range(key, file, block.start, block.stop) for block in blocks}
    windows = [Window(x=b.x * BLOCK_PIXELS, y=b.y * BLOCK_PIXELS, width=BLOCK_PIXELS, height=BLOCK_PIXELS) for b in blocks]
    pixels = np.empty(BLOCK_SHAPE, np.uint16)

    def with_gdal() -> None:
        with rasterio.Env(GDAL_CACHEMAX=64_000_000), rasterio.open(source.gdal_path(key)) as dataset:
            for window in windows:
                dataset.read(window=RasterWindow(window.x, window.y, window.width, window.height))

    def from_memory() -> None:
        for block in blocks:
            inflate(data[block], pixels)

    ways: dict[str, Callable[[], object]] = {
        GDAL: with_gdal,
        OURS: lambda: [reader.read(window, lambda: pixels) for window in windows],
        "ours, blocks in memory, verified": from_memory,
    }
    return ways, [len(data[block]) for block in blocks]


def decoding_rates(ways: dict[str, Callable[[], object]], blocks: int, rounds: int) -> dict[str, float]:
    """MB of pixels per second of CPU time, by the way: medians over rounds of all in turn."""
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, decode in ways.items():
            rates.setdefault(name, []).append(blocks * BLOCK_BYTES / MB / measure(decode)[0].cpu)
    return {name: statistics.median(rate) for name, rate in rates.items()}


def print_decoding(folder: Path, index: dict[tuple[int, int], Block], rounds: int) -> None:
    """Pixels decoded per second of one core, beside GDAL's own decoding of the same blocks."""
    ways, sizes = decoders(folder, index)
    rates, compressed = decoding_rates(ways, len(sizes), rounds), sum(sizes) / len(sizes) / MB
    print(f"\ndecoding on one core, {len(sizes)} blocks of {BLOCK_BYTES / MB:.1f} MB of pixels, {compressed:.1f} MB compressed")
    for name, rate in rates.items():
        print(f"  {name:42} {rate:6.0f} MB of pixels per second of CPU time, {rate / rates[GDAL]:.2f} x GDAL's")


def print_memory() -> None:
    """Peak memory of a process that reads one tile's height, and three."""
    print("\npeak memory of the process, MB         one tile high   three tiles high")
    for count in (1, len(COLUMNS)):
        peaks = []
        for tiles_high in (1, 3):
            arguments = ["--read", str(make_source(tiles_high)), str(count)]
            done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)  # noqa: S603 - ours
            peaks.append(float(done.stdout) / MB)
        print(f"  strip of {count} column{'s' if count > 1 else ' '}                     {peaks[0]:13.0f}  {peaks[1]:17.0f}")


def read_alone(folder: str, count: str) -> None:
    """Read some columns in this process, and print its peak memory, bytes."""
    source = open_source(folder)
    ours(source, list_tiles(source, YEAR), COLUMNS[1:2] if int(count) == 1 else COLUMNS[: int(count)])
    print(peak_memory())


def peak_memory() -> int:
    """Of this process, bytes. Linux's `ru_maxrss` would count what the parent had when it started this one."""
    if sys.platform == "linux":
        return 1024 * next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-ms", type=float, default=30, help="before each reply of the bucket")
    parser.add_argument("--mb-a-second", type=float, default=80, help="of each connection to the bucket")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(*args.serve)
        return
    if args.read:
        read_alone(*args.read)
        return
    folder = make_source()
    tile = (folder / TILE.key(YEAR)).read_bytes()
    index = index_blocks(lambda start, stop: tile[start:stop], len(tile))
    print_bytes(folder, index)
    print_times(folder, args.rounds, latency=args.latency_ms / 1_000, rate=args.mb_a_second * MB)
    print_decoding(folder, index, args.rounds)
    print_memory()


if __name__ == "__main__":
    main()
