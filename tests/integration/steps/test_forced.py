"""Columns embedded again: what is published stays whole until finalize names the new files."""

import hashlib
from pathlib import Path

import pytest

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError
from embedder.output.run import RunPlace
from embedder.steps.status import Status, status
from embedder.storage import ANY
from tests.jobs import COLUMNS, embed_columns, finalize_columns, place_of, run_job
from tests.run_output import copy, manifest_of, rewrite, versions, with_column_nobody_planned

pytestmark = pytest.mark.usefixtures("scratch")


@pytest.fixture
def published(done: Path, tmp_path: Path) -> RunPlace:
    return copy(done, tmp_path / "published")


@pytest.fixture
def _other_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is embedded now differs from what was embedded before."""
    monkeypatch.setattr("embedder.output.column_file.__version__", "later")


def unlike_the_manifest(place: RunPlace) -> list[int]:
    """The columns whose published file is not the one that the manifest names."""
    entries = manifest_of(place)["columns"].items()
    return [
        int(column)
        for column, entry in entries
        if hashlib.sha256(place.storage.get(place.prefix + entry["file"]).data).hexdigest() != entry["sha256"]
    ]


def status_of(place: RunPlace) -> Status:
    return status(place, place.load(), COLUMNS, Progress())


@pytest.mark.usefixtures("_other_bytes")
def test_the_old_set_is_whole_until_finalize_publishes_the_new_one(published: RunPlace) -> None:
    before, old = versions(published), manifest_of(published)
    embed_columns(published, [6, 7], force=True)
    assert manifest_of(published) == old
    assert not unlike_the_manifest(published)
    assert before.items() <= versions(published).items()
    found = status_of(published)
    assert (found.done, found.newer, found.altered, found.unexpected) == (COLUMNS, [6, 7], {}, [])
    new = finalize_columns(published, COLUMNS)
    assert [column for column in new["columns"] if new["columns"][column] != old["columns"][column]] == ["6", "7"]
    assert not unlike_the_manifest(published)
    assert versions(published).items() >= {key: before[key] for key in before if key.endswith(".parquet")}.items()
    assert not status_of(published).newer


def test_one_file_a_column_is_found_beside_the_manifest_however_often_it_was_forced(published: RunPlace) -> None:
    for _ in range(2):
        embed_columns(published, [6], force=True)
        finalize_columns(published, COLUMNS)
    assert len(list((Path(published.storage.url) / published.prefix).glob("*.parquet"))) == len(COLUMNS)
    assert sum(key.startswith(published.forced_prefix) for key in versions(published)) == 2


def test_the_valid_file_that_was_written_last_is_published(published: RunPlace) -> None:
    embed_columns(published, [6], force=True)
    [first] = [key for key in versions(published) if key.startswith(published.forced_prefix)]
    embed_columns(published, [6], force=True)
    [second] = [key for key in versions(published) if key.startswith(published.forced_prefix) and key != first]
    assert first < second
    assert finalize_columns(published, COLUMNS)["columns"]["6"]["file"] == second.removeprefix(published.prefix)
    published.storage.put(second, b"damaged", replaces=ANY)
    assert finalize_columns(published, COLUMNS)["columns"]["6"]["file"] == first.removeprefix(published.prefix)
    assert embed_columns(published, [6]).skipped


def test_an_invalid_file_is_written_anew_in_its_place_when_forced(published: RunPlace) -> None:
    rewrite(published, 6, lambda data: data[:-9])
    embed_columns(published, [6], force=True)
    assert finalize_columns(published, COLUMNS)["columns"]["6"]["file"] == published.column_key(6).removeprefix(published.prefix)
    assert not any(published.storage.list(published.forced_prefix))


def test_a_year_that_was_never_published_is_published_with_what_was_forced_last(source: Path, output: str) -> None:
    run_job(source, output, COLUMNS)
    place = place_of(output)
    (Path(output) / place.manifest_key).unlink()
    embed_columns(place, [7], force=True)
    assert finalize_columns(place, COLUMNS)["columns"]["7"]["file"].startswith("forced/")


@pytest.mark.parametrize(
    "name", ["worldcover_embeddings_2020_0006.parquet", "worldcover_embeddings_2020_0100_20260101T000000000000Z_01234567.parquet"]
)
def test_a_file_that_no_force_writes_is_unexpected(published: RunPlace, name: str) -> None:
    published.storage.put(published.forced_prefix + name, b"?")
    with pytest.raises(ConfigurationError, match=f"1 unexpected: forced/{name}"):
        finalize_columns(published, COLUMNS)


def test_status_names_published_files_that_are_gone_or_others(published: RunPlace) -> None:
    rewrite(published, 6, lambda data: data[:-9])
    (Path(published.storage.url) / published.column_key(7)).unlink()
    found = status_of(published)
    assert found.altered == {
        6: "worldcover_embeddings_2020_0006.parquet holds other bytes than when it was published",
        7: "worldcover_embeddings_2020_0007.parquet is gone",
    }
    assert found.newer == []


def test_status_names_a_published_file_that_is_gone_when_a_later_one_has_its_bytes(published: RunPlace) -> None:
    embed_columns(published, [6], force=True)
    (Path(published.storage.url) / published.column_key(6)).unlink()
    found = status_of(published)
    assert (found.newer, list(found.altered)) == ([6], [6])


def test_status_counts_the_files_when_the_manifest_is_broken(published: RunPlace) -> None:
    published.storage.put(published.manifest_key, b"{", replaces=ANY)
    with_column_nobody_planned(published)
    found = status_of(published)
    assert (found.done, found.published, len(found.unexpected)) == (COLUMNS, [], 1)
    assert found.unreadable_manifest
    assert "is not a manifest" in found.unreadable_manifest


@pytest.mark.parametrize("picture", [b"", b"\x89PNG of an earlier state", None])
def test_the_picture_is_made_anew_when_it_is_damaged_stale_or_gone(done: Path, published: RunPlace, picture: bytes | None) -> None:
    path = Path(published.storage.url) / published.coverage_key
    path.unlink()
    if picture is not None:
        path.write_bytes(picture)
    finalize_columns(published, COLUMNS)
    assert path.read_bytes() == (done / published.coverage_key).read_bytes()
