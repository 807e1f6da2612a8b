"""The coverage picture: what was embedded, at a glance."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embedder.grid import COLUMN_COUNT, COLUMN_PIXELS, HEIGHT_PIXELS, NORTH, TILE_PIXELS, WEST
from embedder.output.column_file import CheckedColumn
from embedder.output.run import Run

COLOURS = {"e": "#1a7f4b", "n": "#c9b458", "t": "#a9c6dd", " ": "#f4f4f2", "o": "#dcdcd8"}
"""By outcome; the space for columns that are not there."""
LABELS = {"e": "embedded", "n": "nodata", "t": "no tile", " ": "not in this run", "o": "outside the area"}
MARGIN_CHIPS = 6
"""Around what is embedded, in the close-up."""


def draw_coverage(run: Run, columns: Sequence[CheckedColumn]) -> bytes:
    """A PNG of the whole grid, one cell a chip of 512 pixels, and beside it a close-up where little of it is embedded."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow to import
    from matplotlib.colors import ListedColormap  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.patches import Patch, Rectangle  # noqa: PLC0415

    cells = _cells(run, columns)
    window = _close_up(cells)
    figure = Figure(figsize=(16, 7.2) if window else (14, 7.6), layout="constrained", facecolor="white")
    axes = figure.subplots(1, 2 if window else 1, width_ratios=[2.1, 1] if window else [1], squeeze=False)[0]
    rows, across = cells.shape
    degrees = COLUMN_PIXELS / TILE_PIXELS
    extent = (WEST, WEST + across * degrees, NORTH - rows * degrees, NORTH)
    colours = ListedColormap(list(COLOURS.values()))
    for axis in axes:
        axis.imshow(cells, cmap=colours, vmin=0, vmax=len(COLOURS) - 1, extent=extent, interpolation="nearest", aspect=1.25)
        axis.set_xlabel("longitude")
        axis.tick_params(labelsize=9)
        axis.spines[:].set_visible(False)
    axes[0].set_ylabel("latitude")
    if window:
        west, east, south, north = window
        axes[0].add_patch(Rectangle((west, south), east - west, north - south, fill=False, edgecolor="#c0392b", linewidth=1.5))
        axes[1].set(xlim=(west, east), ylim=(south, north), title="close-up of the red box")
    counts = {letter: int((cells == number).sum()) for number, letter in enumerate(COLOURS)}
    axes[0].legend(
        handles=[Patch(color=COLOURS[letter], label=f"{LABELS[letter]}: {counts[letter]:,}") for letter in COLOURS if counts[letter]],
        loc="lower left",
        framealpha=0.9,
    )
    chips = sum(column.rows for column in columns)
    title = f"WorldCover {run.year}, {run.recipe.name}: {chips:,} embeddings in {len(columns):,} of {run.whole:,} columns"
    if run.warning:
        title += f"\n{run.warning}"
    figure.suptitle(title, fontsize=14, fontweight="bold")
    out = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(out, format="png", bbox_inches="tight")
    return out.getvalue()


def _cells(run: Run, columns: Sequence[CheckedColumn]) -> NDArray[np.uint8]:
    """(row, column) of 512-pixel cells: the number of the outcome in COLOURS. Of four smaller chips the best counts."""
    across = COLUMN_PIXELS // run.recipe.chip_pixels
    number = {letter: index for index, letter in enumerate(COLOURS)}
    cells = np.full((HEIGHT_PIXELS // COLUMN_PIXELS, COLUMN_COUNT), number[" "], np.uint8)
    for column in columns:
        outcomes = np.array([number[letter] for letter in column.outcomes], np.uint8)
        cells[:, column.column] = outcomes.reshape(len(cells), across * across).min(axis=1)
    return cells


def _close_up(cells: NDArray[np.uint8]) -> tuple[float, float, float, float] | None:
    """West, east, south and north of what is embedded, with a margin; None where that is a good part of the grid anyway."""
    rows, columns = np.nonzero(cells == 0)
    if not len(rows):
        return None
    top, bottom = rows.min() - MARGIN_CHIPS, rows.max() + 1 + MARGIN_CHIPS
    left, right = columns.min() - MARGIN_CHIPS, columns.max() + 1 + MARGIN_CHIPS
    if (right - left) * (bottom - top) > cells.size / 4:
        return None
    degrees = COLUMN_PIXELS / TILE_PIXELS
    return WEST + left * degrees, WEST + right * degrees, NORTH - bottom * degrees, NORTH - top * degrees
