"""`--bbox` and `--area` of the commands: as options, from the environment as pods have them, and what is no area."""

import json
from pathlib import Path

import geopandas
import pytest
import shapely

from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from tests.commands import assert_one_line, exit_code
from tests.jobs import place_of

pytestmark = pytest.mark.usefixtures("temporary")

BOX = "-124.8,49.9,-124.7,50.1"
"""Over the columns 4 to 7 and the rows 0 to 2."""
PACKED = "512;4-7:0-2"


def place(output: str) -> RunPlace:
    return place_of(output, RECIPES["clay-v0.1"])


def test_a_box_goes_through_all_steps(
    empty_source: Path, weights: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where, shards = ["--year", "2020", "--output", output], tmp_path / "shards.json"
    command = ["embedder", "plan", *where, "--source", str(empty_source), "--weights", weights]
    monkeypatch.setenv("AREA", "")  # as a template's parameter that nobody gave
    assert exit_code(monkeypatch, [*command, "--bbox", BOX, "--columns", "6-30", "--shards", str(shards), "--columns-per-pod", "2"]) == 0
    assert json.loads(shards.read_text()) == ["6-7"]
    assert str(place(output).load().area) == PACKED
    assert exit_code(monkeypatch, ["embedder", "embed", *where, "--column", "6-7"]) == 0
    assert exit_code(monkeypatch, ["embedder", "finalize", *where, "--columns", "6-30"]) == 0
    assert "published 2 of 4 columns (0 embedded, 6 nodata, 0 no tile, 1166 outside chips)" in capsys.readouterr().out
    assert exit_code(monkeypatch, ["embedder", "status", *where]) == 0
    shown = capsys.readouterr().out
    assert "area:       12 chips of 512 pixels in 4 columns, within -124.83,49.872,-124.66,50" in shown
    assert "published:      2 of 4 columns" in shown

    geopandas.GeoSeries([shapely.box(*map(float, BOX.split(",")))], crs=4326).to_crs(32610).to_file(tmp_path / "area.gpkg")
    monkeypatch.setenv("AREA", PACKED)  # as submit.py packs it
    assert exit_code(monkeypatch, [*command, "--missing-only", "--shards", str(shards)]) == 0
    assert json.loads(shards.read_text()) == ["4", "5"]

    for change, code, *parts in (
        (["--area", str(tmp_path / "area.gpkg"), "--columns", "8-9"], 2, "--columns 8-9 are outside the area, which has 4-7"),
        (
            ["--area", "512;4:0"],
            78,
            "differs in area: 12 chips of 512 pixels in 4 columns",
            "(now 1 chips of 512 pixels",
            "another --output",
        ),
        (["--bbox", BOX], 2, "--bbox and --area (or BBOX and AREA) are both given"),
        (["--area", str(tmp_path / "nothing")], 2, "there is no file"),
    ):
        capsys.readouterr()
        assert exit_code(monkeypatch, [*command, *change]) == code
        assert_one_line(capsys.readouterr().err, *parts)
    for name, columns in (("finalize", "8-9"), ("status", "8-9")):
        assert exit_code(monkeypatch, ["embedder", name, *where, "--columns", columns]) == 2


@pytest.mark.parametrize("command", ["embedder plan --output out", "submit.py --local --dry-run", "submit.py --dry-run"])
@pytest.mark.parametrize(
    ("box", "said"),
    [
        ("36.6,-122,36.8,-121.7", "latitude before longitude"),
        ("-121,36,-122,37", "is inverted"),
        ("5,36,6,37", "off the grid"),
        ("", "is not a box"),
    ],
)
def test_a_box_that_can_not_be_meant_is_one_line_and_exit_2(
    command: str, box: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = command.split()
    assert exit_code(monkeypatch, [name, *rest, "--year", "2020", "--bbox", box]) == 2
    assert_one_line(capsys.readouterr().err, said)


def test_a_dry_run_here_names_the_area(empty_source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"submit.py --year 2020 --local --dry-run --bbox {BOX} --source {empty_source} --weights random:0"
    assert exit_code(monkeypatch, line.split()) == 0
    assert "area     12 chips of 512 pixels in 4 columns" in capsys.readouterr().out
