"""Tiles, listings and addresses that nobody made so."""

import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from embedder.errors import EmbedderError, SourceError
from embedder.grid import Tile, Window
from embedder.source.blocks import BLOCK_BYTES, BLOCK_SHAPE, DamagedBlockError, index_blocks
from embedder.source.inventory import Source, TileFile, list_tiles, open_source
from embedder.source.tiles import HEADER_BYTES, TileReader
from tests.mutations import ODD_TEXT, damaged, fuzzed, right_or_refused
from tests.tiles import noise, write_tile
from tests.unit.source.test_blocks import deflated, inflated

TILE = Tile.from_name("N37W076")
WINDOW = Window(x=1_000, y=1_000, width=64, height=64)
PIXELS = noise((4, 1024, 1024), seed=0)
BLOCK = deflated(PIXELS)
HUGE = [2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small tile as TIFF and as BigTIFF."""
    made = {}
    for kind in ("NO", "YES"):
        made[kind] = write_tile(tmp_path_factory.mktemp("tile"), TILE, WINDOW, BIGTIFF=kind).read_bytes()
    return made


def reader_of(data: bytes) -> Callable[[int, int], bytes]:
    """As a file or a server reads: within what there is."""

    def read(start: int, stop: int) -> bytes:
        assert 0 <= start <= stop <= len(data), "a range that is none"
        return data[start:stop]

    return read


@pytest.mark.parametrize("kind", ["NO", "YES"])
def test_a_table_of_blocks_is_right_or_refused_when_it_is_damaged(tiles: dict[str, bytes], kind: str) -> None:
    whole = tiles[kind]
    right = index_blocks(reader_of(whole), len(whole))
    assert any(block.stop > block.start for block in right.values())

    @fuzzed(100)
    @given(damaged(whole[:4_096]))
    def check(head: bytes) -> None:
        data = head + whole[4_096:]
        index = right_or_refused(lambda: index_blocks(reader_of(data), len(data)), DamagedBlockError)
        assert all(0 <= block.start <= block.stop <= len(data) for block in (index or {}).values())

    check()


@pytest.mark.parametrize("kind", ["NO", "YES"])
def test_a_table_of_blocks_is_refused_when_a_number_of_its_directory_is_huge(tiles: dict[str, bytes], kind: str) -> None:
    whole = tiles[kind]
    at, width = (8, 8) if kind == "YES" else (4, 4)
    directory = int.from_bytes(whole[at : at + width], "little")
    length = 2 + 20 * 20
    for place in [at, *range(directory, directory + length, 2)]:
        for number in HUGE:
            data = bytearray(whole)
            data[place : place + width] = struct.pack("<Q", number)[:width]
            right_or_refused(lambda data=bytes(data): index_blocks(reader_of(data), len(data)), DamagedBlockError)  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["NO", "YES"])
def test_a_tile_is_right_or_refused_when_its_header_is_damaged(tiles: dict[str, bytes], kind: str, tmp_path: Path) -> None:
    whole, path = tiles[kind], tmp_path / TILE.key(2020)
    path.parent.mkdir(parents=True)
    path.write_bytes(whole)
    source, stop = open_source(str(tmp_path)), threading.Event()
    stop.set()  # nothing is worth another attempt

    def read() -> NDArray[np.uint16]:
        reader = TileReader(source, TILE.key(2020), TILE, source.stat(TILE.key(2020)), stop)
        pieces = reader.read(WINDOW, lambda: np.empty(BLOCK_SHAPE, np.uint16))
        return np.concatenate([np.zeros(1, np.uint16), *(piece.pixels.ravel() for piece in pieces)])

    right = read()
    assert right.any()

    @fuzzed(60)
    @given(damaged(whole[:1_024]))
    def check(head: bytes) -> None:
        path.write_bytes(head + whole[1_024:])
        pixels = right_or_refused(read)
        # nodata is what a table says that was damaged so that it says just this
        assert pixels is None or not pixels.any() or np.array_equal(pixels, right)

    check()


@fuzzed(60)
@given(st.one_of(damaged(BLOCK), st.binary(max_size=64)))
def test_a_block_is_right_or_refused_when_it_is_damaged(data: bytes) -> None:
    pixels = right_or_refused(lambda: inflated(data), DamagedBlockError)
    if pixels is not None:
        np.testing.assert_array_equal(pixels, PIXELS)
    assert PIXELS.nbytes == BLOCK_BYTES


class Listing:
    """A source that lists what it is told to."""

    location, is_folder = "here", False

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys

    def list_files(self, prefix: str) -> Iterator[tuple[str, TileFile]]:
        for key in self._keys:
            yield key, TileFile(etag='"etag"', size=len(prefix))


KEY = TILE.key(2020)
ODD_KEYS = st.one_of(
    ODD_TEXT,
    st.sampled_from(
        [KEY.upper(), f"/{KEY}", f"{KEY}/", f"{KEY}\n", KEY.replace("N37", "N\u0663\u0667"), KEY.replace("N37", "N99"), TILE.key(2021)]
    ),
    damaged(KEY.encode()).map(lambda key: key.decode(errors="replace")),
)


@fuzzed(150)
@given(st.lists(ODD_KEYS, max_size=5))
def test_an_inventory_holds_what_is_a_tile_whatever_is_listed(keys: list[str]) -> None:
    listing: Source = Listing(keys)  # type: ignore[assignment]
    inventory = right_or_refused(lambda: list_tiles(listing, 2020))
    assert {tile.key(2020) for tile in inventory or {}} <= set(keys)


@fuzzed(30)
@given(
    st.one_of(
        ODD_TEXT,
        st.tuples(
            st.sampled_from(["s3://", "https://", "http://", "ftp://", "S3:", "://"]), ODD_TEXT.filter(lambda text: len(text) < 1_000)
        ).map("".join),
    )
)
def test_a_source_is_opened_or_refused_whatever_is_typed(location: str) -> None:
    right_or_refused(lambda: open_source(location))


def test_a_table_is_refused_with_its_reason_when_it_lies_beyond_the_file(tiles: dict[str, bytes]) -> None:
    data = bytearray(tiles["YES"])
    data[8:16] = struct.pack("<Q", 2**64 - 1)
    with pytest.raises(DamagedBlockError, match="in a file of"):
        index_blocks(reader_of(bytes(data)), len(data))
    assert issubclass(SourceError, EmbedderError)
    assert len(data) < HEADER_BYTES * 100
