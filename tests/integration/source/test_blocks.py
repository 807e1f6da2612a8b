"""The table of a tile's blocks, against GDAL's."""

from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import rasterio
import rasterio.merge

from embedder.grid import Tile, Window
from embedder.source import blocks
from embedder.source.blocks import DamagedBlockError
from tests.tiles import write_tile

pytestmark = pytest.mark.usefixtures("_short_waits")


def cut(data: bytes, start: int, stop: int) -> bytes:
    return data[start:stop]


@pytest.mark.parametrize("big", ["YES", "NO"])
def test_no_block_is_lost_when_a_bit_of_the_header_is_flipped(tmp_path: Path, big: str) -> None:
    path = write_tile(tmp_path, Tile.from_name("N49W125"), Window(x=0, y=0, width=3_000, height=3_000), BIGTIFF=big)
    tile, size = path.read_bytes()[: 1 << 16], path.stat().st_size
    whole = blocks.index_blocks(partial(cut, tile), size)
    with rasterio.open(path) as dataset:
        for (x, y), block in whole.items():
            found = [dataset.get_tag_item(f"BLOCK_{what}_{x}_{y}", "TIFF", bidx=1) for what in ("OFFSET", "SIZE")]
            assert [int(number or 0) for number in found] == [block.start, block.stop - block.start]
    full = {place for place, block in whole.items() if block.stop > block.start}
    assert len(full) == 9
    header = min(whole[place].start for place in full)
    assert header > 8 * len(whole), "the table is in it"
    for bit in range(8 * header):
        damaged = bytearray(tile[:header])
        damaged[bit // 8] ^= 1 << bit % 8
        read_damaged = partial(cut, bytes(damaged) + tile[header:])
        with suppress(DamagedBlockError):
            index = blocks.index_blocks(read_damaged, size)
            assert full <= {place for place, block in index.items() if block.stop > block.start}
