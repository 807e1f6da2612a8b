"""The notebook of the docs: run on made-up vectors of the demo's chips, and what is stored in it."""

import runpy
from pathlib import Path

import nbformat
import rasterio

from embedder.grid import Chip, Window
from embedder.sample import COLUMNS, ROWS, TILE, write_sample_labels
from tests.explore_output import vectors, write_output
from tests.tiles import write_tile

SCRIPT = runpy.run_path(str(Path(__file__).parents[3] / "docs/run_notebook.py"))


def test_the_notebook_runs_on_what_the_demo_leaves(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    corner = Chip(column=COLUMNS.start, row=ROWS.start, pixels=512).window
    place = {"x": corner.x - TILE.window.x, "y": corner.y - TILE.window.y, "width": 512 * len(COLUMNS), "height": 512 * len(ROWS)}
    write_tile(tmp_path / "build/demo/source", TILE, Window(**place))  # a quick one: the sample takes a while to paint
    write_sample_labels(tmp_path / "build/demo/source")
    outcomes = "t" * ROWS.start + "e" * len(ROWS)
    write_output(tmp_path / "build/demo/output", {column: (outcomes, vectors(column, len(ROWS))) for column in COLUMNS}, weights="random:0")
    notebook = nbformat.read(SCRIPT["NOTEBOOK"], as_version=4)
    SCRIPT["run"](notebook, tmp_path / "docs")
    pictures = [output for cell in notebook.cells for output in cell.get("outputs", []) if "image/jpeg" in output.get("data", {})]
    assert len(pictures) == 4
    with rasterio.open(tmp_path / "build/demo/classes.tif") as raster:
        assert raster.shape == (len(ROWS), len(COLUMNS))
        assert (raster.read(1) != raster.nodata).all()


def test_what_is_stored_in_the_notebook_is_of_its_cells_and_names_no_folder() -> None:
    text = SCRIPT["NOTEBOOK"].read_text()
    assert not any(path in text for path in ("/home/", "/tmp", "/root", "/work", "/Users/", "site-packages", '"stderr"', "Traceback"))  # noqa: S108
    cells = [cell for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum("image/jpeg" in output.get("data", {}) for cell in cells for output in cell.outputs) == 4
