"""Where the seconds of a pod's start went: `embed` says it once, as soon as its first batch is done."""

from pathlib import Path

import pytest

from tests.commands import Finished, call, objects, run

pytestmark = pytest.mark.usefixtures("temporary")
PARTS = ["interpreter", "imports", "weights", "model and device", "first batch"]


@pytest.fixture(scope="module")
def planned(source: Path, weights: str, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> dict[str, str]:
    """The environment that makes `embed` go on from a plan of columns 5 to 7, of which 5 has no chip, whatever is there already."""
    options = {"YEAR": "2020", "OUTPUT": str(tmp_path_factory.mktemp("start") / "output"), "DEVICE": "cpu"}
    finished = call("plan", **options, SOURCE=str(source), WEIGHTS=weights, RUN_COLUMNS="5-7", XDG_CACHE_HOME=str(cache))
    assert finished.returncode == 0, finished.stderr
    assert "start:" not in finished.stderr
    return options | {"FORCE": "true"}


def lines_of(finished: Finished) -> list[str]:
    assert finished.returncode == 0, finished.stderr
    return [line for line in finished.stderr.splitlines() if line.startswith("start: ")]


def test_a_start_is_told_once_when_batches_are_several(planned: dict[str, str]) -> None:
    (line,) = lines_of(run("embed", **planned, COLUMN="5-7"))
    parts = line.removeprefix("start: ").partition("; ")[0].split(", ")
    assert [part.rsplit(" ", 2)[0] for part in parts] == PARTS
    assert line.endswith(" s in all")


def test_a_start_is_an_object_with_its_seconds_when_that_is_asked_for(planned: dict[str, str]) -> None:
    said = objects(run("embed", **planned, COLUMN="6", LOG_FORMAT="json").stderr)
    (start,) = [line["start_seconds"] for line in said if "start_seconds" in line]
    assert list(start) == [*PARTS, "total"]
    assert all(start[part] > 0 for part in ("interpreter", "imports", "model and device", "first batch"))
    assert start["total"] >= max(start[part] for part in PARTS)


def test_nothing_is_told_of_the_start_when_no_chip_needed_one(planned: dict[str, str]) -> None:
    assert lines_of(run("embed", **planned, COLUMN="5")) == []
