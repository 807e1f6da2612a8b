"""What finalize says of embeddings that are valid each, and odd together."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder.output import column_file
from embedder.output.run import RunPlace
from tests.jobs import COLUMNS, finalize_columns
from tests.run_output import copy, manifest_of, rewrite, vectors

pytestmark = pytest.mark.usefixtures("scratch")


def with_embeddings(place: RunPlace, column: int, embeddings: NDArray[np.float32]) -> None:
    run = place.load()
    outcomes = column_file.check(place.storage.get(place.column_key(column)).data, run, column).outcomes
    rewrite(place, column, lambda _: column_file.write(run, column, outcomes, embeddings, device="cpu", precision="fp32"))


def notes(place: RunPlace, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    finalize_columns(place, COLUMNS)
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("NOTE")]


@pytest.fixture
def place(done: Path, tmp_path: Path) -> RunPlace:
    """Columns 6 and 7 have two chips each."""
    return copy(done, tmp_path / "odd")


def test_nothing_is_said_when_nothing_is_odd(place: RunPlace, capsys: pytest.CaptureFixture[str]) -> None:
    assert notes(place, capsys) == []


def test_copies_are_named_and_published_when_there_are_many(place: RunPlace, capsys: pytest.CaptureFixture[str]) -> None:
    with_embeddings(place, 7, np.stack(list(vectors(place, 6).values())[::-1]))
    (note,) = notes(place, capsys)
    assert "2 of 4 embeddings are copies of others, as those of chips c0013r0000 and c0014r0000: compare their pixels" in note
    assert manifest_of(place)["columns"]["7"]["rows"] == 2


def test_the_chip_is_named_when_its_embedding_is_far_longer_than_the_median(place: RunPlace, capsys: pytest.CaptureFixture[str]) -> None:
    embeddings = np.stack(list(vectors(place, 7).values()))
    embeddings[1] *= 100
    with_embeddings(place, 7, embeddings)
    (note,) = notes(place, capsys)
    assert "1 of 4 embeddings are more than 2 times longer or shorter than the median" in note
    assert "chip c0015r0000 with" in note
