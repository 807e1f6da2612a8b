"""Runs of an area: what they read and write, beside a whole run; again, with what is missing, and with another area."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedder.area import Area
from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, InvalidFileError, UsageError
from embedder.grid import column_chips
from embedder.output import column_file
from embedder.output.column_file import OUTCOMES
from embedder.output.coverage import COLOURS, _cells
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from embedder.source.inventory import list_tiles, metered, open_source
from embedder.source.strip import read_strip
from embedder.steps.inspect import inspect_columns, missing_columns
from embedder.steps.local import LocalRun, describe, run_local
from embedder.steps.plan import PlanOptions, plan
from embedder.steps.status import status
from tests.jobs import COLUMNS, TINY, place_of, plan_options
from tests.run_output import manifest_of, rows, vectors, versions

pytestmark = pytest.mark.usefixtures("scratch")

AREA = Area.parse("256;13-14:0-2;16:0")
"""One of the two chips of column 6 and of column 7, some nodata, and one chip of column 8; nothing of column 5."""


def options(source: Path, area: Area | None = AREA, columns: list[int] = COLUMNS) -> PlanOptions:
    return replace(plan_options(source, columns), area=area)


def run(source: Path, output: str, area: Area | None = AREA) -> LocalRun:
    return run_local(output, options(source, area), Progress(), device="cpu")


@pytest.fixture(scope="module")
def ran(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("area")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, TINY.name, TINY)
        run(source, str(folder))
    return folder


def outcomes(place: RunPlace, column: int) -> str:
    found: str = rows(place, column)[1]["outcomes"]
    return found


def test_an_areas_chips_are_those_of_a_whole_run_and_all_others_are_outside(ran: Path, done: Path) -> None:
    place, whole = place_of(ran), place_of(done)
    assert place.load().columns == (6, 7, 8)
    assert not list(place.storage.list(place.column_key(5)))
    for column in (6, 7, 8):
        inside = AREA.has(column)
        expected = [letter if has else "o" for letter, has in zip(outcomes(whole, column), inside, strict=True)]
        assert outcomes(place, column) == "".join(expected)
        ids = {chip.id for chip, has in zip(column_chips(column, 256), inside, strict=True) if has}
        there = vectors(place, column)
        assert there.keys() == vectors(whole, column).keys() & ids
        for chip, vector in there.items():
            np.testing.assert_array_equal(vector, vectors(whole, column)[chip])
    assert [list(vectors(place, column)) for column in (6, 7, 8)] == [["c0013r0000"], ["c0014r0000"], []]


def test_complete_means_the_area_and_the_manifest_counts_what_is_outside(ran: Path, done: Path) -> None:
    manifest = manifest_of(place_of(ran))
    assert manifest["complete"] is True
    assert manifest["area"] == str(AREA)
    assert list(manifest["columns"]) == ["6", "7", "8"]
    assert manifest["chips"] == {"embedded": 2, "nodata": 5, "no tile": 0, "outside": 3 * 2_344 - 7}
    whole = manifest_of(place_of(done))
    assert "outside" not in whole["chips"]
    assert "area" not in whole
    assert "area" not in place_of(done).load().config


def test_the_picture_and_status_know_what_is_outside(ran: Path) -> None:
    place = place_of(ran)
    recorded = place.load()
    found = status(place, recorded, recorded.columns, Progress())
    assert (found.done, found.missing, found.invalid, found.altered) == ([6, 7, 8], [], {}, {})
    assert found.chips["outside"] == 3 * 2_344 - 7
    columns = [each.content for each in inspect_columns(place, recorded, [6, 7, 8], Progress())]
    letters = "".join(COLOURS)
    cells = _cells(recorded, columns)  # type: ignore[arg-type]  # all are valid
    assert [letters[cells[0, column]] for column in range(5, 10)] == [" ", "e", "e", "n", " "]
    assert {letters[number] for number in np.unique(cells[2:, 6:9])} == {"o"}


def test_nothing_is_written_again_and_only_what_is_missing_when_it_is_run_again(source: Path, output: str) -> None:
    some = run_local(output, options(source, columns=[7, 8, 9]), Progress(), device="cpu").manifest
    assert some
    assert (some.complete, list(some.columns), some.whole) == (False, [7, 8], 3)
    assert [column.column for column in run(source, output).embedded.written] == [6]
    place = place_of(output)
    assert manifest_of(place)["complete"] is True
    before = versions(place)
    assert not run(source, output).embedded.written
    assert versions(place) == before
    (Path(output) / place.column_key(7)).unlink()
    assert missing_columns(place, place.load(), [6, 7, 8], Progress()) == [7]
    again = run(source, output)
    assert [column.column for column in again.embedded.written] == [7]
    assert again.manifest
    assert again.manifest.complete


def test_another_area_under_the_same_prefix_is_refused_naming_both(ran: Path, done: Path, source: Path) -> None:
    other = Area.parse("256;13:0")
    for folder, area, recorded, now in (
        (ran, other, "7 chips of 256 pixels in 3 columns, within -124.72", "1 chips of 256 pixels in 1 columns, within -124.72"),
        (ran, None, "7 chips of 256 pixels", "the whole grid"),
        (done, AREA, "the whole grid", "7 chips of 256 pixels"),
    ):
        with pytest.raises(ConfigurationError, match=rf"differs in area: {recorded}.*\(now {now}.*use another --output"):
            plan(place_of(folder).storage, options(source, area), Progress())


def test_an_area_is_planned_in_chips_of_the_recipe_and_has_some_of_the_columns(source: Path) -> None:
    with pytest.raises(UsageError, match="the area has chips of 512 pixels"):
        options(source, Area.parse("512;6:0"))
    with pytest.raises(UsageError, match="--columns 5 are outside the area"):
        options(source, columns=[5])


@pytest.mark.parametrize("letter", "ent")
def test_a_file_whose_outcomes_leave_the_area_is_invalid(ran: Path, letter: str) -> None:
    recorded = place_of(ran).load()
    found = outcomes(place_of(ran), 8)
    data = column_file.write(
        recorded, 8, found[:-1] + letter, np.ones((int(letter == "e"), TINY.width), np.float32), device=None, precision=None
    )
    with pytest.raises(InvalidFileError, match=f"say {OUTCOMES[letter]} of chip c0017r1171, the area says otherwise"):
        column_file.check(data, recorded, 8)


def test_only_the_areas_blocks_are_read(source: Path) -> None:
    """The tile has bytes in its first row of blocks alone; chips 12 to 15 lie in the fourth of them, 16 and 17 in the fifth."""
    inventory = list_tiles(open_source(str(source)), 2020)

    def fetched(area: str | None) -> int:
        opened = metered(open_source(str(source)))
        chips = list(read_strip(opened, inventory, 2020, [6, 7, 8], 256, area=Area.parse(area) if area else None))
        assert len(chips) == 3 * 2_344
        return opened.meter.bytes

    below, one, other, both = map(fetched, ("256;13-17:4-7", "256;13:0", "256;16:0;12-13:5", "256;13:0;16:0"))
    assert below < min(one, other)  # what opens the tile, and blocks without bytes
    assert both - below == one - below + other - below
    assert fetched("256;12-15:0-3") == one
    assert fetched(None) == both


def test_a_dry_run_names_the_area_and_counts_its_chips_alone(source: Path) -> None:
    text = describe(options(source))
    assert "  area     7 chips of 256 pixels in 3 columns, within -124.72,49.936," in text
    assert "  columns  3, 3 of them with tiles\n  chips    7 at most" in text
