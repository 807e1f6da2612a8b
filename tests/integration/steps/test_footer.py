"""What a run writes into its files' footers of itself: when it was inferred, and the name of the file."""

import json
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from embedder.output.column_file import EMB_KEY, FOOTER_KEY
from embedder.output.run import RunPlace
from tests.jobs import embed_columns, finalize_columns
from tests.run_output import copy, manifest_of

pytestmark = pytest.mark.usefixtures("scratch")


def footers(place: RunPlace, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    metadata = pq.read_schema(BytesIO(place.storage.get(key).data)).metadata
    return json.loads(metadata[FOOTER_KEY]), json.loads(metadata[EMB_KEY])


def test_a_forced_file_names_itself_and_its_own_inference(done: Path, tmp_path: Path) -> None:
    place = copy(done, tmp_path / "output")
    before = datetime.now(UTC) - timedelta(seconds=1)  # it is said to the second
    embed_columns(place, [6], force=True)
    finalize_columns(place, [6])
    file = manifest_of(place)["columns"]["6"]["file"]
    assert file.startswith("forced/")
    footer, item = footers(place, place.prefix + file)
    assert item["assets"]["embeddings"]["href"] == f"./{file.removeprefix('forced/')}"
    assert before <= datetime.fromisoformat(footer["inferred_at"]) <= datetime.now(UTC)
    assert item["properties"]["processing:datetime"] == footer["inferred_at"]


def test_what_was_written_first_keeps_its_name_and_its_time(done: Path, tmp_path: Path) -> None:
    place = copy(done, tmp_path / "output")
    first = footers(place, place.column_key(6))
    embed_columns(place, [6], force=True)
    assert footers(place, place.column_key(6)) == first
    assert first[1]["assets"]["embeddings"]["href"] == f"./{place.column_key(6).removeprefix(place.prefix)}"


def test_a_manifest_says_the_licences(done: Path, tmp_path: Path) -> None:
    manifest = manifest_of(copy(done, tmp_path / "output"))
    assert manifest["license"] == {"composites": "CC-BY-4.0"}, "random weights are nobody's"
    assert manifest["attribution"].keys() == manifest["license"].keys()
