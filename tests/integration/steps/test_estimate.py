"""The bytes that the dry run names, beside those that are fetched."""

import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window as RasterWindow

from embedder.grid import BLOCKS_ACROSS, TILE_PIXELS, Tile, Window
from embedder.source.blocks import NUMBERS, OFFSETS_TAG, SIZES_TAG
from embedder.source.inventory import FolderSource, list_tiles
from embedder.steps.estimate import estimate
from tests.jobs import TINY, run_job
from tests.tiles import write_tile

pytestmark = pytest.mark.usefixtures("scratch")
TILE = Tile.from_name("N49W125")
ROWS = 32
"""Of each block that hold noise; the others compress to nothing."""


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tile whose blocks are equally large, but for the narrower ones in the east: its first row of them, twelve times."""
    folder = tmp_path_factory.mktemp("even")
    path = write_tile(folder, TILE, Window(x=0, y=0, width=TILE_PIXELS, height=ROWS))
    data = bytearray(path.read_bytes())
    [directory] = struct.unpack_from("<L", data, 4)
    [count] = struct.unpack_from("<H", data, directory)
    entries = (struct.unpack_from("<HHLL", data, directory + 2 + 12 * number) for number in range(count))
    tables = {tag: (f"<{length}{NUMBERS[kind]}", place) for tag, kind, length, place in entries if tag in (OFFSETS_TAG, SIZES_TAG)}
    starts, lengths = (struct.unpack_from(form, data, place)[:BLOCKS_ACROSS] for form, place in (tables[OFFSETS_TAG], tables[SIZES_TAG]))
    first, last = min(starts), max(start + length for start, length in zip(starts, lengths, strict=True))
    row, shifts = bytes(data[first:last]), [0, *(len(data) + copy * (last - first) - first for copy in range(BLOCKS_ACROSS - 1))]
    for tag, numbers in ((OFFSETS_TAG, [start + shift for shift in shifts for start in starts]), (SIZES_TAG, lengths * BLOCKS_ACROSS)):
        form, place = tables[tag]
        struct.pack_into(form, data, place, *numbers)
    path.write_bytes(bytes(data) + row * (BLOCKS_ACROSS - 1))
    with rasterio.open(path) as dataset:  # another program finds the same in each
        north, south = (dataset.read(window=RasterWindow(11_000, y, 1_000, ROWS)) for y in (0, 11_264))
        assert np.array_equal(north, south)
    return folder


@pytest.mark.parametrize("columns", [[0], [1, 2], [22], list(range(5, 13))], ids=str)
def test_the_estimated_bytes_are_those_of_the_receipt_within_5_percent_when_blocks_are_equally_large(
    even: Path, output: str, columns: list[int]
) -> None:
    together = len(columns)
    expected = estimate(TINY, list_tiles(FolderSource(str(even)), 2020), columns, [together])[together].source_bytes
    written = run_job(even, output, columns, together=together).embedded.written
    fetched = sum(column.receipt.bytes for column in written if column.receipt)
    assert fetched > 1e6
    assert expected == pytest.approx(fetched, rel=0.05)
