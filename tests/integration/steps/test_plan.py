"""The steps in this process, with a narrow model: what they write, skip, refuse and survive."""

import hashlib
import json
import os
import pickle
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import torch
from numpy.typing import NDArray

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, EmbedderError, SourceError, TemporaryError
from embedder.grid import Chip, Tile, Window
from embedder.models import checkpoint
from embedder.models.encoder import Encoder, resolve_precision
from embedder.models.transformer import Transformer
from embedder.output.column_file import check
from embedder.output.run import RunPlace
from embedder.recipes import RECIPES, Precision, Recipe
from embedder.source.strip import read_strip
from embedder.steps.embed import EmbedResult, embed
from embedder.steps.finalize import finalize
from embedder.steps.inspect import inspect_columns
from embedder.steps.local import run_local
from embedder.steps.pipeline import Pipeline
from embedder.steps.plan import PlanOptions, plan
from embedder.steps.status import status
from embedder.storage import ANY, Storage, open_storage, retries, s3
from embedder.storage.folder import FolderStorage
from embedder.storage.s3 import S3Storage
from tests.disks import mounted
from tests.faults import Fault, FaultyProxy, Refusal
from tests.jobs import CHIPS, TILE, TINY, plan_options, run_job, write_source
from tests.s3_server import PUBLIC_BUCKET, READER, S3Server, aws_environment
from tests.tiles import REAL, REAL_TILE, write_tile

COLUMNS = [5, 6, 7, 8]
needs_real_tile = pytest.mark.skipif(not REAL.exists(), reason="the real tile is not on this machine")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The narrow recipe, short waits, and an empty temporary folder, which is empty again in the end."""
    monkeypatch.setitem(RECIPES, TINY.name, TINY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(retries, "JITTER_SECONDS", 0.01)
    monkeypatch.setattr(s3, "BACKOFF", lambda _: 0.01)
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


@pytest.fixture
def output(tmp_path: Path) -> str:
    return str(tmp_path / "output")


@pytest.fixture(scope="session")
def done(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a whole run, for reading only."""
    folder = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, TINY.name, TINY)
        run_job(source, folder, COLUMNS)
    return folder


def place_of(output: str | Path, recipe: Recipe = TINY) -> RunPlace:
    return RunPlace(storage=open_storage(str(output)), recipe=recipe, year=2020)


def copy(done: Path, output: str | Path) -> RunPlace:
    """An output like the one given, to be broken by puts: the files are linked, and a put makes a new one."""
    shutil.copytree(done, output, copy_function=os.link)
    return place_of(output)


def vectors(place: RunPlace, column: int) -> dict[str, NDArray[np.float32]]:
    table = pq.read_table(BytesIO(place.storage.get(place.column_key(column)).data))
    return dict(zip(table["chip_id"].to_pylist(), np.array(table["embeddings"].to_pylist(), np.float32), strict=True))


def versions(place: RunPlace) -> dict[str, str]:
    return {listed.key: listed.version for listed in place.storage.list()}


def embed_columns(place: RunPlace, columns: list[int], *, force: bool = False, together: int | None = None) -> EmbedResult:
    return embed(place, place.load(), columns, Progress(), force=force, device="cpu", columns_together=together)


def finalize_columns(place: RunPlace, columns: list[int]) -> dict[str, Any]:
    return finalize(place, place.load(), columns, Progress())


def manifest_of(place: RunPlace) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(place.storage.get(place.manifest_key).data)
    return manifest


def cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def pixels_by_rasterio(path: Path, tile: Tile, chip: Chip) -> NDArray[np.uint16]:
    x, y = chip.window.x - tile.window.x, chip.window.y - tile.window.y
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(window=((y, y + chip.pixels), (x, x + chip.pixels))))


def embeddings_by_rasterio(weights: Path, recipe: Recipe, path: Path, tile: Tile, chips: list[Chip]) -> list[NDArray[np.float32]]:
    encoder = Encoder(weights, recipe, year=2020, device="cpu", precision="fp32")
    batches = ((pixels_by_rasterio(path, tile, chip)[np.newaxis], np.array([rasterio_center(path, tile, chip)])) for chip in chips)
    return [embeddings[0] for embeddings in encoder.encode(batches)]


def rasterio_center(path: Path, tile: Tile, chip: Chip) -> tuple[float, float]:
    x, y = chip.window.x - tile.window.x, chip.window.y - tile.window.y
    with rasterio.open(path) as dataset:
        longitude, latitude = dataset.transform @ (x + chip.pixels / 2, y + chip.pixels / 2)
    return longitude, latitude


# What a run writes


def test_a_run_writes_files_record_weights_picture_and_manifest(done: Path) -> None:
    place = place_of(done)
    run = place.load()
    assert sorted(versions(place)) == sorted(
        [
            place.weights_key(run.weights_sha256),
            *(place.column_key(column) for column in COLUMNS),
            place.coverage_key,
            place.manifest_key,
            place.record_key,
        ]
    )
    assert {column: list(vectors(place, column)) for column in COLUMNS} == {5: [], 6: CHIPS[6], 7: CHIPS[7], 8: []}
    assert hashlib.sha256(place.storage.get(place.weights_key(run.weights_sha256)).data).hexdigest() == run.weights_sha256
    assert place.storage.get(place.coverage_key).data.startswith(b"\x89PNG")


def test_the_manifest_says_what_the_files_are(done: Path) -> None:
    place = place_of(done)
    manifest = manifest_of(place)
    assert manifest["complete"] is False
    assert manifest["config_digest"] == place.load().config_digest
    assert "random:0" in manifest["warning"]
    assert sum(manifest["chips"].values()) == len(COLUMNS) * 2344
    assert manifest["chips"]["embedded"] == 4
    for column in COLUMNS:
        entry = manifest["columns"][str(column)]
        data = (done / place.prefix / entry["file"]).read_bytes()
        assert (entry["sha256"], entry["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
        assert entry["rows"] == len(CHIPS.get(column, []))


def test_the_embeddings_are_those_of_pixels_that_rasterio_reads(done: Path, source: Path) -> None:
    place = place_of(done)
    weights = done / place.weights_key(place.load().weights_sha256)
    found = vectors(place, 6) | vectors(place, 7)
    chips = [Chip(row=0, column=int(name[1:5]), pixels=256) for name in found]
    expected = embeddings_by_rasterio(weights, TINY, source / TILE.key(2020), TILE, chips)
    assert len(found) == 4
    for mine, theirs in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
        assert cosine(mine, theirs) > 0.99999
    assert min(abs(a - b).max() for a, b in pairwise(expected)) > 1e-3  # chips can be told apart


def test_the_files_are_equal_when_the_run_is_done_again_elsewhere(done: Path, source: Path, output: str) -> None:
    run_job(source, output, COLUMNS)
    first, second = place_of(done), place_of(output)
    for column in COLUMNS:
        assert first.storage.get(first.column_key(column)).data == second.storage.get(second.column_key(column)).data
    assert manifest_of(first) == manifest_of(second)


@pytest.mark.parametrize("together", [1, 2, 4])
def test_the_embeddings_do_not_depend_on_how_many_columns_are_read_together(done: Path, source: Path, output: str, together: int) -> None:
    run_job(source, output, COLUMNS, together=together)
    for column in CHIPS:
        for name, vector in vectors(place_of(output), column).items():
            np.testing.assert_allclose(vector, vectors(place_of(done), column)[name], atol=1e-5)


def test_the_embeddings_are_the_same_when_the_output_is_a_bucket(done: Path, source: Path, bucket: str) -> None:
    result = run_job(source, f"s3://{bucket}/a/prefix", COLUMNS)
    assert result.refusal is None
    place = place_of(f"s3://{bucket}/a/prefix")
    for column in COLUMNS:
        assert place.storage.get(place.column_key(column)).data == (done / place.column_key(column)).read_bytes()
    assert manifest_of(place) == manifest_of(place_of(done))


def test_the_weights_are_downloaded_once_when_the_output_is_a_bucket(source: Path, faulty_bucket: str, proxy: FaultyProxy) -> None:
    run_job(source, f"s3://{faulty_bucket}/out", [6])
    fetched = proxy.count("GET", ".safetensors")
    assert fetched > 0
    place = place_of(f"s3://{faulty_bucket}/out")
    embed_columns(place, [6], force=True)
    assert proxy.count("GET", ".safetensors") == fetched
    assert [path.name for path in (Path(os.environ["XDG_CACHE_HOME"]) / "worldcover-embeddings").iterdir()] == [
        f"{place.load().weights_sha256}.safetensors"
    ]


@pytest.mark.parametrize("fault", [Refusal(503, "SlowDown"), Refusal(500, "InternalError"), Fault.LOST_REPLY], ids=str)
def test_a_run_ends_well_when_the_bucket_fails_now_and_then(
    done: Path, source: Path, faulty_bucket: str, proxy: FaultyProxy, fault: Fault | Refusal
) -> None:
    for path in ("_run.json", "_0006.parquet", "_0008.parquet", "_manifest.json", ".safetensors"):
        proxy.inject(fault, method="PUT", path=path)
        proxy.inject(fault, method="GET", path=path)
    result = run_job(source, f"s3://{faulty_bucket}/out", COLUMNS)
    assert result.refusal is None
    place = place_of(f"s3://{faulty_bucket}/out")
    assert manifest_of(place) == manifest_of(place_of(done))


def test_columns_are_written_while_others_are_read_when_they_have_no_chip(
    source: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod that is killed must lose little, and memory must not grow with the columns behind the last chip."""
    storage, started = open_storage(output), []
    run = plan(storage, plan_options(source, list(range(6, 66))), Progress())

    def counted(*arguments: Any) -> Iterator[Any]:  # noqa: ANN401
        started.append(arguments[3])
        return read_strip(*arguments)

    monkeypatch.setattr("embedder.steps.pipeline.read_strip", counted)
    columns = Pipeline(place=place_of(output), run=run, versions=dict.fromkeys(run.columns), device="cpu", progress=SilentProgress())
    embedded = columns.embed([[column] for column in run.columns])
    assert next(embedded).column == 6
    for _ in range(5):
        next(embedded)
    assert len(started) < 30
    assert len(list(embedded)) == 60 - 6


class SilentProgress(Progress):
    """Counts nothing."""

    def chips_done(self, read: int, *, embedded: int) -> None:
        pass


@needs_real_tile
def test_the_real_tile_gives_the_embeddings_of_pixels_that_rasterio_reads(tmp_path: Path) -> None:
    recipe, columns = RECIPES["clay-v0.1"], [1155, 1156, 1157, 1158]
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    precisions: list[Precision] = ["fp32"]
    if resolve_precision("auto", torch.device("cpu")) == "bf16":
        precisions.append("bf16")
    weights = "random:0"
    for precision in precisions:
        options = PlanOptions(recipe=recipe, year=2020, columns=columns, source=str(REAL), weights=weights, precision=precision)
        place = place_of(tmp_path / precision, recipe)
        weights = str(tmp_path / precision / place.weights_key(plan(place.storage, options, Progress()).weights_sha256))
        embed_columns(place, columns)
        assert manifest_of_finalized(place, columns)["chips"]["embedded"] == 12
        found[precision] = {name: vector for column in columns for name, vector in vectors(place, column).items()}
    assert list(found["fp32"]) == [f"c{column}r0{row}" for column in columns for row in (287, 288, 289)]
    names = ["c1155r0287", "c1156r0289", "c1158r0288"]
    chips = [Chip(row=int(name[6:]), column=int(name[1:5]), pixels=512) for name in names]
    expected = embeddings_by_rasterio(Path(weights), recipe, REAL / REAL_TILE.key(2020), REAL_TILE, chips)
    for name, vector in zip(names, expected, strict=True):
        assert cosine(found["fp32"][name], vector) > 0.99999
    for name, vector in found.get("bf16", {}).items():
        assert cosine(vector, found["fp32"][name]) >= 0.999


def manifest_of_finalized(place: RunPlace, columns: list[int]) -> dict[str, Any]:
    finalize_columns(place, columns)
    return manifest_of(place)


# What is done already


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_nothing_is_written_when_everything_is_there(source: Path, tmp_path: Path, bucket: str, kind: str) -> None:
    output = str(tmp_path / "output") if kind == "folder" else f"s3://{bucket}/out"
    run_job(source, output, COLUMNS)
    before = versions(place_of(output))
    again = run_job(source, output, COLUMNS)
    assert [column.column for column in again.embedded.skipped] == COLUMNS
    assert not again.embedded.written
    assert versions(place_of(output)) == before


def test_every_column_is_embedded_again_when_forced(source: Path, output: str, done: Path) -> None:
    copy(done, output)
    place = place_of(output)
    before = {column: place.storage.get(place.column_key(column)) for column in COLUMNS}
    again = run_job(source, output, COLUMNS, force=True)
    assert sorted(column.column for column in again.embedded.written) == COLUMNS
    for column, stored in before.items():
        now = place.storage.get(place.column_key(column))
        assert now.version != stored.version
        assert now.data == stored.data
    assert again.manifest


def corrupted(data: bytes) -> bytes:
    return data[:200] + bytes([data[200] ^ 1]) + data[201:]


WRONG_FILES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[: len(data) - 100],
    "corrupted": corrupted,
    "empty": lambda _: b"",
    "no parquet": lambda _: b"PAR1 is how it begins",
}


@pytest.mark.parametrize("damage", WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_file_is_written_again_when_it_is_damaged(source: Path, output: str, done: Path, damage: Callable[[bytes], bytes]) -> None:
    place = copy(done, output)
    good = place.storage.get(place.column_key(6)).data
    place.storage.put(place.column_key(6), damage(good), replaces=ANY)
    again = run_job(source, output, COLUMNS)
    assert [column.column for column in again.embedded.written] == [6]
    assert place.storage.get(place.column_key(6)).data == good


@pytest.mark.parametrize("other", ["another column's", "another run's"])
def test_a_file_is_written_again_when_it_is_not_its_own(source: Path, output: str, done: Path, tmp_path: Path, other: str) -> None:
    place = copy(done, output)
    good = place.storage.get(place.column_key(6)).data
    wrong = place.storage.get(place.column_key(7)).data
    if other == "another run's":
        elsewhere = place_of(tmp_path / "elsewhere")
        plan(elsewhere.storage, plan_options(source, [6], weights="random:1"), Progress())
        embed_columns(elsewhere, [6])
        wrong = elsewhere.storage.get(elsewhere.column_key(6)).data
    place.storage.put(place.column_key(6), wrong, replaces=ANY)
    assert [column.column for column in embed_columns(place, COLUMNS).written] == [6]
    assert place.storage.get(place.column_key(6)).data == good


def test_only_what_is_missing_is_embedded_when_a_file_is_gone(source: Path, output: str, done: Path) -> None:
    place = copy(done, output)
    (Path(output) / place.column_key(7)).unlink()
    again = run_job(source, output, COLUMNS)
    assert [column.column for column in again.embedded.written] == [7]
    assert again.manifest


# Refusing to publish


def with_column_nobody_planned(place: RunPlace) -> None:
    place.storage.put(place.column_key(100), place.storage.get(place.column_key(5)).data)


def with_other_run(place: RunPlace) -> None:
    run = replace(place.load(), weights_sha256="0" * 64)
    rewrite(place, 6, lambda data: with_footer(data, config_digest=run.config_digest))


def rewrite(place: RunPlace, column: int, change: Callable[[bytes], bytes]) -> None:
    key = place.column_key(column)
    place.storage.put(key, change(place.storage.get(key).data), replaces=ANY)


def with_footer(data: bytes, **changes: str) -> bytes:
    table = pq.read_table(BytesIO(data))
    footer = json.loads(table.schema.metadata[b"worldcover_embeddings"]) | changes
    return parquet(table.replace_schema_metadata(table.schema.metadata | {b"worldcover_embeddings": json.dumps(footer).encode()}))


def parquet(table: Any) -> bytes:  # noqa: ANN401 - a pyarrow table
    out = BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def with_nan(data: bytes) -> bytes:
    table = pq.read_table(BytesIO(data))
    rows = table.to_pylist()
    rows[1]["embeddings"][5] = float("nan")
    return parquet(type(table).from_pylist(rows, schema=table.schema))


PROBLEMS: dict[str, tuple[Callable[[RunPlace], None], str]] = {
    "missing": (lambda place: (Path(place.storage.url) / place.column_key(7)).unlink(), r"1 missing: 7: embed them, then"),
    "foreign": (lambda place: void(place.storage.put(f"{place.prefix}notes.txt", b"x")), r"1 unexpected: notes\.txt: remove what"),
    "nested": (lambda place: void(place.storage.put(f"{place.prefix}old/a.parquet", b"x")), r"1 unexpected: old/a\.parquet: remove"),
    "not planned": (with_column_nobody_planned, r"1 unexpected: worldcover_embeddings_2020_0100\.parquet: remove"),
    "other run": (with_other_run, r"1 invalid: 6 \(of another run: its config_digest"),
    "count": (lambda place: rewrite(place, 6, lambda data: parquet(pq.read_table(BytesIO(data))[:1])), r"6 \(wrong count: 1 rows for 2"),
    "nan": (lambda place: rewrite(place, 6, with_nan), r"6 \(NaN or infinite vector at chip c0013r0000\)"),
    "unreadable": (lambda place: rewrite(place, 6, lambda data: data[:-9]), r"6 \(unreadable: "),
}


def void(_: object) -> None:
    """Drop a value."""


@pytest.fixture(scope="session")
def planned_and_embedded(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Columns 5 to 8 planned and embedded, the first two published."""
    folder = tmp_path_factory.mktemp("embedded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, TINY.name, TINY)
        run_job(source, folder, COLUMNS[:2])
        place = place_of(folder)
        plan(place.storage, plan_options(source, COLUMNS), Progress())
        embed_columns(place, COLUMNS)
    return folder


@pytest.fixture
def embedded(planned_and_embedded: Path, tmp_path: Path) -> RunPlace:
    """A copy to be broken."""
    return copy(planned_and_embedded, tmp_path / "embedded")


@pytest.mark.parametrize(("breaking", "named"), PROBLEMS.values(), ids=PROBLEMS)
def test_nothing_new_is_published_when_something_is_wrong(embedded: RunPlace, breaking: Callable[[RunPlace], None], named: str) -> None:
    before = embedded.storage.get(embedded.manifest_key), embedded.storage.get(embedded.coverage_key)
    breaking(embedded)
    with pytest.raises(ConfigurationError, match=named) as failure:
        finalize_columns(embedded, COLUMNS)
    assert embedded.storage.where(embedded.prefix) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert (embedded.storage.get(embedded.manifest_key), embedded.storage.get(embedded.coverage_key)) == before


def test_every_problem_is_named_when_there_are_several(embedded: RunPlace) -> None:
    for name in ("missing", "foreign", "nan"):
        PROBLEMS[name][0](embedded)
    with pytest.raises(ConfigurationError) as failure:
        finalize_columns(embedded, COLUMNS)
    assert str(failure.value).endswith(
        "1 invalid: 6 (NaN or infinite vector at chip c0013r0000); 1 missing: 7; 1 unexpected: notes.txt: "
        "embed them and remove what is unexpected, then finalize"
    )


def test_a_published_column_must_still_be_there_when_others_are_published(embedded: RunPlace) -> None:
    (Path(embedded.storage.url) / embedded.column_key(5)).unlink()
    with pytest.raises(ConfigurationError, match="1 missing: 5"):
        finalize_columns(embedded, [7, 8])


@pytest.mark.parametrize(("data", "reason"), [(b"{", "is not a manifest"), (b'{"config_digest": 1, "columns": {}}', "is another run's")])
def test_a_manifest_is_not_overwritten_when_it_is_not_this_runs(embedded: RunPlace, data: bytes, reason: str) -> None:
    embedded.storage.put(embedded.manifest_key, data, replaces=ANY)
    with pytest.raises(ConfigurationError, match=reason):
        finalize_columns(embedded, COLUMNS)
    assert embedded.storage.get(embedded.manifest_key).data == data


def test_the_manifest_has_all_columns_when_it_is_extended(embedded: RunPlace) -> None:
    assert list(manifest_of(embedded)["columns"]) == ["5", "6"]
    assert list(finalize_columns(embedded, [7, 8])["columns"]) == ["5", "6", "7", "8"]
    assert list(finalize_columns(embedded, [6])["columns"]) == ["5", "6", "7", "8"]
    assert list(manifest_of(embedded)["columns"]) == ["5", "6", "7", "8"]
    assert manifest_of(embedded)["chips"]["embedded"] == 4


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


# Several at once


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
        assert sorted(success for key, success in puts if key == place.column_key(column)) == [False, True]
    run = place.load()
    for column in (6, 7):
        assert check(place.storage.get(place.column_key(column)).data, run, column).rows == 2


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


# Wrong tiles


@pytest.fixture(scope="module")
def two_tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good tile, and east of it one with a damaged block; column 23 lies in both."""
    folder = tmp_path_factory.mktemp("two")
    write_tile(folder, Tile.from_name("N49W125"), Window(x=11_200, y=0, width=800, height=300))
    path = write_tile(folder, Tile.from_name("N49W124"), Window(x=0, y=0, width=900, height=300))
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
        size = int(dataset.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1))
    with path.open("r+b") as file:
        file.seek(offset + size // 2)
        file.write(b"\0" * 64)
    return folder


@pytest.mark.parametrize("together", [1, 4])
def test_the_other_columns_are_embedded_when_a_tile_is_damaged(two_tiles: Path, output: str, together: int) -> None:
    result = run_job(two_tiles, output, [21, 22, 23, 24], together=together)
    place = place_of(output)
    assert sorted(column.column for column in result.embedded.written) == [21, 22]
    assert len(vectors(place, 22)) == 2
    assert sorted(result.embedded.failed) == [23, 24]
    for error in result.embedded.failed.values():
        assert isinstance(error, SourceError)
        assert "N49W124" in str(error)
        assert "is damaged" in str(error)
        assert error.exit_code == 78
    assert result.manifest is None
    assert "2 missing: 23-24" in str(result.refusal)
    assert not list(place.storage.list(place.manifest_key))
    found = status(place, result.run, [21, 22, 23, 24], Progress())
    assert (found.done, found.missing, found.published) == ([21, 22], [23, 24], [])


def test_a_restored_tile_is_another_configuration(source: Path, tmp_path: Path, output: str) -> None:
    run_job(source, output, [6])
    copy = write_source(tmp_path / "source")
    with pytest.raises(ConfigurationError, match=r"source .* changed"):
        run_job(copy, output, [6])
    run_job(copy, tmp_path / "second", [6])
    (copy / TILE.key(2020)).touch()
    with pytest.raises(ConfigurationError, match=rf"inventory \(tile {TILE.name} changed\): use another --output"):
        run_job(copy, tmp_path / "second", [6])
    failed = embed_columns(place_of(tmp_path / "second"), [6], force=True).failed
    assert "the source changed during the run" in str(failed[6])


def test_a_column_fails_when_its_tile_has_another_size(tmp_path: Path, output: str) -> None:
    write_tile(tmp_path / "source", TILE, Window(x=3_000, y=0, width=1_200, height=300), width=11_000)
    failed = run_job(tmp_path / "source", output, [6]).embedded.failed
    assert "size is 11000 x 12000, expected 12000 x 12000" in str(failed[6])
    assert TILE.name in str(failed[6])


# Wrong numbers


@pytest.mark.parametrize(("bad_chip", "together", "value"), [(0, 4, float("nan")), (3, 4, float("inf")), (3, 1, float("nan"))])
def test_the_chip_is_named_when_the_model_gives_nan(
    source: Path, output: str, monkeypatch: pytest.MonkeyPatch, bad_chip: int, together: int, value: float
) -> None:
    seen = 0
    forward = Transformer.forward

    def spoil(self: Transformer, tokens: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        out = forward(self, tokens).clone()
        for index in range(len(out)):
            if seen == bad_chip:
                out[index] = value
            seen += 1
        return out

    monkeypatch.setattr(Transformer, "forward", spoil)
    names = [*CHIPS[6], *CHIPS[7]]
    with pytest.raises(ConfigurationError, match=f"NaN or infinity for chip {names[bad_chip]} in fp32: check the weights"):
        run_job(source, output, COLUMNS, together=together)
    place = place_of(output)
    written = {column for column in COLUMNS if list(place.storage.list(place.column_key(column)))}
    assert written == ({5, 6} if together == 1 else set())
    monkeypatch.setattr(Transformer, "forward", forward)
    assert run_job(source, output, COLUMNS).manifest


# Wrong weights


class Hostile:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch hacked",)


def write_hostile(path: Path) -> None:
    torch.save({"state_dict": {"model.encoder.x": Hostile()}}, path, pickle_protocol=2)


BAD_WEIGHTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("<html>not found</html>"), "neither a PyTorch checkpoint nor"),
    "truncated": (lambda path: path.write_bytes(tiny_checkpoint(path)[:-5_000]), "is damaged|damaged safetensors"),
    "hostile": (write_hostile, "holds code, which is not run"),
    "bare pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "bare pickle"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "other model": (lambda path: torch.save({"state_dict": v01_keys()}, path), "seems to hold the weights of clay-v0.1"),
    "nothing": (lambda _: None, "no such file"),
}


def tiny_checkpoint(path: Path) -> bytes:
    checkpoint.write_random(0, path, TINY.model)
    return path.read_bytes()


def v01_keys() -> dict[str, torch.Tensor]:
    shapes = checkpoint.shapes_of("clay-v0.1")
    return {f"model.encoder.{name}": torch.zeros(1).expand(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(("write", "reason"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_nothing_is_planned_when_the_weights_cannot_be_used(
    source: Path, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], object], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "clay.ckpt"
    write(path)
    with pytest.raises(ConfigurationError, match=reason) as failure:
        plan(open_storage(output), plan_options(source, [6], weights=str(path)), Progress())
    assert failure.value.exit_code == 78
    assert str(path) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert not Path(output).exists()
    assert not (tmp_path / "hacked").exists()


def test_nothing_is_planned_when_the_weights_have_another_sha256(source: Path, output: str, tmp_path: Path) -> None:
    found = hashlib.sha256(tiny_checkpoint(tmp_path / "slim")).hexdigest()
    options = plan_options(source, [6], weights=str(tmp_path / "slim"))
    with pytest.raises(ConfigurationError, match=f"has SHA-256 {found}, not {'0' * 64}"):
        plan(open_storage(output), replace(options, weights_sha256="0" * 64), Progress())
    assert not Path(output).exists()
    run = plan(open_storage(output), replace(options, weights_sha256=found.upper()), Progress())
    assert (run.checkpoint_sha256, run.weights_sha256) == (found, found)


def test_the_weights_are_put_again_when_they_are_gone_or_damaged(source: Path, output: str) -> None:
    run = run_job(source, output, [6]).run
    place = place_of(output)
    path = Path(output) / place.weights_key(run.weights_sha256)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ConfigurationError, match=r"is damaged: remove it and run `embedder plan` again"):
        embed_columns(place, [6], force=True)
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"is gone: run `embedder plan` again"):
        embed_columns(place, [6], force=True)
    run_job(source, output, [6], force=True)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == run.weights_sha256


# An output that holds another run


@pytest.mark.parametrize(
    ("change", "named"),
    [({"weights": "random:1"}, "weights_sha256"), ({"precision": "bf16"}, r"precision fp32 \(now bf16\)")],
    ids=["weights", "precision"],
)
def test_planning_refuses_when_the_output_holds_another_run(
    source: Path, planned_and_embedded: Path, change: dict[str, Any], named: str
) -> None:
    before = versions(place_of(planned_and_embedded))
    with pytest.raises(ConfigurationError, match=f"holds another run, which differs in {named}.*: use another --output") as failure:
        plan(open_storage(str(planned_and_embedded)), plan_options(source, [6], **change), Progress())
    assert failure.value.exit_code == 78
    assert versions(place_of(planned_and_embedded)) == before


def test_a_precision_that_the_cpu_lacks_is_not_recorded(source: Path, output: str) -> None:
    with pytest.raises(ConfigurationError, match="fp16 needs a GPU"):
        run_local(output, plan_options(source, [6], precision="fp16"), Progress(), device="cpu")
    assert not Path(output).exists()


def test_the_warning_stays_when_random_weights_come_from_a_file(
    source: Path, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.write_random(7, tmp_path / "mine.safetensors", TINY.model)
    run = plan(open_storage(output), plan_options(source, [6], weights=str(tmp_path / "mine.safetensors")), Progress())
    assert (run.weights, run.seed) == (str(tmp_path / "mine.safetensors"), 7)
    assert "NOTE: the weights are random:7: these embeddings mean nothing" in capsys.readouterr().err


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


def test_a_run_needs_a_plan(output: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no run at .*_run\.json: run `embedder plan`"):
        place_of(output).load()


# Places that cannot be used


@pytest.mark.parametrize("name", ["no-such-bucket", "Not_A_Bucket"])
def test_planning_ends_with_78_when_the_output_bucket_is_not_there(source: Path, bucket: str, name: str) -> None:
    assert bucket
    with pytest.raises(ConfigurationError, match="no such bucket") as failure:
        plan(open_storage(f"s3://{name}/out"), plan_options(source, [6]), Progress())
    assert failure.value.exit_code == 78
    assert f"s3://{name}/out" in str(failure.value)


@pytest.mark.parametrize(("keys", "reason"), [(READER, "access denied"), (("nobody", "secret-of-nobody"), "credentials are not valid")])
def test_planning_ends_with_78_when_the_output_bucket_is_forbidden(
    s3: S3Server, source: Path, bucket: str, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, str], reason: str
) -> None:
    for variable, value in aws_environment(s3.endpoint, keys).items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=reason) as failure:
        plan(open_storage(f"s3://{bucket}/out"), plan_options(source, [6]), Progress())
    assert failure.value.exit_code == 78
    assert keys[1] not in str(failure.value)


@pytest.mark.parametrize("which", ["missing", "forbidden", "empty"])
def test_planning_ends_with_78_when_the_source_bucket_cannot_be_used(bucket: str, output: str, which: str) -> None:
    names = {"missing": "esa-worldcover-s4", "forbidden": bucket, "empty": f"{PUBLIC_BUCKET}/nothing-here"}
    options = plan_options(f"s3://{names[which]}", [6])
    with pytest.raises(ConfigurationError, match="holds no tile of 2020" if which == "empty" else "may list it") as failure:
        plan(open_storage(output), options, Progress())
    assert failure.value.exit_code == 78
    assert names[which] in str(failure.value)
    assert not Path(output).exists()


@pytest.mark.parametrize("what", ["source", "output"])
def test_planning_ends_with_75_when_the_endpoint_does_not_answer(
    source: Path, output: str, bucket: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    storage = open_storage(f"s3://{bucket}/out" if what == "output" else output)
    with pytest.raises(TemporaryError, match=r"127\.0\.0\.1:9") as failure:
        plan(storage, plan_options(source if what == "output" else f"s3://{bucket}", [6]), Progress())
    assert failure.value.exit_code == 75


def fill(path: Path) -> None:
    """Take all the space that is left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_planning_ends_with_78_when_the_output_is_read_only(source: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ro"), pytest.raises(ConfigurationError, match="disk is no folder that this user may"):
        plan(open_storage(str(tmp_path / "disk" / "output")), plan_options(source, [6]), Progress())


def test_embedding_goes_on_when_a_full_disk_has_room_again(source: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=64m"):
        place = place_of(disk / "output")
        plan(place.storage, plan_options(source, COLUMNS), Progress())
        fill(disk / "filler")
        with pytest.raises(ConfigurationError, match=r"no space left for .*parquet: free some, and run again"):
            embed_columns(place, COLUMNS)
        (disk / "filler").unlink()
        embed_columns(place, COLUMNS)
        assert finalize_columns(place, COLUMNS)["chips"]["embedded"] == 4


def test_planning_ends_with_78_when_there_is_no_room_for_the_weights(
    source: Path, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=1m"):
        with pytest.raises(ConfigurationError, match=r"no space left for .*_weights/.*safetensors"):
            plan(open_storage(str(disk / "output")), plan_options(source, [6]), Progress())
        assert not [path for path in disk.rglob("*") if path.is_file()]
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with pytest.raises(ConfigurationError, match=rf"no space left for temporary files in {disk} \(TMPDIR\)"):
            plan(open_storage(output), plan_options(source, [6]), Progress())
        assert not [path for path in disk.rglob("*") if path.is_file()]


@pytest.mark.parametrize("below", ["", "/below"])
def test_planning_ends_with_78_when_the_output_is_a_file(source: Path, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigurationError, match="file is no folder that this user may write to"):
        plan(open_storage(f"{tmp_path}/file{below}"), plan_options(source, [6]), Progress())
    assert (tmp_path / "file").read_text() == "mine"


# Status


def test_what_another_run_of_the_same_year_writes_meanwhile_is_not_unexpected(embedded: RunPlace, source: Path) -> None:
    run = embedded.load()
    plan(embedded.storage, plan_options(source, [9]), Progress())
    embed_columns(embedded, [9])
    assert list(finalize(embedded, run, COLUMNS, Progress())["columns"]) == [str(column) for column in COLUMNS]


def test_status_counts_what_is_done_missing_invalid_unexpected_and_published(embedded: RunPlace) -> None:
    rewrite(embedded, 6, lambda data: data[:-9])
    (Path(embedded.storage.url) / embedded.column_key(7)).unlink()
    with_column_nobody_planned(embedded)
    found = status(embedded, embedded.load(), [*COLUMNS, 9], Progress())
    assert found.done == [5, 8]
    assert found.missing == [7, 9]
    assert list(found.invalid) == [6]
    assert found.unexpected == ["worldcover_embeddings_2020_0100.parquet"]
    assert found.published == [5, 6]
    assert found.chips["embedded"] == 0
    assert sum(found.chips.values()) == 2 * 2344
