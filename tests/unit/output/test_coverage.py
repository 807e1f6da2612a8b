import io

import matplotlib.image
import numpy as np
import pytest

from embedder.grid import chips_in_column
from embedder.output import coverage
from embedder.output.column_file import CheckedColumn
from embedder.output.coverage import draw_coverage
from embedder.recipes import RECIPES, Recipe
from tests.runs import RUN


def column(number: int, recipe: Recipe, embedded: range) -> CheckedColumn:
    """A column whose chips, counted as in its file, are embedded in the range, without a tile in the first hundred."""
    outcomes = "".join("e" if chip in embedded else "t" if chip < 100 else "n" for chip in range(chips_in_column(recipe.chip_pixels)))
    return CheckedColumn(column=number, outcomes=outcomes, footer={}, size=1, sha256="a" * 64)


def test_a_cell_is_a_chip_when_chips_are_as_wide_as_a_column() -> None:
    cells = coverage._cells(RUN, [column(3, RUN.recipe, range(200, 202))])
    assert cells.shape == (586, 1359)
    assert [cells[row, 3] for row in (0, 99, 100, 199, 200, 201, 202)] == [2, 2, 1, 1, 0, 0, 1]
    assert (cells[:, :3] == 3).all()
    assert (cells[:, 4:] == 3).all()


def test_a_cell_is_its_best_chip_when_four_chips_fill_it() -> None:
    run = RUN.__class__(**vars(RUN) | {"recipe": RECIPES["clay-v1.5"]})
    cells = coverage._cells(run, [column(3, run.recipe, range(403, 404))])
    assert cells.shape == (586, 1359)
    assert list(np.flatnonzero(cells[:, 3] == 0)) == [100]
    assert list(np.flatnonzero(cells[:, 3] == 2)) == list(range(25))


@pytest.mark.parametrize("embedded", [range(0), range(287, 290), range(586)], ids=["nothing", "a little", "a whole column"])
def test_a_picture_is_drawn(embedded: range) -> None:
    picture = matplotlib.image.imread(io.BytesIO(draw_coverage(RUN, [column(1155, RUN.recipe, embedded)])))
    assert picture.shape[0] > 600
    assert picture.shape[1] > 1000


def test_the_close_up_shows_what_is_embedded_and_a_margin() -> None:
    window = coverage._close_up(coverage._cells(RUN, [column(1155, RUN.recipe, range(287, 290))]))
    degrees = 512 / 12000
    expected = (-125 + 1149 * degrees, -125 + 1162 * degrees, 50 - 296 * degrees, 50 - 281 * degrees)
    assert window == pytest.approx(expected)


def test_there_is_no_close_up_when_much_of_the_grid_is_embedded() -> None:
    columns = [column(number, RUN.recipe, range(586)) for number in (100, 1200)]
    assert coverage._close_up(coverage._cells(RUN, columns)) is None
