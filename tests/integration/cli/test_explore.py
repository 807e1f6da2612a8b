"""`embedder search` and `embedder explore`: what they print, write and refuse."""

from pathlib import Path

import click
import geopandas
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from embedder.cli.command import exit_code_of
from embedder.cli.steps import cli
from embedder.errors import UsageError
from embedder.explore.web.serve import listen
from embedder.grid import Chip
from tests.explore_output import CHIP, some, vectors, write_output


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_output(tmp_path / "out", some(range(3)), weights="random:0")
    return str(write_output(tmp_path / "out", some(range(3), seed=1), year=2021, weights="random:0"))


def run(*arguments: str) -> click.testing.Result:
    return CliRunner().invoke(cli, ["search", *arguments])


def test_search_prints_a_table_and_says_of_what(output: str) -> None:
    found = run("--output", output, "--chip", "c0001r0003", "--unlike", "c0002r0003", "-k", "4")
    assert found.exit_code == 0, found.output
    assert len(found.stdout.splitlines()) == 5
    assert "mean nothing" in found.stderr
    assert "like c0001r0003 and unlike c0002r0003 in 2021" in found.stderr.splitlines()


def test_a_box_without_a_hit_is_said_to_be_empty(output: str) -> None:
    found = run("--output", output, "--year", "2020", "--chip", "c0001r0003", "--bbox", "-80,30,-79,31")
    assert (found.exit_code, found.stdout) == (0, "")
    assert "nothing was found in this box: choose a larger one" in found.stderr


def test_change_takes_no_notice_of_the_environment_s_year(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YEAR", "2020")
    assert run("--output", output, "--change", "2020", "2021").exit_code == 0
    assert isinstance(run("--output", output, "--change", "2020", "2021", "--year", "2020").exception, UsageError)


@pytest.mark.parametrize("form", ["geojson", "csv", "parquet"])
def test_search_writes_files_that_geopandas_reads(output: str, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"hits.{form}"
    lon, lat = CHIP.bounds.center
    found = run("--output", output, "--lon", str(lon), "--lat", str(lat), "--to", str(path), "-k", "6", "--unlike", "c0002r0002")
    assert found.exit_code == 0, found.output
    frame = geopandas.read_parquet(path) if form == "parquet" else geopandas.read_file(path)
    assert len(frame) == 6
    if form != "csv":
        assert frame.crs.to_epsg() == 4326
        assert frame.geometry.iloc[0].area == pytest.approx((512 / 12000) ** 2)


def test_every_chip_above_a_percentile_is_counted_and_written(output: str, tmp_path: Path) -> None:
    path = tmp_path / "every.tif"
    found = run("--output", output, "--year", "2020", "--chip", "c0001r0003", "--above", "90", "--to", str(path))
    assert found.exit_code == 0, found.output
    content = some(range(3))
    every = np.concatenate([rows for _, rows in content.values()]).astype(np.float64)
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    distances = 1 - every @ every[23]
    limit = np.percentile(distances, 10, method="lower")
    assert found.stdout.startswith("6 of 60 chips (10 %), ")
    assert float(found.stdout.rsplit(" ", 1)[-1]) == pytest.approx(limit, abs=2e-6)
    with rasterio.open(path) as tiff:
        shown = np.isfinite(tiff.read(1))
        assert shown.sum() == 6
        assert tiff.descriptions == ("distance", "percentile")
        ((own, _),) = tiff.sample([Chip(column=1, row=3, pixels=512).bounds.center])
        assert own == pytest.approx(0, abs=1e-6)


def test_every_chip_within_a_distance_and_every_change_are_counted(output: str, tmp_path: Path) -> None:
    near = run("--output", output, "--chip", "c0001r0003", "--within", "0.00001")
    assert near.stdout.startswith("1 of 60 chips")
    path = tmp_path / "change.parquet"
    assert run("--output", output, "--change", "2020", "2021", "--all", "--to", str(path)).exit_code == 0
    frame = geopandas.read_parquet(path)
    assert len(frame) == 60
    assert frame.sort_values("distance")["percentile"].is_monotonic_increasing
    path = tmp_path / "scores.csv"
    unlike = run("--output", output, "--chip", "c0001r0003", "--unlike", "c0002r0003", "--all", "--to", str(path))
    assert "score at least" in unlike.stdout
    assert path.read_text().splitlines()[0].replace('"', "") == "chip_id,year,score,longitude,latitude"


def test_years_that_are_the_same_are_said_to_be(output: str) -> None:
    write_output(Path(output), some(range(3), seed=1), weights="random:0")
    found = run("--output", output, "--change", "2020", "2021")
    assert "the two years hold the same embeddings here" in found.stderr


@pytest.mark.parametrize("form", ["geojson", "csv"])
def test_search_prints_forms_that_geopandas_reads(output: str, tmp_path: Path, form: str) -> None:
    found = run("--output", output, "--change", "2020", "2021", "-k", "3", "--format", form)
    assert found.exit_code == 0, found.output
    (tmp_path / f"hits.{form}").write_bytes(found.stdout_bytes)
    assert len(geopandas.read_file(tmp_path / f"hits.{form}")) == 3
    assert "2020 is composite v100 and 2021 is v200" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--chip", "c0001r0300"], 78, "no tile there"),
        (["--lon", "-100", "--lat", "40"], 78, "not embedded yet; the nearest embedded chip is c0002r0019"),
        (["--chip", "c0001r0003", "--year", "2019"], 78, "nothing is published for 2019"),
    ],
)
def test_a_wrong_search_ends_with_one_clear_line(
    output: str, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["embedder", "search", "--output", output, *arguments])
    assert exit_code_of(cli, "embedder") == code
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["search", "--chip", "zzz"], 2, "not a chip id"),
        (["search", "--chip", "c0001r0003", "--unlike", "zzz"], 2, "not a chip id"),
        (["search", "--lat", "40"], 2, "give the other one too"),
        (["search", "--lon", "0", "--lat", "0"], 2, "off the grid"),
        (["search"], 2, "no chip is given"),
        (["search", "--change", "2020", "2020"], 2, "both are 2020"),
        (["search", "--chip", "c0001r0003", "-k", "1001"], 2, "ask for 1 to 1000"),
        (["search", "--chip", "c0001r0003", "--to", "hits.xlsx"], 2, "end it with .geojson, .csv or .parquet"),
        (["search", "--chip", "c0001r0003", "--to", "no/such/hits.csv"], 2, "there is no folder no/such for hits.csv: make it"),
        (["search", "--chip", "c0001r0003", "--to", "hits.csv", "--format", "csv"], 2, "leave out --format"),
        (["search", "--chip", "c0001r0003", "--all"], 2, "--all is for a file"),
        (["search", "--chip", "c0001r0003", "--all", "--to", "a.geojson"], 2, "end it with .parquet, .csv, .tif"),
        (["search", "--chip", "c0001r0003", "--above", "101"], 2, "no percentile: give 0 to 100"),
        (["search", "--chip", "c0001r0003", "--above", "nan"], 2, "no percentile: give 0 to 100"),
        (["search", "--chip", "c0001r0003", "--within", "-1"], 2, "no distance: give 0"),
        (["search", "--chip", "c0001r0003", "--within", "1", "--above", "1"], 2, "give one"),
        (["search", "--change", "2020", "2021", "--within", "1"], 2, "give --above instead"),
        (["search", "--chip", "c0001r0003", "--above", "9", "-k", "3"], 2, "leave out -k"),
        (["explore", "--wms", "ftp://host/x"], 2, "the WMS's address is none"),
        (["explore", "--source", "no/such"], 78, "source no/such is not a folder"),
        (["explore", "--basemap", "tiles"], 2, "the base map's address is none"),
        (["explore", "--port", "TAKEN"], 78, "choose another --port"),
    ],
)
def test_wrong_usage_is_found_before_anything_is_read(
    tmp_path: Path, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with listen("127.0.0.1", 0) as taken:
        given = [str(taken.getsockname()[1]) if each == "TAKEN" else each for each in arguments]
        monkeypatch.setattr("sys.argv", ["embedder", *given, "--output", str(tmp_path / "nothing")])
        assert exit_code_of(cli, "embedder") == code
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_recall_is_printed(output: str) -> None:
    found = CliRunner().invoke(cli, ["explore", "--output", output, "--recall"])
    assert found.exit_code == 0, found.output
    assert found.stdout.count("recall@10 1.000") == 2


def test_no_recall_is_printed_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    output = write_output(tmp_path / "out", {5: ("e", vectors(1, 1))})
    found = CliRunner().invoke(cli, ["explore", "--output", str(output), "--recall"])
    assert found.stdout == "2020: fewer than two chips are embedded: there is nothing to measure\n"
