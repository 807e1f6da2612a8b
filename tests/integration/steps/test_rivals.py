"""Several at once: that plan, embed or publish the same."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from embedder.console.progress import Progress
from embedder.errors import EmbedderError
from embedder.output.column_file import check
from embedder.output.run import RunPlace
from embedder.steps.embed import EmbedResult
from embedder.steps.inspect import inspect_columns
from embedder.steps.plan import plan
from embedder.storage import Storage, open_storage
from embedder.storage.folder import FolderStorage
from embedder.storage.s3 import S3Storage
from tests.jobs import embed_columns, finalize_columns, place_of, plan_options
from tests.run_output import manifest_of

pytestmark = pytest.mark.usefixtures("scratch")


def test_the_record_has_all_columns_when_two_plan_at_once(source: Path, output: str) -> None:
    planners = [
        threading.Thread(target=lambda columns=columns: plan(open_storage(output), plan_options(source, columns), Progress()))
        for columns in ([5, 6], [7], [100])
    ]
    for planner in planners:
        planner.start()
    for planner in planners:
        planner.join()
    assert place_of(output).load().columns == (5, 6, 7, 100)


@contextmanager
def recorded_puts(monkeypatch: pytest.MonkeyPatch, kind: type[Storage]) -> Iterator[list[tuple[str, bool]]]:
    """Each put's key, and whether it succeeded."""
    puts: list[tuple[str, bool]] = []
    put = kind.put

    def recording(self: Storage, key: str, data: bytes | Path, *, replaces: str | None = None) -> str:
        try:
            version = put(self, key, data, replaces=replaces)
        except EmbedderError:
            puts.append((key, False))
            raise
        puts.append((key, True))
        return version

    with monkeypatch.context() as patch:
        patch.setattr(kind, "put", recording)
        yield puts


@pytest.mark.parametrize(("kind", "force"), [("folder", False), ("folder", True), ("bucket", False)])
def test_one_object_is_published_when_two_embed_the_same_columns(
    source: Path,
    tmp_path: Path,
    bucket: str,
    kind: str,
    force: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = str(tmp_path / "output") if kind == "folder" else f"s3://{bucket}/out"
    plan(open_storage(output), plan_options(source, [6, 7]), Progress())
    if force:
        embed_columns(place_of(output), [6, 7])
    both_have_looked = threading.Barrier(2)

    def look_then_wait(*arguments: Any) -> list[Any]:  # noqa: ANN401
        found = list(inspect_columns(*arguments))
        both_have_looked.wait(20)
        return found

    monkeypatch.setattr("embedder.steps.embed.inspect_columns", look_then_wait)
    results: list[EmbedResult] = []
    with recorded_puts(monkeypatch, FolderStorage if kind == "folder" else S3Storage) as puts:
        rivals = [threading.Thread(target=lambda: results.append(embed_columns(place_of(output), [6, 7], force=force))) for _ in range(2)]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join()
    assert [len(result.written) for result in results] == [2, 2]
    place = place_of(output)
    for column in (6, 7):
        assert sorted(success for key, success in puts if key == place.column_key(column)) == ([] if force else [False, True])
        assert sum(place.column_of_forced(key) == column for key, _ in puts) == (2 if force else 0)
    finalize_columns(place, [6, 7])
    run, manifest = place.load(), manifest_of(place)
    for column in (6, 7):
        file = manifest["columns"][str(column)]["file"]
        assert file.startswith("forced/") == force
        assert check(place.storage.get(place.prefix + file).data, run, column).rows == 2


def test_a_forced_column_of_a_rival_that_is_not_valid_is_not_taken_for_done(
    source: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(open_storage(output), plan_options(source, [6]), Progress())
    place, put, rivals = place_of(output), FolderStorage.put, [b"garbage"]

    def put_after_a_rival(self: FolderStorage, key: str, data: bytes, *, replaces: str | None = None) -> str:
        if key == place.column_key(6) and rivals:
            put(self, key, rivals.pop())
        return put(self, key, data, replaces=replaces)

    monkeypatch.setattr(FolderStorage, "put", put_after_a_rival)
    with pytest.raises(EmbedderError, match="written by another process") as failure:
        embed_columns(place, [6])
    assert failure.value.exit_code == 75
    assert len(embed_columns(place, [6]).written) == 1


def test_the_manifest_has_all_columns_when_two_publish_at_once(embedded: RunPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    put, rivals = FolderStorage.put, [[7]]

    def put_after_a_rival(self: FolderStorage, key: str, data: bytes, *, replaces: str | None = None) -> str:
        if key == embedded.manifest_key and rivals:
            finalize_columns(embedded, rivals.pop())
            assert list(manifest_of(embedded)["columns"]) == ["5", "6", "7"]
        return put(self, key, data, replaces=replaces)

    monkeypatch.setattr(FolderStorage, "put", put_after_a_rival)
    assert list(finalize_columns(embedded, [8])["columns"]) == ["5", "6", "7", "8"]
    assert list(manifest_of(embedded)["columns"]) == ["5", "6", "7", "8"]
