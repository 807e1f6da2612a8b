import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embedder.grid import TILE_PIXELS, Window
from embedder.source.blocks import BLOCK_SHAPE, Block, DamagedBlockError, blocks_of, contiguous, inflate
from tests.tiles import noise


def deflated(pixels: NDArray[np.uint16]) -> bytes:
    """(band, y, x) as TIFF stores it: pixel-interleaved, each pixel minus the one before it, DEFLATE."""
    interleaved = pixels.transpose(1, 2, 0)
    differences = np.diff(interleaved, axis=1, prepend=np.zeros((1024, 1, 4), np.uint16)).astype("<u2")
    return zlib.compress(differences.tobytes(), 1)


PIXELS = noise((4, 1024, 1024), seed=0)
DATA = deflated(PIXELS)


def inflated(data: bytes) -> NDArray[np.uint16]:
    """(band, y, x)."""
    pixels = np.empty(BLOCK_SHAPE, np.uint16)
    inflate(data, pixels)
    return pixels.transpose(2, 0, 1)


def test_inflate_gives_the_pixels() -> None:
    np.testing.assert_array_equal(inflated(DATA), PIXELS)


@settings(max_examples=100)
@given(st.integers(0, len(DATA) - 1), st.integers(0, 7))
def test_a_flipped_bit_never_changes_a_pixel(at: int, bit: int) -> None:
    damaged = bytearray(DATA)
    damaged[at] ^= 1 << bit
    with suppress(DamagedBlockError):  # as nearly always: a bit may stand for nothing
        np.testing.assert_array_equal(inflated(bytes(damaged)), PIXELS)


def test_inflate_refuses_when_a_pixel_has_changed() -> None:
    other = deflated(PIXELS ^ np.uint16(1))
    with pytest.raises(DamagedBlockError):
        inflated(DATA[:-4] + other[-4:])


@pytest.mark.parametrize("data", [b"", DATA[:-1], DATA[: len(DATA) // 2], zlib.compress(b"too short")])
def test_inflate_refuses_when_the_block_is_not_whole(data: bytes) -> None:
    with pytest.raises(DamagedBlockError):
        inflated(data)


def test_inflate_refuses_when_the_block_is_too_long() -> None:
    with pytest.raises(DamagedBlockError):
        inflated(zlib.compress(bytes(8 * 1024 * 1024 + 1)))


@given(st.integers(0, TILE_PIXELS - 1), st.integers(0, TILE_PIXELS - 1), st.integers(1, 3_000), st.integers(1, 3_000))
def test_blocks_of_a_window_hold_each_of_its_corners(x: int, y: int, width: int, height: int) -> None:
    window = Window(x=x, y=y, width=min(width, TILE_PIXELS - x), height=min(height, TILE_PIXELS - y))
    blocks = blocks_of(window)
    right, bottom = window.x + window.width - 1, window.y + window.height - 1
    assert len(blocks) == len(set(blocks)) == (right // 1024 - x // 1024 + 1) * (bottom // 1024 - y // 1024 + 1)
    assert {(x // 1024, y // 1024), (right // 1024, bottom // 1024)} <= set(blocks)


def test_contiguous_joins_neighbours_and_leaves_empty_blocks_out() -> None:
    first, second = Block(start=100, stop=200, x=0, y=0), Block(start=208, stop=300, x=1, y=0)
    far, empty = Block(start=10_000_000, stop=10_000_100, x=3, y=0), Block(start=0, stop=0, x=2, y=0)
    assert list(contiguous([far, empty, second, first])) == [[first, second], [far]]
