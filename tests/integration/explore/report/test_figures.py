"""The figures of a run, against those of all its vectors at once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder.console.progress import Progress
from embedder.errors import InvalidFileError
from embedder.explore.report import figures
from embedder.explore.report.figures import measure
from embedder.explore.vectors.catalogue import EXPLORABLE, published_years
from embedder.explore.vectors.column_rows import read_column
from embedder.grid import Chip
from embedder.source.land_cover import CLASSES, LandCoverMap
from embedder.storage import open_storage
from tests.explore_output import Content, some, write_output
from tests.land_cover import write_map

COLUMNS, ROWS = range(18, 26), 20
"""A tile's edge runs through column 23."""


def measured(output: Path, labels: Path | None = None, recipe: str = "clay-v0.1") -> dict[str, Any]:
    published = published_years(open_storage(str(output)), EXPLORABLE[recipe])
    maps = {each.year: LandCoverMap(str(labels), each.year) for each in published} if labels else {}
    found = measure(published, maps, Progress())
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def all_of(content: Content) -> NDArray[np.float32]:
    return np.concatenate([embeddings for _, embeddings in content.values()])


@pytest.fixture(scope="module")
def before() -> Content:
    content = dict(some(COLUMNS, ROWS))
    content[19][1][3] *= 100  # embeddings may be far longer than others
    content[20][1][:4] = content[20][1][7]  # or copies
    return content


@pytest.fixture(scope="module")
def after(before: Content) -> Content:
    changed = {column: (letters, embeddings.copy()) for column, (letters, embeddings) in before.items()}
    changed[21][1][6] *= -1
    return changed


@pytest.fixture(scope="module")
def output(before: Content, after: Content, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_output(folder, before)
    return write_output(folder, after, year=2021)


@pytest.fixture(scope="module")
def found(output: Path) -> dict[str, Any]:
    return measured(output)


def test_lengths_and_copies_are_those_of_all_columns(found: dict[str, Any], before: Content) -> None:
    lengths = np.linalg.norm(all_of(before).astype(np.float64), axis=1)
    year = found["years"]["2020"]
    assert year["chips"] == year["lengths"]["count"] == len(lengths)
    assert year["lengths"]["quantiles"]["0.5"] == pytest.approx(np.median(lengths), rel=1e-4)
    assert next(iter(year["lengths"]["furthest"])) == "c0019r0003"
    assert year["lengths"]["far_from_median"] == ((lengths > 2 * np.median(lengths)) | (2 * lengths < np.median(lengths))).sum()
    assert year["duplicates"]["copies"] == 4
    assert year["duplicates"]["largest_groups"] == [["c0020r0000", "c0020r0001", "c0020r0002", "c0020r0003", "c0020r0007"]]


def test_the_spectrum_is_that_of_the_unit_vectors(found: dict[str, Any], before: Content) -> None:
    unit = all_of(before).astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    roots = np.linalg.svd(unit - unit.mean(axis=0), compute_uv=False)
    shares = roots[roots > 1e-9] / roots.sum()
    spectrum = found["years"]["2020"]["spectrum"]
    assert spectrum["effective_rank"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-3)
    assert spectrum["variance_shares"][0] == pytest.approx(roots[0] ** 2 / (roots**2).sum(), rel=1e-3)
    assert spectrum["mean_cosine"] == pytest.approx((unit @ unit.T)[~np.eye(len(unit), dtype=bool)].mean(), rel=1e-3)


def test_neighbours_are_compared_across_columns(found: dict[str, Any], before: Content) -> None:
    grid = np.stack([embeddings for _, embeddings in before.values()])
    unit = grid / np.linalg.norm(grid, axis=2, keepdims=True)
    away = 1 - np.concatenate([(unit[1:] * unit[:-1]).sum(axis=2).ravel(), (unit[:, 1:] * unit[:, :-1]).sum(axis=2).ravel()])
    neighbours = found["years"]["2020"]["neighbours"]
    assert neighbours["count"] == len(away)
    assert [neighbours["quantiles"][name] for name in ("0.05", "0.5", "0.95")] == pytest.approx(
        np.quantile(away, [0.05, 0.5, 0.95]), rel=1e-4
    )


def test_chips_at_tile_edges_are_set_against_the_rest(found: dict[str, Any]) -> None:
    for edges in (*found["years"]["2020"]["tile_edges"].values(), found["change"]["tile_edges"]):
        assert (edges["at_edges"], edges["elsewhere"]) == (ROWS, (len(COLUMNS) - 1) * ROWS)
        assert edges["exceeds"]["low"] <= edges["exceeds"]["value"] <= edges["exceeds"]["high"]


def test_change_is_found_where_it_was_made(found: dict[str, Any]) -> None:
    change = found["change"]
    assert change["count"] == len(COLUMNS) * ROWS
    assert next(iter(change["most"].items())) == ("c0021r0006", pytest.approx(2, abs=1e-5))
    assert change["quantiles"]["0.99"] == pytest.approx(0, abs=1e-6)


def test_change_has_a_reason_when_it_means_nothing(before: Content, tmp_path: Path) -> None:
    write_output(tmp_path, before)
    assert measured(tmp_path)["change"] == {"reason": "only 2020 was looked at"}
    write_output(tmp_path, before, year=2021)
    published = published_years(open_storage(str(tmp_path)), EXPLORABLE["clay-v0.1"])
    runs = [replace(each, run=_run(each.year)) for each in published]
    assert "different weights" in measure(runs, {}, Progress())["change"]["reason"]


def _run(year: int) -> Any:  # noqa: ANN401 - a run's record
    from embedder.recipes import RECIPES  # noqa: PLC0415
    from tests.explore_output import a_run  # noqa: PLC0415

    return a_run(RECIPES["clay-v0.1"], year, f"weights of {year}")


def test_a_year_without_a_chip_has_no_figures(tmp_path: Path) -> None:
    assert measured(write_output(tmp_path, {5: ("", np.empty((0, 768), np.float32))}))["years"] == {"2020": {"chips": 0}}


def test_two_chips_beside_each_other_in_a_column_are_neighbours(tmp_path: Path) -> None:
    write_output(tmp_path, {5: ("ee", some(range(1), 2, "clay-v1.5")[0][1])}, recipe="clay-v1.5")
    assert measured(tmp_path, recipe="clay-v1.5")["years"]["2020"]["neighbours"]["count"] == 1


def test_a_file_that_is_not_the_published_one_is_refused(before: Content, tmp_path: Path) -> None:
    output = write_output(tmp_path, before)
    path = next(output.glob("clay-v0.1/2020/*_0019.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InvalidFileError, match="is not the file that the manifest names"):
        measured(output)


@pytest.fixture(scope="module")
def labels(output: Path) -> Path:
    """Fields, but for some chips of water, and a strip of it in all."""
    chips = [Chip(column=column, row=row, pixels=512) for column in COLUMNS for row in range(ROWS)]
    classes = {chip.window: 80 if chip.column % 2 else 40 for chip in chips}
    for chip in chips:
        strip = replace(chip.window, width=64)
        classes[strip] = 80
    for year in (2020, 2021):
        write_map(output.parent / "map", classes, year=year)
    return output.parent / "map"


def test_land_cover_is_learnt_from_the_chips_that_have_one(output: Path, labels: Path) -> None:
    pytest.importorskip("sklearn")
    found = measured(output, labels)["years"]["2021"]["labels"]
    assert (found["sampled"], found["known"], found["chips"]) == (160, 160, 160)
    assert found["chips_by_class"] == [80 * (number in {40, 80}) for number in CLASSES]
    assert set(found["ways"]) == {"most frequent", "nearest", "linear"}
    assert np.sum(found["ways"]["linear"]["confusion"]) == 160


def test_the_same_chips_are_drawn_in_every_year_whatever_the_columns_order(
    output: Path, before: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "SAMPLE", 50)
    (published, other) = published_years(open_storage(str(output)), EXPLORABLE["clay-v0.1"])
    drawn = []
    for each, columns in ((published, COLUMNS), (other, reversed(COLUMNS))):
        sample = figures._Sample(each.recipe)
        for column in columns:
            sample.add(read_column(each, column))
        chips, vectors = sample.drawn()
        assert len(chips) == len(vectors) == 50
        drawn.append({(column, row): vector for (column, row), vector in zip(chips.tolist(), vectors, strict=True)})
    assert drawn[0].keys() == drawn[1].keys()
    assert len({column for column, _ in drawn[0]}) > 4
    for (column, row), vector in drawn[0].items():
        stored = before[column][1][row]
        assert vector == pytest.approx(stored / np.linalg.norm(stored), abs=1e-6)
