"""One tile: opened with checks, read by windows from several threads, retried, never guessed at."""

import ctypes
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.io import DatasetReader

from embedder.errors import RefusedTileError, SourceError, TemporaryError
from embedder.grid import BLOCK_PIXELS, NORTH, TILE_PIXELS, WEST, Tile, Window
from embedder.recipes import BANDS
from embedder.source.blocks import LAYOUT, Block, DamagedBlockError, Pixels, blocks_of, contiguous, index_blocks, inflate, layout_of
from embedder.source.inventory import Source, TileFile, check_unchanged
from embedder.storage import network, retries

HEADER_BYTES = 32_768
"""Of the first request for a tile: enough for its header and the table of its blocks."""
GDAL_OPTIONS: dict[str, str | int] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": HEADER_BYTES,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_LOW_SPEED_TIME": str(network.FLOOR_S),
    "GDAL_HTTP_LOW_SPEED_LIMIT": str(network.FLOOR_BYTES_S),
    # A retry must ask the server again, and not the bytes that have just proved wrong.
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/",
    # Nothing is read twice, so the cache need only hold the blocks being copied out, bytes.
    "GDAL_CACHEMAX": 64_000_000,
}
"""For remote COGs: few requests, whole ranges, and no wait without an end."""
OPENING_REQUESTS = 3
"""GDAL's own, for a remote tile: two HEADs, and a GET of the header. It does not say more where some of them fail."""

HEAD_REFUSED = re.compile(r"HTTP response code: (401|403|501)")
"""Of a HEAD, which GDAL begins with, or of a GET, which is then refused once more."""
GDAL_ERRORS = (rasterio.errors.RasterioError, CPLE_BaseError)
"""Of a dataset that is asked what it is; not all of the second kind arrive as the first."""
STATUS = re.compile(r"HTTP response code:? (\d{3})")
"""What GDAL says of an answer that it cannot use."""
NO_ANSWER = re.compile(r"CURL error|could ?n.t connect|timed out|connection", re.IGNORECASE)
"""What it says where there is none."""
READING_NICENESS = 19
"""Of the reading threads: the encoder comes first, and where it waits for pixels, they have the machine."""

_thread = threading.local()


def enter_gdal_env() -> None:
    """Give the calling thread one GDAL environment for its lifetime."""
    if sys.platform == "linux":  # where a thread has a priority of its own
        # On a CPU the encoder's threads wait for each other: one that reading keeps from its core delays all.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), READING_NICENESS)
    _keep_freed_memory()
    _thread.env = rasterio.Env(**GDAL_OPTIONS)
    _thread.env.__enter__()


def _keep_freed_memory() -> None:
    """Have glibc keep what a request's bytes took for those of the next: fresh pages cost a fifth of the reading's CPU time."""
    m_trim_threshold, m_mmap_threshold = -1, -3
    with suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(m_mmap_threshold, 32 << 20)
        libc.mallopt(m_trim_threshold, 256 << 20)


def open_dataset(path: str, **options: str | int) -> DatasetReader:
    """GDAL's view of the file at a path, through this machine's proxy."""
    with rasterio.Env(**options, **network.gdal_options(path)):
        try:
            return rasterio.open(path)
        except rasterio.errors.RasterioError as error:
            if not HEAD_REFUSED.search(str(error)):
                raise
        with rasterio.Env(CPL_VSIL_CURL_USE_HEAD="NO"):  # not from the beginning: GDAL then begins to fetch the whole file
            return rasterio.open(path)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A block's pixels."""

    window: Window
    """What it has of its tile, in pixels of the grid."""
    pixels: Pixels
    """(y, x, band), from the window's north-west corner on; at the tile's end there are more than the window has."""


class TileReader:
    """A tile's pixels, for several threads. GDAL opens the file and finds its blocks; each is fetched and decoded once."""

    def __init__(self, source: Source, key: str, tile: Tile, file: TileFile, stop: threading.Event) -> None:
        """`stop`, once set, ends the retries of reads under way."""
        self._source, self._key, self._tile, self._file, self._stop = source, key, tile, file, stop
        self._name = f"tile {tile.name} at {source.location}/{key}"
        self._opening = threading.Lock()
        self._blocks: dict[tuple[int, int], Block] = {}

    def read(self, window: Window, new_block: Callable[[], Pixels]) -> list[Piece]:
        """The blocks that a window of this tile touches, without those of nodata alone, each decoded into a `new_block()` of BLOCK_SHAPE.

        Raises SourceError where the tile is damaged, refused, has changed, or is not of the grid; TemporaryError where trouble outlasts
        the retries.
        """
        try:
            # What arrives damaged over a network, or is refused, may be whole the next time; a file stays what it is.
            damaged, refused = ((), ()) if self._source.is_folder else ((DamagedBlockError,), (RefusedTileError,))
            meter = self._source.meter
            patience = retries.Patience(
                self._source.location,
                thing=self._name,
                damaged=damaged,
                refused=refused,
                stop=self._stop,
                tried_again=meter.tried_again,
            )
            return patience(meter.reading()(partial(self._read_once, window, new_block)))
        except DamagedBlockError as error:
            raise SourceError(f"{self._name} is damaged: {error}: restore it, then run again") from error

    def _read_once(self, window: Window, new_block: Callable[[], Pixels]) -> list[Piece]:
        with self._opening:
            if not self._blocks:
                self._blocks = self._index()
            blocks = [self._blocks[place] for place in blocks_of(window)]
        try:
            return [piece for group in contiguous(blocks) for piece in self._read_blocks(group, new_block)]
        except DamagedBlockError:
            with self._opening:
                self._blocks = {}  # or it was the index that arrived damaged
            raise

    def _index(self) -> dict[tuple[int, int], Block]:
        read = partial(self._source.read_range, self._key, self._file)
        header = read(0, HEADER_BYTES)
        with self._open() as dataset:
            try:
                self._check(dataset, byte_order=header[:2])
            except GDAL_ERRORS as error:
                raise self._gdal_error(error) from error
        return index_blocks(lambda start, stop: header[start:stop] if stop <= len(header) else read(start, stop), self._file.size)

    def _read_blocks(self, group: list[Block], new_block: Callable[[], Pixels]) -> Iterator[Piece]:
        """Blocks that lie together, fetched in one request."""
        start = group[0].start
        data = memoryview(self._source.read_range(self._key, self._file, start, group[-1].stop))
        for block in group:
            pixels = new_block()
            try:
                inflate(data[block.start - start : block.stop - start], pixels)
            except DamagedBlockError as error:
                raise DamagedBlockError(f"block x {block.x}, y {block.y}: {error}") from error
            x, y = block.x * BLOCK_PIXELS, block.y * BLOCK_PIXELS
            width, height = min(BLOCK_PIXELS, TILE_PIXELS - x), min(BLOCK_PIXELS, TILE_PIXELS - y)
            yield Piece(window=Window(x=self._tile.window.x + x, y=self._tile.window.y + y, width=width, height=height), pixels=pixels)

    def _open(self) -> DatasetReader:
        # The server itself refuses to mix two versions of a tile (412); of a folder the file is looked at.
        if self._source.is_folder:
            check_unchanged(self._source, self._key, self._file)
        etag = self._file.etag.replace('"', r"\"")
        if not self._source.is_folder:
            self._source.meter.requested(OPENING_REQUESTS)
        try:
            dataset = open_dataset(self._source.gdal_path(self._key), GDAL_HTTP_HEADERS=f'"If-Match: {etag}"')
        except rasterio.errors.RasterioError as error:
            raise self._gdal_error(error) from error
        if not self._source.is_folder:
            self._source.meter.fetched(min(HEADER_BYTES, self._file.size))
        return dataset

    def _check(self, dataset: DatasetReader, byte_order: bytes) -> None:
        origin = Affine(1 / TILE_PIXELS, 0, WEST + self._tile.column, 0, -1 / TILE_PIXELS, NORTH - self._tile.row)
        epsg = dataset.crs.to_epsg() if dataset.crs else None
        if byte_order not in (b"II", b"MM"):
            raise DamagedBlockError("it does not begin as a TIFF does")
        for what, found, expected in (
            ("size", f"{dataset.width} x {dataset.height}", f"{TILE_PIXELS} x {TILE_PIXELS}"),
            ("band count", dataset.count, len(BANDS)),
            ("dtype", "/".join(sorted(set(dataset.dtypes))), "uint16"),
            ("CRS", f"EPSG:{epsg}", "EPSG:4326"),
            ("transform", _numbers(dataset.transform[:6]), _numbers(origin[:6])),
            ("nodata", _numbers(dataset.nodatavals), _numbers([0] * len(BANDS))),
            ("mask", _mask_of(dataset), "nodata"),
            ("scale", _numbers(dataset.scales), _numbers([1] * len(BANDS))),
            ("offset", _numbers(dataset.offsets), _numbers([0] * len(BANDS))),
            ("layout", f"{layout_of(dataset)}, {byte_order.decode()}", f"{LAYOUT}, II"),
        ):
            same = dataset.transform.almost_equals(origin, precision=1e-9) if what == "transform" else found == expected
            if not same:
                raise SourceError(
                    f"{self._name}: {what} is {_one_line(found)}, expected {_one_line(expected)}: "
                    "it is not a WorldCover S2RGBNIR tile of this grid"
                )

    def _gdal_error(self, error: BaseException) -> Exception:
        """GDAL hardly tells trouble on the way from a damaged file: ask for the tile, and then its first bytes, in a way that does."""
        check_unchanged(self._source, self._key, self._file)
        self._source.read_range(self._key, self._file, 0, HEADER_BYTES)
        while error.__cause__ or error.__context__:  # GDAL's own reason stands at the end
            error = error.__cause__ or error.__context__ or error
        reason = _one_line(error)
        if refusal := network.refusal(error, self._name):
            return refusal
        status = STATUS.search(reason)
        if (status and int(status[1]) in retries.PASSING_STATUSES) or (not status and NO_ANSWER.search(reason)):
            return TemporaryError(f"{self._name}: {reason}: try again later")
        return RefusedTileError(f"{self._name}: {reason}") if status else DamagedBlockError(reason)


def _numbers(values: Iterable[float | None]) -> str:
    """As many digits as tell half a pixel, and far less, from none."""
    return ", ".join("none" if value is None else f"{value:.12g}" for value in values)


def _mask_of(dataset: DatasetReader) -> str:
    """What says which pixels count: of the source's tiles, their nodata value alone."""
    flags = {flag.name for band in dataset.mask_flag_enums for flag in band}
    return ", ".join(sorted(flags | {color.name for color in dataset.colorinterp if color.name == "alpha"}))


def _one_line(value: object) -> str:
    return " ".join(str(value).split())
