"""The blocks of a tile: where they lie in its file, and their pixels, verified.

GDAL takes what a damaged DEFLATE block yields as long as it is enough to fill the block (libtiff's ZIPDecode accepts surplus
output, and then no checksum is compared): of 60 single flipped bits in the real tile, 10 came back as wrong pixels without an
error. So blocks are inflated here, by libdeflate (of imagecodecs), which compares each one's Adler-32.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from imagecodecs import DeflateError, deflate_decode, delta_decode
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from embedder.grid import BLOCK_PIXELS, BLOCKS_ACROSS, Window
from embedder.recipes import BANDS

Pixels = NDArray[np.uint16]

BLOCK_SHAPE = (BLOCK_PIXELS, BLOCK_PIXELS, len(BANDS))
"""(y, x, band): pixel-interleaved."""
LAYOUT = f"DEFLATE with predictor 2, PIXEL, blocks of {BLOCK_PIXELS} x {BLOCK_PIXELS}"
"""Of the source's tiles, as `layout_of` says it."""
BLOCK_BYTES = BLOCK_PIXELS * BLOCK_PIXELS * len(BANDS) * 2
OFFSETS_TAG, SIZES_TAG = 324, 325
"""TIFF's names of the two halves of the table of blocks."""
NUMBERS = {3: "H", 4: "L", 16: "Q"}
"""TIFF's kinds of whole numbers, as `struct` calls them."""
MOST_TAGS = 1_000
GAP_BYTES = 65_536
"""Blocks that lie closer together in the file are fetched in one request."""


class DamagedBlockError(Exception):
    """A block's bytes do not match their checksum."""


@dataclass(frozen=True, kw_only=True, order=True)
class Block:
    """A block of a tile, and its bytes in the tile's file: [start, stop), empty for a block of nodata alone."""

    start: int
    stop: int
    x: int
    """Counted in blocks, from the west."""
    y: int
    """Counted in blocks, from the north."""


def layout_of(dataset: DatasetReader) -> str:
    """How the file keeps its pixels; `inflate` knows LAYOUT alone, and no other has the checksums."""
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    compression, interleave = (structure.get(name, "none") for name in ("COMPRESSION", "INTERLEAVE"))
    predictor = structure.get("PREDICTOR", "1")  # as TIFF numbers none
    sizes = sorted({f"{height} x {width}" for height, width in dataset.block_shapes})
    return f"{compression} with predictor {predictor}, {interleave}, blocks of {'/'.join(sizes)}"


def index_blocks(read: Callable[[int, int], bytes], size: int) -> dict[tuple[int, int], Block]:
    """The blocks by (x, y), from the table in a tile's file of `size` bytes, of which `read` gives those from start to stop.

    Raises DamagedBlockError where there is no such table: GDAL would take the blocks that it cannot find for blocks of nodata.
    Source: TIFF 6.0 and BigTIFF, in the layout that `layout_of` has found.
    """

    def read_within(start: int, stop: int) -> bytes:
        if stop > size:
            raise DamagedBlockError(f"its table of blocks would end at byte {stop}, in a file of {size}")
        return read(start, stop)

    try:
        offsets, sizes = (_numbers(read_within, tag) for tag in (OFFSETS_TAG, SIZES_TAG))
    except (struct.error, KeyError) as error:
        raise DamagedBlockError("it has no table of its blocks") from error
    index = {}
    for number, (start, length) in enumerate(zip(offsets, sizes, strict=True)):
        if (start == 0) != (length == 0) or start + length > size:
            raise DamagedBlockError(f"its table places block {number} at byte {start}, {length} bytes long, in a file of {size}")
        x, y = number % BLOCKS_ACROSS, number // BLOCKS_ACROSS
        index[x, y] = Block(start=start, stop=start + length, x=x, y=y)
    return index


def _numbers(read: Callable[[int, int], bytes], tag: int) -> tuple[int, ...]:
    """A tag of the first image that has a number for each block."""
    is_big = read(2, 4) == b"\x2b\0"
    directory_at, count_of, entry = ("<8xQ", "<Q", "<HHQQ") if is_big else ("<4xL", "<H", "<HHLL")
    [directory] = struct.unpack(directory_at, read(0, struct.calcsize(directory_at)))
    first = directory + struct.calcsize(count_of)
    [count] = struct.unpack(count_of, read(directory, first))
    entries = struct.iter_unpack(entry, read(first, first + min(count, MOST_TAGS) * struct.calcsize(entry)))
    kind, length, place = {found: rest for found, *rest in entries}[tag]
    if length != BLOCKS_ACROSS**2:
        raise DamagedBlockError(f"its table has {length} numbers for {BLOCKS_ACROSS**2} blocks")
    form = f"<{length}{NUMBERS[kind]}"
    return struct.unpack(form, read(place, place + struct.calcsize(form)))


def blocks_of(window: Window) -> list[tuple[int, int]]:
    """The (x, y) of the blocks that a window of the tile touches."""
    last_x, last_y = (window.x + window.width - 1) // BLOCK_PIXELS, (window.y + window.height - 1) // BLOCK_PIXELS
    return [(x, y) for y in range(window.y // BLOCK_PIXELS, last_y + 1) for x in range(window.x // BLOCK_PIXELS, last_x + 1)]


def contiguous(blocks: list[Block]) -> Iterator[list[Block]]:
    """The blocks that have bytes, in groups that lie together in the file."""
    group: list[Block] = []
    for block in sorted(block for block in blocks if block.stop > block.start):
        if group and block.start - group[-1].stop > GAP_BYTES:
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def inflate(data: bytes | memoryview, out: Pixels) -> None:
    """A block's pixels, into `out`: BLOCK_SHAPE, its memory in one piece. Raises DamagedBlockError, and `out` then holds anything."""
    try:
        raw = deflate_decode(data, out=out.view(np.uint8).reshape(-1))  # type: ignore[arg-type]  # any buffers will do
    except DeflateError as error:
        raise DamagedBlockError(f"its bytes, of CRC-32 {crc32(data):08x}, do not match their checksum") from error
    if len(raw) != BLOCK_BYTES:
        raise DamagedBlockError(f"it has {len(raw)} bytes of pixels, not {BLOCK_BYTES}")
    delta_decode(out, axis=1, out=out)  # TIFF's predictor 2: each pixel minus the one before it
