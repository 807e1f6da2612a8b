"""The manifest as a file and back."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedder.errors import ConfigurationError
from embedder.output.manifest import Manifest, find_manifest
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES
from embedder.storage import open_storage
from tests.runs import MANIFEST


@pytest.mark.parametrize("manifest", [MANIFEST, replace(MANIFEST, warning=None, columns={}), replace(MANIFEST, area="512;7:1-9")])
def test_a_manifest_is_the_same_when_it_is_read_again(manifest: Manifest) -> None:
    assert Manifest.from_json(manifest.to_json(), "here") == manifest


def test_what_is_not_said_is_left_out() -> None:
    assert "warning" not in json.loads(replace(MANIFEST, warning=None).to_json())


def test_an_area_that_is_none_is_refused() -> None:
    assert (MANIFEST.whole, replace(MANIFEST, area="512;7-8:1-9").whole) == (1359, 2)
    for area in ("everywhere", 7):
        with pytest.raises(ConfigurationError, match="is not a manifest"):
            Manifest.from_json(record(area=area), "here")


def test_columns_are_in_the_grids_order_whatever_the_files() -> None:
    entry = {"file": "f", "rows": 0, "bytes": 1, "sha256": "0" * 64}
    data = record(columns={"10": entry, "9": entry})
    assert list(Manifest.from_json(data, "here").columns) == [9, 10]


def test_a_field_that_a_later_package_added_is_passed_over() -> None:
    entry = vars(MANIFEST.columns[7]) | {"etag": "x"}
    assert Manifest.from_json(record(licence="CC", columns={"7": entry}), "here") == MANIFEST


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"\xff", b'{"columns": []}'],
)
def test_a_file_is_refused_when_it_is_no_manifest(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"^here is not a manifest .*: restore it"):
        Manifest.from_json(data, "here")


@pytest.mark.parametrize("columns", [{"1359": {}}, {"x": {}}, {"7": {}}, {"7": None}, {"1359": vars(MANIFEST.columns[7])}])
def test_a_manifest_is_refused_when_a_column_is_none(columns: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^here is not a manifest .*: restore it"):
        Manifest.from_json(record(columns=columns), "here")


def test_a_manifest_is_refused_when_its_format_is_a_later_one() -> None:
    with pytest.raises(ConfigurationError, match=r"^here has format 99, this version reads 1"):
        Manifest.from_json(record(format=99), "here")


def test_nothing_is_found_when_nothing_is_published(tmp_path: Path) -> None:
    assert find_manifest(RunPlace(storage=open_storage(str(tmp_path)), recipe=RECIPES["clay-v0.1"], year=2020)) is None


def record(**changes: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    return json.dumps(json.loads(MANIFEST.to_json()) | changes).encode()
