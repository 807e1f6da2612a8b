"""`embedder classify` and `embedder map`: what they print, write and refuse."""

import json
from importlib.util import find_spec
from pathlib import Path

import click
import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner

from embedder import errors
from embedder.cli.command import exit_code_of
from embedder.cli.maps import METHODS
from embedder.cli.steps import cli
from embedder.explore import classification
from embedder.explore.labels import Labels, write_labels
from embedder.grid import Chip
from tests.explore_output import some, write_output

COLUMNS = range(20, 26)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an output of two years, and labels by the columns' parity."""
    folder = tmp_path_factory.mktemp("maps")
    for year in (2020, 2021):
        write_output(folder / "out", some(COLUMNS, 12, seed=year), year=year, weights="random:0")
    chips = np.array([(column, row) for column in COLUMNS for row in range(0, 14, 2)], np.int16)
    labels = Labels(pixels=512, chips=chips, codes=chips[:, 0].astype(np.int64) % 2, classes=("even", "odd"))
    write_labels(labels, folder / "labels.geojson")
    return folder


@pytest.fixture(autouse=True)
def _there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))


def run(*arguments: str) -> click.testing.Result:
    found = CliRunner().invoke(cli, [*arguments, "--output", "out"])
    assert found.exit_code == 0, found.output
    return found


@pytest.mark.parametrize("ending", ["tif", "parquet", "csv"])
def test_a_class_of_every_chip_is_written_and_the_test_of_it_printed(ending: str) -> None:
    pytest.importorskip("sklearn")
    found = run("classify", "--labels", "labels.geojson", "--to", f"classes.{ending}", "--year", "2020")
    lines = found.stdout.splitlines()
    assert lines[0] == "learnt from 36 chips: even 18, odd 18"
    assert lines[1].startswith("tested on 36 of them, ")
    assert lines[2].startswith("accuracy 0.")
    assert [line.split()[0] for line in lines[4:7]] == ["true", "even", "odd"]
    assert sum(int(count) for line in lines[5:7] for count in line.split()[1:3]) == 36
    assert lines[-1].startswith(f"wrote 72 chips of 2020 to classes.{ending}: even ")
    assert "NOTE: 6 labelled chips have no embedding in 2020, c0020r0012, c0021r0012, c0022r0012, ...: left out" in found.stderr
    assert "mean nothing" in found.stderr
    if ending == "tif":
        with rasterio.open("classes.tif") as tiff:
            assert (tiff.descriptions, tiff.shape, tiff.crs.to_epsg()) == (("class", "probability"), (12, 6), 4326)
            assert {*np.unique(tiff.read(1))} <= {0, 1}
            assert 50 <= tiff.read(2).min() <= tiff.read(2).max() <= 100
            assert "mean nothing" in tiff.tags()["WARNINGS"]
            assert json.loads(tiff.tags()["VALIDATION"])["tested"] == 36
    else:
        frame = geopandas.read_parquet("classes.parquet") if ending == "parquet" else geopandas.read_file("classes.csv")
        assert {*frame["class"]} == {"even", "odd"}
        assert len(frame) == 72
        assert frame["probability"].astype(float).between(0.5, 1).all()


def test_a_json_line_holds_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setenv("LOG_FORMAT", "json")
    said = json.loads(run("classify", "--labels", "labels.geojson", "--to", "classes.csv", "--method", "knn").stdout)
    assert sum(map(sum, said["validation"]["scores"]["confusion"])) == said["validation"]["tested"] == 36
    assert said["labelled"] == {"even": 18, "odd": 18}
    assert said["chips"] == 72
    boxes = geopandas.GeoSeries([shapely.box(*vars(Chip(column=c, row=r, pixels=512).bounds).values()) for c in COLUMNS for r in range(12)])
    assert sum(said["km2"].values()) == pytest.approx(boxes.set_crs(4326).to_crs("EPSG:5070").area.sum() / 1e6, rel=0.005)


def test_a_map_in_false_colour_is_written_and_its_share_of_the_variance_printed() -> None:
    found = run("map", "--pca", "--to", "colours.tif", "--bbox", "-125,49.6,-123,50")
    share, wrote = found.stdout.splitlines()
    assert share.startswith("explained variance: red ")
    assert wrote == "wrote 60 chips of 2021 to colours.tif"
    with rasterio.open("colours.tif") as tiff:
        assert (tiff.count, tiff.shape) == (4, (10, 6))
        assert "mean nothing" in tiff.tags()["WARNINGS"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["classify", "--labels", "labels.geojson", "--to", "x.shp"], 2, "end it with .parquet, .csv, .tif"),
        (["classify", "--labels", "labels.geojson", "--to", "no/such/x.tif"], 2, "there is no folder no/such"),
        (["classify", "--labels", "labels.xlsx", "--to", "x.tif"], 2, "labels.xlsx is no name of a file of labels"),
        (["classify", "--labels", "none.csv", "--to", "x.tif"], 78, "none.csv does not exist"),
        (["classify", "--labels", "labels.geojson", "--to", "x.tif", "--bbox", "1,2,3"], 2, "not a box"),
        (["classify", "--labels", "labels.geojson", "--to", "x.tif", "--class-column", "kind"], 78, "no column kind: it has "),
        (["classify", "--labels", "labels.geojson", "--to", "x.tif", "--bbox", "-80,30,-79,31"], 2, "embedded in this box"),
        (["map", "--to", "x.tif"], 2, "give --pca"),
        (["map", "--pca", "--to", "x.jpg"], 2, "end it with .tif or .png"),
        (["map", "--pca", "--to", "no/such/x.png"], 2, "there is no folder no/such"),
    ],
)
def test_what_is_wrong_has_its_line(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["embedder", *arguments, "--output", "out"])
    assert exit_code_of(cli, "embedder") == code
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_what_an_extra_brings_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for missing, labels in (("geopandas", "labels.geojson"), ("sklearn", "labels.csv")):
        monkeypatch.setattr(errors, "find_spec", lambda name, missing=missing: None if name == missing else find_spec(name))
        monkeypatch.setattr("sys.argv", ["embedder", "classify", "--labels", labels, "--to", "x.tif", "--output", "out"])
        assert exit_code_of(cli, "embedder") == 78
        assert f"{missing} is not installed: pip install '.[classify]'" in capsys.readouterr().err.splitlines()[-1]


def test_the_methods_of_the_command_are_the_library_s() -> None:
    assert METHODS == classification.METHODS
