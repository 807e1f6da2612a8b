"""Steps in any order, killed at any put, over files that go or are damaged: what holds after each of them."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from numpy.typing import NDArray

from embedder.console.progress import Progress
from embedder.errors import ConfigurationError, ConflictError, NotFoundError
from embedder.grid import Window
from embedder.output.column_file import CheckedColumn
from embedder.output.manifest import Manifest, find_manifest
from embedder.output.run import Run, RunPlace
from embedder.recipes import BANDS, RECIPES
from embedder.steps.embed import embed
from embedder.steps.finalize import finalize, unexpected_files
from embedder.steps.inspect import inspect_columns
from embedder.steps.pipeline import Batch, Pipeline
from embedder.steps.plan import PlanOptions, plan
from embedder.steps.status import status
from embedder.storage import ANY, Listed, Storage, Stored
from tests.jobs import COLUMNS, TILE, TINY
from tests.tiles import write_tile

pytestmark = pytest.mark.usefixtures("scratch")
RECIPE = replace(TINY, chip_pixels=512)
"""Fewer chips, and so quicker."""
CHIPS = {6: 1, 7: 1}
"""Embedded, by column."""
SOME = st.sets(st.sampled_from(COLUMNS), min_size=1).map(sorted)
EXAMPLES = int(os.environ.get("ANY_ORDER_EXAMPLES", "8"))
"""Few, as each takes a second; ANY_ORDER_EXAMPLES sets another number."""
SETTINGS = settings(max_examples=EXAMPLES, stateful_step_count=12, phases=[Phase.generate])
"""A failure is shown as it was found: to make it shorter would take minutes."""
KILL = st.none() | st.tuples(st.integers(0, 5), st.booleans())
"""At which put, counted from 0, and whether it has reached the storage."""


class Killed(BaseException):
    """The process is no more."""


class Memory(Storage):
    """Objects in a dict, and a process that may be killed at a put."""

    def __init__(self) -> None:
        self.url = "memory"
        self.objects: dict[str, Stored] = {}
        self._kill_at: tuple[int, bool] | None = None
        self._writes = 0

    @contextmanager
    def killed_at(self, put: tuple[int, bool] | None) -> Iterator[None]:
        """Kill the process there, if it comes so far."""
        self._kill_at = put
        with suppress(Killed):
            yield
        self._kill_at = None

    def get(self, key: str) -> Stored:
        if key not in self.objects:
            raise NotFoundError(key)
        return self.objects[key]

    def list(self, prefix: str = "") -> Iterator[Listed]:
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield Listed(key=key, size=len(self.objects[key].data), version=self.objects[key].version)

    def put(self, key: str, data: bytes | Path, *, replaces: str | None = None) -> str:
        number, arrives = self._kill_at or (-1, False)
        self._kill_at = (number - 1, arrives)
        if number == 0 and not arrives:
            raise Killed
        found = self.objects.get(key)
        if replaces not in (ANY, found.version if found else None):
            raise ConflictError(key)
        self._writes += 1
        self.objects[key] = Stored(data=data if isinstance(data, bytes) else data.read_bytes(), version=str(self._writes))
        if number == 0:
            raise Killed
        return str(self._writes)

    def local_path(self, key: str, scratch: Path) -> Path:
        raise NotImplementedError

    def check_writable(self) -> None:
        pass


class Means:
    """In the encoder's place: a chip's embedding is the mean of its pixels, and no two times the same."""

    batch_size, device, precision, busy_s = 4, "cpu", "fp32", 0.0
    times = count()

    def new_batch(self) -> NDArray[np.uint16]:
        return np.empty((self.batch_size, len(BANDS), RECIPE.chip_pixels, RECIPE.chip_pixels), np.uint16)

    def encode(self, batches: Iterator[Batch]) -> Iterator[NDArray[np.float32]]:
        for pixels, _ in batches:
            means = pixels.mean(axis=(1, 2, 3)) + 1e-3 * next(self.times)
            yield np.repeat(means[:, None], RECIPE.width, axis=1).astype(np.float32)


class Steps(RuleBasedStateMachine):
    """One output, and what must be true of it."""

    source: Path

    def __init__(self) -> None:
        super().__init__()
        self.storage = Memory()
        self.place = RunPlace(storage=self.storage, recipe=RECIPE, year=2020)
        self.broken: set[str] = set()
        """Files that were removed or damaged from outside, and not written since."""
        self.seen: dict[str, Stored] = {}
        """Valid files, as they were first seen."""
        self.published: set[int] = set()

    def options(self, columns: list[int]) -> PlanOptions:
        return PlanOptions(recipe=RECIPE, year=2020, columns=columns, source=str(self.source), weights="random:0", precision="fp32")

    @property
    def run(self) -> Run:
        return self.place.load()

    @property
    def is_planned(self) -> bool:
        return self.place.find() is not None

    def manifest(self) -> Manifest | None:
        stored = find_manifest(self.place)
        return stored.manifest if stored else None

    def has_valid_file(self, column: int) -> bool:
        [found] = inspect_columns(self.place, self.run, [column], Progress())
        return isinstance(found.content, CheckedColumn)

    @rule(columns=SOME, kill=KILL)
    def plan(self, columns: list[int], kill: tuple[int, bool] | None) -> None:
        with self.storage.killed_at(kill):
            plan(self.storage, self.options(columns), Progress())

    @precondition(lambda self: self.is_planned)
    @rule(columns=SOME, force=st.booleans(), kill=KILL)
    def embed(self, columns: list[int], force: bool, kill: tuple[int, bool] | None) -> None:  # noqa: FBT001
        columns = [column for column in columns if column in self.run.columns]
        to_do = [column for column in columns if force or not self.has_valid_file(column)]
        with self.storage.killed_at(kill):
            result = embed(self.place, self.run, columns, Progress(), force=force, device="cpu", columns_together=2)
            assert sorted(column.column for column in result.written) == to_do
            assert all(self.has_valid_file(column) for column in columns)

    @precondition(lambda self: self.is_planned)
    @rule(columns=SOME, kill=KILL)
    def finalize(self, columns: list[int], kill: tuple[int, bool] | None) -> None:
        columns = [column for column in columns if column in self.run.columns]
        before = self.manifest()
        whole = all(self.has_valid_file(column) for column in {*columns, *self.published})
        with self.storage.killed_at(kill):
            try:
                made = finalize(self.place, self.run, columns, Progress())
            except ConfigurationError:
                assert not whole
                assert self.manifest() == before
            else:
                assert whole
                assert made == self.manifest()
                assert set(made.columns) == {*columns, *self.published}
                assert not status(self.place, self.run, list(made.columns), Progress()).newer
                self.broken -= {self.place.prefix + entry.file for entry in made.columns.values()}
        after = self.manifest()
        self.published = set(after.columns) if after else set()

    @precondition(lambda self: self.files())
    @rule(
        data=st.data(),
        damage=st.sampled_from([None, lambda data: data[:-9], lambda data: data[:0], lambda data: data[:99] + b"?" + data[100:]]),
    )
    def remove_or_damage(self, data: st.DataObject, damage: Any) -> None:  # noqa: ANN401 - a function of bytes
        key = data.draw(st.sampled_from(self.files()))
        before = self.storage.objects.pop(key)
        self.broken.add(key)
        self.seen.pop(key, None)
        if damage:
            self.storage.put(key, damage(before.data))

    def files(self) -> list[str]:
        return [key for key in self.storage.objects if key.endswith(".parquet")]

    @invariant()
    def what_is_published_is_whole(self) -> None:
        manifest = self.manifest()
        assert self.published == set(manifest.columns if manifest else ())
        for column, entry in manifest.columns.items() if manifest else ():
            key = self.place.prefix + entry.file
            if key not in self.broken:
                stored = self.storage.get(key)
                assert hashlib.sha256(stored.data).hexdigest() == entry.sha256
                assert pq.read_metadata(BytesIO(stored.data)).num_rows == entry.rows == CHIPS.get(column, 0)

    @invariant()
    def a_valid_file_is_never_written_again(self) -> None:
        for key in self.files():
            if key not in self.seen and key not in self.broken:
                self.seen[key] = self.storage.get(key)
        assert self.seen.items() <= self.storage.objects.items()

    @invariant()
    def nothing_lies_there_that_is_unknown(self) -> None:
        if self.is_planned:
            assert not unexpected_files(self.place, [])

    def teardown(self) -> None:
        """Whatever happened, the next run that is left alone ends well."""
        run = plan(self.storage, self.options(COLUMNS), Progress())
        embed(self.place, run, run.columns, Progress(), device="cpu", columns_together=2)
        made = finalize(self.place, run, run.columns, Progress())
        assert made.chips["embedded"] == sum(CHIPS.values())
        found = status(self.place, run, run.columns, Progress())
        assert (found.missing, found.invalid, found.unexpected, found.newer, found.altered) == ([], {}, [], [], {})


def test_promises_hold_after_each_step_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tile(tmp_path, TILE, Window(x=3_000, y=0, width=1_200, height=600))
    monkeypatch.setitem(RECIPES, RECIPE.name, RECIPE)
    monkeypatch.setattr(Pipeline, "encoder", Means())
    monkeypatch.setattr("embedder.steps.finalize.draw_coverage", lambda run, columns: repr((run.config_digest, columns)).encode())
    run_state_machine_as_test(type("StepsHere", (Steps,), {"source": tmp_path}), settings=SETTINGS)
