"""From pixels to files: chips are read ahead, encoded in batches, and a finished column is written while others are encoded."""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.console.progress import Progress
from embedder.console.start import start
from embedder.errors import ConfigurationError, ConflictError, InvalidFileError, NonFiniteError, SourceError
from embedder.grid import chips_in_column
from embedder.models.energy import Card
from embedder.output import column_file
from embedder.output.column_file import CheckedColumn
from embedder.output.receipt import Receipt
from embedder.output.run import Run, RunPlace
from embedder.source.inventory import metered, open_source
from embedder.source.strip import ChipRead, Pixels, new_pixels, read_strip
from embedder.steps.costs import Costs
from embedder.steps.inspect import Inspected, inspect_column
from embedder.steps.prefetch import prefetch
from embedder.steps.slim_weights import slim_weights

if TYPE_CHECKING:
    from embedder.models.encoder import Encoder

Batch = tuple[NDArray[np.uint16], NDArray[np.float64]]
"""Pixels (n, band, y, x) and centres (n, 2: longitude, latitude) of chips."""

GROUPS_AHEAD = 2
"""Batches that wait for the encoder, while one is being filled: at most 64 MB each."""
READ = "en"
"""Outcomes of chips whose pixels were read."""


@dataclass(frozen=True, kw_only=True)
class FailedColumn:
    """A column whose tiles cannot be used."""

    column: int
    error: SourceError


@dataclass(frozen=True, kw_only=True)
class _StripEnd:
    """Comes after a strip's chips; with an error where the strip broke off."""

    columns: Sequence[int]
    error: SourceError | None = None


@dataclass(kw_only=True)
class _Group:
    """Chips in the order of their reading, enough of them to be embedded for one batch, or the rest of a strip."""

    chips: list[ChipRead] = field(default_factory=list)
    room: NDArray[np.uint16] | None = None
    """For a batch's pixels, (n, band, y, x), once there are some: those of the chips to be embedded come first, in their order."""
    end: _StripEnd | None = None

    @property
    def to_embed(self) -> list[ChipRead]:
        """The chips that get an embedding."""
        return [chip for chip in self.chips if chip.outcome == "e"]


@dataclass(kw_only=True)
class _Unfinished:
    """A column of which some chips are known."""

    outcomes: list[str] = field(default_factory=list)
    embeddings: list[NDArray[np.float32]] = field(default_factory=list)


@dataclass(kw_only=True)
class Pipeline:
    """Embeds strips of columns under one run."""

    place: RunPlace
    run: Run
    found: dict[int, Inspected]
    """Each column's file before: neither a valid one nor a rival's newer one is overwritten."""
    device: str
    progress: Progress
    costs: Costs = field(default_factory=Costs)
    """From when the pipeline was made."""
    _rooms: deque[NDArray[np.uint16]] = field(default_factory=deque)
    """For batches, used again: fresh pages cost as much CPU time as filling them does."""

    def embed(self, strips: Sequence[Sequence[int]]) -> Iterator[CheckedColumn | FailedColumn]:
        """Each column of the strips, once its file is written or its tiles have proved wrong."""
        whole = chips_in_column(self.run.recipe.chip_pixels)
        unfinished: dict[int, _Unfinished] = {}
        writing: deque[Future[CheckedColumn]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="write") as writer, closing(prefetch(self._groups(strips), GROUPS_AHEAD)) as groups:
            for group, embeddings in self._encode(groups):
                self._count(group)
                if len(embeddings) and (said := start.report()):
                    self.progress.say(said[0], start_seconds=said[1])
                vectors = iter(embeddings)
                for chip in group.chips:
                    column = unfinished.setdefault(chip.column, _Unfinished())
                    column.outcomes.append(chip.outcome)
                    if chip.outcome == "e":
                        column.embeddings.append(next(vectors))
                    if len(column.outcomes) == whole:
                        used = self.encoder.device if column.embeddings else None
                        receipt = self.costs.receipt(chip.column, used)
                        writing.append(writer.submit(self._write, chip.column, unfinished.pop(chip.column), receipt))
                if group.room is not None:
                    self._rooms.append(group.room)
                self.progress.chips_done(sum(chip.outcome in READ for chip in group.chips), embedded=len(embeddings))
                if group.end and group.end.error:
                    yield from self._give_up(group.end.columns, group.end.error, unfinished)
                while writing and writing[0].done():
                    yield writing.popleft().result()
            while writing:
                yield writing.popleft().result()

    def _groups(self, strips: Iterable[Sequence[int]]) -> Generator[_Group, None, None]:
        """The chips of the strips, their pixels written to where the device takes them from."""
        group, to_embed = _Group(), 0

        def room() -> Pixels:
            if group.room is None:
                group.room = self._rooms.popleft() if self._rooms else self.encoder.new_batch()
            chip: Pixels = group.room[to_embed]
            return chip

        for read in self._read(strips, room):
            if isinstance(read, _StripEnd):
                group.end = read
            else:
                group.chips.append(read)
                to_embed += read.outcome == "e"
                if group.room is None or to_embed < len(group.room):
                    continue
            yield group
            group, to_embed = _Group(), 0

    def _read(self, strips: Iterable[Sequence[int]], room: Callable[[], Pixels]) -> Generator[ChipRead | _StripEnd, None, None]:
        opened = open_source(self.run.source)
        pixels = self.run.recipe.chip_pixels
        for columns in strips:
            source = metered(opened)
            self.costs.strip({column: self.run.foreseen(column).count("e") for column in columns}, source.meter)
            try:
                yield from read_strip(source, self.run.inventory, self.run.year, columns, pixels, area=self.run.area, room=room)
            except SourceError as error:
                yield _StripEnd(columns=columns, error=error)
                if len(columns) > 1:  # one bad block must not cost the neighbours
                    yield from self._read([[column] for column in columns], room)
            else:
                yield _StripEnd(columns=columns)

    def _count(self, group: _Group) -> None:
        """Let the chips that were embedded bear what the batch cost, or all where none was."""
        bearing = group.to_embed or group.chips
        self.costs.batch(Counter(chip.column for chip in bearing), self.encoder.busy_s if group.to_embed else self.costs.computed_s)

    def _encode(self, groups: Iterator[_Group]) -> Iterator[tuple[_Group, NDArray[np.float32]]]:
        """The groups in their order, each with the embeddings of its chips to be embedded: (n, width)."""
        nothing = np.empty((0, self.run.recipe.width), np.float32)
        under_way: deque[_Group] = deque()

        def batches(first: _Group) -> Iterator[Batch]:
            for group in chain([first], groups):
                under_way.append(group)
                chips = group.to_embed  # none of them still makes a batch: what waits its turn is written meanwhile
                pixels = new_pixels((0,), self.run.recipe.chip_pixels) if group.room is None else group.room[: len(chips)]
                yield pixels, np.array([chip.chip.bounds.center for chip in chips]).reshape(-1, 2)

        for group in groups:
            if not group.to_embed:
                yield group, nothing
                continue
            for embeddings in self._encode_naming_chips(batches(group), under_way):
                yield under_way.popleft(), embeddings

    def _encode_naming_chips(self, batches: Iterator[Batch], under_way: Sequence[_Group]) -> Iterator[NDArray[np.float32]]:
        try:
            yield from self.encoder.encode(batches)
        except NonFiniteError as error:
            advice = "check the weights" if error.precision == "fp32" else "try another output with --precision fp32"
            chip = under_way[0].to_embed[error.index].chip
            raise ConfigurationError(f"the model gives NaN or infinity for chip {chip.id} in {error.precision}: {advice}") from error

    def start(self) -> None:
        """Begin to make the encoder, which some chip will need: a column at sea needs neither weights nor torch."""
        _ = self._starting

    @property
    def encoder(self) -> "Encoder":
        """Once it is made."""
        return self._starting.result()

    @cached_property
    def _starting(self) -> "Future[Encoder]":
        pool = ThreadPoolExecutor(2, thread_name_prefix="start")
        making = pool.submit(self._make_encoder, pool.submit(slim_weights, self.place, self.run))
        pool.shutdown(wait=False)
        return making

    def _make_encoder(self, weights: Future[Path]) -> "Encoder":
        with start.part("imports"):
            from embedder.models.encoder import Encoder  # noqa: PLC0415 - imports torch, while the weights are fetched

        fetched = weights.result()
        with start.part("model and device"):
            encoder = Encoder(fetched, self.run.recipe, year=self.run.year, device=self.device, precision=self.run.precision)
        if encoder.uuid:
            self.costs.card = Card(encoder.uuid)
        self.progress.say(f"computing on {encoder.device} in {encoder.precision}")
        return encoder

    def _write(self, column: int, done: _Unfinished, receipt: Receipt) -> CheckedColumn:
        embeddings = np.array(done.embeddings, np.float32).reshape(-1, self.run.recipe.width)
        used = (self.encoder.device, self.encoder.precision) if len(embeddings) else (None, None)
        before = self.found[column]
        is_valid = isinstance(before.content, CheckedColumn)  # and may be published: readers keep it until finalize names the new one
        key = self.place.new_forced_key(column) if is_valid else before.key
        data = column_file.write(
            self.run,
            column,
            "".join(done.outcomes),
            embeddings,
            device=used[0],
            precision=used[1],
            receipt=receipt,
            inferred=datetime.now(UTC),
            name=key.rpartition("/")[2],
        )
        try:
            checked = column_file.check(data, self.run, column)
        except InvalidFileError as error:
            raise ConfigurationError(f"column {column} as embedded has a {error}: check the weights") from error
        if is_valid:
            self.place.storage.put(key, data)
            return checked
        try:
            self.place.storage.put(key, data, replaces=before.version)
        except ConflictError:
            # A rival wrote this column first: its file counts if it is valid.
            rival = inspect_column(self.place, self.run, column).content
            if not isinstance(rival, CheckedColumn):
                raise
            return rival
        return checked

    def _give_up(self, columns: Sequence[int], error: SourceError, unfinished: dict[int, _Unfinished]) -> Iterator[FailedColumn]:
        for column in columns:
            dropped = unfinished.pop(column, _Unfinished())
            if len(columns) == 1:
                yield FailedColumn(column=column, error=error)
            else:
                self.progress.chips_done(-sum(outcome in READ for outcome in dropped.outcomes), embedded=-len(dropped.embeddings))
