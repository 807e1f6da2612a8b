from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedder.grid import COLUMN_COUNT, column_chips
from embedder.publish.layout import CELL_CHIPS, FILE_BYTES, LEAST_BYTES, bands, columns_in_cell, spatial_order

ROWS = st.dictionaries(st.integers(0, COLUMN_COUNT - 1), st.integers(0, 586), max_size=200)


@given(ROWS, st.sampled_from([(512, 768 * 4), (256, 1024), (512, 768 * 4000)]))
def test_bands_hold_every_column_with_rows_once_and_cut_no_cell(rows: dict[int, int], form: tuple[int, int]) -> None:
    chip_pixels, row_bytes = form
    found = bands(rows, chip_pixels=chip_pixels, row_bytes=row_bytes)
    assert [column for band in found for column in band] == sorted(column for column, count in rows.items() if count)
    wide = columns_in_cell(chip_pixels)
    assert all(before[-1] // wide < after[0] // wide for before, after in pairwise(found))


def test_a_continents_files_have_100_mb_to_1_gb() -> None:
    for row_bytes, files in ((768 * 4, 9), (768, 2)):
        found = bands(dict.fromkeys(range(COLUMN_COUNT), 586), chip_pixels=512, row_bytes=row_bytes)
        sizes = [len(band) * 586 * row_bytes for band in found]
        assert len(sizes) == files
        assert min(sizes) >= LEAST_BYTES
        assert max(sizes) < FILE_BYTES + LEAST_BYTES + 60_000_000


def test_a_little_is_one_file_and_nothing_is_none() -> None:
    assert bands({7: 1, 900: 2, 8: 0}, chip_pixels=512, row_bytes=3072) == [(7, 900)]
    assert bands({8: 0}, chip_pixels=512, row_bytes=3072) == []


def chips(columns: range, chip_pixels: int) -> np.ndarray:
    return np.array([(chip.column, chip.row) for column in columns for chip in column_chips(column, chip_pixels)], np.int16)


def test_rows_are_in_cells_which_are_squares_of_the_grid() -> None:
    for chip_pixels in (512, 256):
        places = chips(range(30, 70), chip_pixels)
        order, counts = spatial_order(places, chip_pixels)
        assert sorted(order) == list(range(len(places)))
        assert counts.sum() == len(places)
        assert counts.max() == CELL_CHIPS**2
        cells = [{tuple(place) for place in places[rows] // CELL_CHIPS} for rows in np.split(order, np.cumsum(counts)[:-1])]
        assert all(len(cell) == 1 for cell in cells)
        assert len(set.union(*cells)) == len(cells)
