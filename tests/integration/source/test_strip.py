"""Strips of columns: against rasterio's own reads, and what is fetched and held."""

import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.merge

from embedder.grid import Chip, Tile, Window, bounds_of, column_chips
from embedder.source.blocks import BLOCK_BYTES
from embedder.source.inventory import Source, list_tiles, open_source
from embedder.source.strip import read_strip
from tests.faults import FaultyProxy
from tests.four_tiles import YEAR, oracle, read
from tests.tiles import REAL, REAL_TILE, needs_real_tile, write_tile

pytestmark = pytest.mark.usefixtures("_short_waits")


@pytest.mark.parametrize("chip_pixels", [512, 256])
@pytest.mark.parametrize("columns", [[23], [22, 23, 24]])
def test_chips_equal_rasterios_mosaic_when_four_tiles_meet(folder: Path, columns: list[int], chip_pixels: int) -> None:
    chips = read(open_source(str(folder)), columns, chip_pixels)
    embedded = [chip for chip in chips if chip.outcome == "e"]
    assert embedded, "the corner is full of pixels"
    for chip in embedded:
        assert chip.pixels is not None
        np.testing.assert_array_equal(chip.pixels, oracle(folder, chip.chip))
    for chip in chips:
        near_corner = abs(chip.chip.window.y - 12_000) < 2_000
        if near_corner and chip.outcome == "n":
            assert (oracle(folder, chip.chip) == 0).any()
    for column in columns:
        assert [chip.chip for chip in chips if chip.column == column] == list(column_chips(column, chip_pixels))


def test_outcomes_tell_absent_tiles_from_nodata(folder: Path) -> None:
    inventory = list_tiles(open_source(str(folder)), YEAR)
    del inventory[Tile.from_name("N48W124")]
    outcomes = "".join(chip.outcome for chip in read(open_source(str(folder)), [23], inventory=inventory))
    # rows 0 to 22 lie in N49 alone; rows 22 and 23 have pixels, but row 23 touches the absent N48W124, as all rows below do
    assert outcomes == "n" * 22 + "e" + "t" * 563


def test_a_column_without_tiles_needs_no_rasterio(folder: Path) -> None:
    assert {chip.outcome for chip in read(open_source(str(folder)), [500])} == {"t"}


def test_columns_must_be_adjacent(folder: Path) -> None:
    with pytest.raises(ValueError, match="not adjacent"):
        read(open_source(str(folder)), [22, 24])


@needs_real_tile
def test_the_real_tile_has_twelve_complete_chips() -> None:
    source = open_source(str(REAL))
    chips = read(source, [1155, 1156, 1157, 1158])
    embedded = {chip.chip.id: chip.pixels for chip in chips if chip.outcome == "e"}
    assert sorted(embedded) == [f"c{column}r0{row}" for column in range(1155, 1159) for row in (287, 288, 289)]
    with rasterio.open(REAL / REAL_TILE.key(YEAR)) as dataset:
        for name, pixels in embedded.items():
            bounds = bounds_of(Chip(row=int(name[6:]), column=int(name[1:5]), pixels=512).window)
            window = dataset.window(bounds.west, bounds.south, bounds.east, bounds.north).round_offsets().round_lengths()
            np.testing.assert_array_equal(pixels, dataset.read(window=window))


# What is fetched, and what is held


def compressed_bytes(path: Path, columns: list[int]) -> int:
    """Of the blocks that the columns touch."""
    with rasterio.open(path) as dataset:
        first = (columns[0] * 512 - dataset_x(path)) // 1024
        last = ((columns[-1] + 1) * 512 - 1 - dataset_x(path)) // 1024
        sizes = (
            dataset.get_tag_item(f"BLOCK_SIZE_{max(0, x)}_{y}", "TIFF", bidx=1) for x in range(first, min(last, 11) + 1) for y in range(12)
        )
        return sum(int(size) for size in sizes if size)


def dataset_x(path: Path) -> int:
    return Tile.from_name(path.name.split("_")[5]).window.x


@needs_real_tile
@pytest.mark.parametrize("columns", [[1155], [1156], [1158], [1155, 1156], list(range(1152, 1160))], ids=str)
def test_each_block_is_fetched_once(real_remote: Source, proxy: FaultyProxy, columns: list[int]) -> None:
    inventory = {REAL_TILE: list_tiles(real_remote, YEAR)[REAL_TILE]}
    before = len(proxy.served)
    read(real_remote, columns, inventory=inventory)
    fetched = [served for served in proxy.served[before:] if served.method == "GET"]
    table, header, *blocks = fetched
    assert (table.bytes_sent, header.bytes_sent) == (32_768, 32_768)
    assert sum(served.bytes_sent for served in blocks) <= 1.001 * compressed_bytes(REAL / REAL_TILE.key(YEAR), columns)
    assert all(served.headers["if-match"] == inventory[REAL_TILE].etag for served in fetched)
    assert not any("authorization" in served.headers for served in proxy.served[before:])


@needs_real_tile
def test_eight_columns_share_what_they_fetch(real_remote: Source, proxy: FaultyProxy) -> None:
    """At most 1.3 times what the eight columns' width holds of the blocks' bytes."""
    inventory = {REAL_TILE: list_tiles(real_remote, YEAR)[REAL_TILE]}
    columns = list(range(1153, 1161))
    before = len(proxy.served)
    read(real_remote, columns, inventory=inventory)
    fetched = sum(served.bytes_sent for served in proxy.served[before:] if served.method == "GET")
    singles = 0.0
    with rasterio.open(REAL / REAL_TILE.key(YEAR)) as dataset:
        west = columns[0] * 512 - REAL_TILE.window.x
        edges = [west, *(x for x in range(1024, 12_000, 1024) if west < x < west + 8 * 512), west + 8 * 512]
        for left, right in pairwise(edges):
            for y in range(12):
                size = dataset.get_tag_item(f"BLOCK_SIZE_{left // 1024}_{y}", "TIFF", bidx=1)
                singles += int(size or 0) * (right - left) / 1024
    assert fetched <= 1.3 * singles


def test_memory_does_not_grow_with_the_columns_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedder.source.bands.MOST_THREADS", 1)  # so that as much is read ahead at each moment
    peaks = []
    for tiles_high in (2, 3):  # in the first, rows of chips and of blocks end together
        folder = tmp_path / str(tiles_high)
        for row in range(tiles_high):
            write_tile(folder, Tile(row=row, column=3), Window(x=0, y=0, width=1_024, height=12_000))
        source = open_source(str(folder))
        inventory = list_tiles(source, YEAR)
        tracemalloc.start()
        embedded = sum(chip.outcome == "e" for chip in read_strip(source, inventory, YEAR, [71], 512))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert embedded == tiles_high * 12_000 // 512
    assert peaks[1] < peaks[0] + 3 * BLOCK_BYTES  # of the 12 more that are read; threads may hold one longer
