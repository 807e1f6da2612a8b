"""A map of classes from marks in an address."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio

from embedder.console.progress import Progress
from embedder.explore import classification
from embedder.explore.explorer import Explorer, open_explorer
from embedder.explore.labels import label_chips
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.places import pack_chips
from embedder.explore.web import class_maps
from embedder.explore.web.class_maps import ClassMap, class_bytes
from embedder.grid import Chip
from tests.explore_output import write_output
from tests.explore_site import get, served

pytest.importorskip("sklearn")

COLUMNS, ROWS = range(20, 32), 12
NAMES = ("wet land", "d~r\N{LATIN SMALL LETTER Y WITH ACUTE}")


def on_ground(column: int) -> np.ndarray:
    """Vectors of a column's chips, around another centre in its southern half."""
    centres = np.random.default_rng(1).standard_normal((2, 768), dtype=np.float32)
    noise = np.random.default_rng(column).standard_normal((ROWS, 768), dtype=np.float32)
    return centres[[int(row >= ROWS // 2) for row in range(ROWS)]] + 0.5 * noise


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    folder = tmp_path_factory.mktemp("ground")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        write_output(folder / "out", {column: ("e" * ROWS, on_ground(column)) for column in COLUMNS})
        yield open_explorer(str(folder / "out"), "clay-v0.1", [], Progress())


@pytest.fixture
def page(ground: Explorer, tmp_path: Path) -> Iterator[str]:
    with served(ground, Pictures(tmp_path, None, lambda _chip, _year: None)) as url:
        yield url


@pytest.fixture(scope="module")
def marked() -> dict[str, list[Chip]]:
    chips = [Chip(column=column, row=row, pixels=512) for column in COLUMNS[::2] for row in range(0, ROWS, 2)]
    return {name: [chip for chip in chips if (chip.row >= ROWS // 2) == south] for south, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def query(marked: dict[str, list[Chip]]) -> str:
    return "&".join(f"mark={name}{pack_chips(chips)}" for name, chips in marked.items()).replace(" ", "%20")


def test_every_chip_has_the_class_that_the_command_says(page: str, ground: Explorer, marked: dict[str, list[Chip]], query: str) -> None:
    status, headers, content = get(f"{page}/api/classify?year=2020&{query}")
    assert status == 200
    said = json.loads(headers["X-Layer"])
    expected = classification.classify(ground.searcher(2020).database, label_chips(marked, 512, "a test"))
    names = [each["name"] for each in said["classes"]]
    assert names == sorted(NAMES)
    codes = np.frombuffer(content, np.uint8).reshape(said["rows"], said["columns"])
    columns, rows = (expected.layer.chips - [said["column"], said["row"]]).T
    assert np.array_equal(codes[rows, columns], expected.layer.fields["class"] + 1)
    assert np.count_nonzero(codes) == len(COLUMNS) * ROWS == sum(each["chips"] for each in said["classes"])
    assert [each["labelled"] for each in said["classes"]] == [len(marked[name]) for name in names]
    assert said["accuracy"] == expected.accuracy
    assert said["validation"]["scores"]["accuracy"]["value"] == pytest.approx(1, abs=0.1)


def test_the_map_is_a_file_with_its_classes_names(page: str, query: str, tmp_path: Path) -> None:
    status, headers, content = get(f"{page}/api/classify/download?format=tif&year=2020&{query}")
    assert (status, headers["Content-Type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path)
    with rasterio.open(tmp_path / "classes-2020.tif") as tiff:
        assert set(np.unique(tiff.read(1))) == {0, 1}
    assert "wet land" in (tmp_path / "classes-2020.tif.aux.xml").read_text()
    status, headers, content = get(f"{page}/api/classify/download?format=parquet&year=2020&{query}")
    assert "classes-2020.parquet" in headers["Content-Disposition"]
    assert set(pq.read_table(io.BytesIO(content))["class"].to_pylist()) == set(NAMES)


def test_one_map_is_made_at_a_time_and_the_last_one_kept(page: str, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, made = Event(), Event(), []

    def classify(*given: object) -> classification.Classification:
        begun.set()
        assert go_on.wait(60)
        made.append(given)
        return classification.classify(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(class_maps, "classify", classify)
    answers: list[int] = []
    first = Thread(target=lambda: answers.append(get(f"{page}/api/classify?year=2020&{query}")[0]))
    first.start()
    assert begun.wait(60)
    status, headers, answer = get(f"{page}/api/classify/download?format=csv&year=2020&{query}")
    assert (status, "another map of classes" in answer["detail"]) == (503, True)
    assert headers["Retry-After"]
    go_on.set()
    first.join()
    assert answers == [200]
    assert get(f"{page}/api/classify/download?format=csv&year=2020&{query}")[0] == 200
    assert len(made) == 1
    get(f"{page}/api/load")
    assert get(f"{page}/api/classify?year=2020&{query}")[0] == 200
    assert len(made) == 2


def test_trouble_leaves_the_way_free(page: str, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(class_maps, "classify", lambda *_given: 1 / 0)
        assert get(f"{page}/api/classify?year=2020&{query}", headers={"Connection": "close"})[0] == 500
    assert get(f"{page}/api/classify?year=2020&{query}")[0] == 200


def test_what_scikit_learn_is_needed_for_is_said(page: str, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedder.errors.find_spec", lambda _name: None)
    status, _, answer = get(f"{page}/api/classify?year=2020&{query}")
    assert (status, "classify" in answer["detail"]) == (503, True)


def test_a_class_that_no_chip_is_given_has_no_probability(ground: Explorer, marked: dict[str, list[Chip]]) -> None:
    found = classification.classify(ground.searcher(2020).database, label_chips(marked, 512, "a test"))
    found.layer.fields["class"][:] = 0
    said = json.loads(class_bytes(ClassMap(found=found, metadata={}))[1])
    assert [each["probability"] is None for each in said["classes"]] == [False, True]
