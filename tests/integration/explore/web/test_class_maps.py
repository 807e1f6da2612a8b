"""A map of classes from marks in an address."""

import html
import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from threading import Event, Thread
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import rasterio.shutil

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError
from embedder.explore import classification
from embedder.explore.explorer import Explorer, open_explorer
from embedder.explore.labels import label_chips
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.places import pack_chips, parse_box
from embedder.explore.vectors.database import Database
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
    return asked(marked)


def asked(marked: dict[str, list[Chip]]) -> str:
    return "&".join(f"mark={quote(name)}{pack_chips(chips)}" for name, chips in marked.items())


class Held:
    """Stands in for `classify`: says when it has begun, and waits until it may go on."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.made = Event(), Event(), 0

    def __call__(self, *given: Any, **options: Any) -> classification.Classification:  # noqa: ANN401
        self.begun.set()
        assert self.go_on.wait(60)
        self.made += 1
        return classification.classify(*given, **options)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held()
    monkeypatch.setattr(class_maps, "classify", held)
    return held


@contextmanager
def under_way(url: str, held: Held) -> Iterator[None]:
    """While a classification is; then it has ended well."""
    answers: list[int] = []
    first = Thread(target=lambda: answers.append(get(url)[0]))
    first.start()
    try:
        assert held.begun.wait(60)
        yield
    finally:
        held.go_on.set()
        first.join()
    assert answers == [200]


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
        assert sorted(archive.namelist()) == ["classes-2020.tif", "classes-2020.tif.aux.xml"]
        archive.extractall(tmp_path)
    assert headers["Content-Disposition"] == 'attachment; filename="classes-2020.zip"'
    with rasterio.open(tmp_path / "classes-2020.tif") as tiff:
        assert set(np.unique(tiff.read(1))) == {0, 1}
        assert len(tiff.colormap(1)) == len(NAMES)
        rasterio.shutil.copy(tiff, tmp_path / "a.vrt", driver="VRT")  # what GDAL knows of the names
    said = re.findall("<Category>(.*?)</Category>", (tmp_path / "a.vrt").read_text())
    assert [html.unescape(each) for each in said] == sorted(NAMES)
    status, headers, content = get(f"{page}/api/classify/download?format=parquet&year=2020&{query}")
    assert "classes-2020.parquet" in headers["Content-Disposition"]
    assert set(pq.read_table(io.BytesIO(content))["class"].to_pylist()) == set(NAMES)


def test_only_the_chips_of_a_box_are_said_but_all_marks_learnt_from(
    page: str, ground: Explorer, marked: dict[str, list[Chip]], query: str
) -> None:
    west, east = (Chip(column=column, row=4, pixels=512).bounds for column in (22, 25))
    box = f"{west.center[0]},{west.center[1] - 0.05},{east.center[0]},{west.center[1]}"
    _, headers, content = get(f"{page}/api/classify?year=2020&{query}&bbox={box}")
    said = json.loads(headers["X-Layer"])
    expected = classification.classify(ground.searcher(2020).database, label_chips(marked, 512, "a test"), bounds=parse_box(box))
    assert (said["column"], said["columns"], said["row"]) == (22, 4, 4)
    assert np.frombuffer(content, np.uint8).tolist() == (expected.layer.fields["class"] + 1).reshape(4, -1).T.ravel().tolist()
    assert [each["labelled"] for each in said["classes"]] == [18, 18]
    parquet = get(f"{page}/api/classify/download?format=parquet&year=2020&{query}&bbox={box}")[2]
    assert pq.read_table(io.BytesIO(parquet)).num_rows == len(expected.layer.chips)
    assert len(get(f"{page}/api/classify?year=2020&{query}")[2]) == len(COLUMNS) * ROWS  # another box is another map


@pytest.mark.parametrize(
    "name", ["l\u2019\u00e9tang\u00a0: bord", "\u0645\u06cc\u200c\u0631\u0648\u062f", "\U0001f469\u200d\U0001f33e", "a~b&<c>"]
)
def test_a_class_may_have_any_name_that_people_write(page: str, marked: dict[str, list[Chip]], name: str) -> None:
    status, headers, answer = get(f"{page}/api/classify?year=2020&{asked(dict(zip([name, 'other'], marked.values(), strict=True)))}")
    assert status == 200, answer
    assert headers["X-Layer"].isascii()
    assert name in [each["name"] for each in json.loads(headers["X-Layer"])["classes"]]


def test_one_map_is_made_at_a_time_and_the_last_one_kept(page: str, query: str, held: Held) -> None:
    url = f"{page}/api/classify?year=2020&{query}"
    file = f"{page}/api/classify/download?format=csv&year=2020&{query}"
    with under_way(url, held):
        for address in (url, file):
            status, headers, answer = get(address)
            assert (status, answer["detail"]) == (503, "another classification is under way: try again in a moment")
            assert headers["Retry-After"]
    assert get(file)[0] == 200
    assert held.made == 1
    get(f"{page}/api/load")
    assert get(url)[0] == 200
    assert held.made == 2


def test_a_map_of_what_was_there_before_a_load_is_not_kept(page: str, query: str, held: Held) -> None:
    url = f"{page}/api/classify?year=2020&{query}"
    with under_way(url, held):
        get(f"{page}/api/load")
    assert get(url)[0] == 200
    assert held.made == 2


def test_who_goes_away_leaves_the_way_free(page: str, query: str, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Event()

    def note(**fields: Any) -> ClassMap:  # noqa: ANN401
        made.set()
        return ClassMap(**fields)

    monkeypatch.setattr(class_maps, "ClassMap", note)
    address = urlsplit(page)
    with create_connection((address.hostname, address.port)) as connection:
        connection.sendall(f"GET /api/classify?year=2020&{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert held.begun.wait(60)
    held.go_on.set()
    assert made.wait(60)
    other = f"{page}/api/classify?year=2020&{query}&bbox=-125,25,-67,50"
    patience = time.monotonic() + 60
    while (status := get(other)[0]) == 503 and time.monotonic() < patience:  # between what is made and the way that is free
        time.sleep(0.01)
    assert status == 200


def test_a_damaged_cache_is_not_said_to_be_the_marks_fault(page: str, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_given: object) -> None:
        raise ConfigurationError("the cache is damaged")

    monkeypatch.setattr(Database, "vectors", damaged)
    status, _, answer = get(f"{page}/api/classify?year=2020&{query}")
    assert (status, answer["detail"]) == (503, "the cache is damaged")


def test_a_map_and_its_files_are_described(page: str) -> None:
    paths = get(f"{page}/openapi.json")[2]["paths"]
    for path, kinds in (
        ("classify", ["application/octet-stream"]),
        ("classify/download", ["application/vnd.apache.parquet", "text/csv; charset=utf-8", "application/zip"]),
    ):
        found = paths[f"/api/{path}"]["get"]
        assert list(found["responses"]["200"]["content"]) == kinds
        assert "under way" in found["responses"]["503"]["description"]
        assert {"year", "mark", "bbox"} <= {each["name"] for each in found["parameters"]}


def test_trouble_leaves_the_way_free(page: str, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(class_maps, "classify", lambda *_given, **_options: 1 / 0)
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
