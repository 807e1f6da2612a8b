"""The cache is searched as exactly as numpy would."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder.errors import UsageError
from embedder.explore.search import Question, Searcher, changes
from embedder.explore.vectors.pairs import pair_distances
from embedder.grid import Bounds, Chip
from tests.explore_output import Content, opened, some, vectors, write_output

pytestmark = pytest.mark.usefixtures("_own_cache")


def truth(content: Content, column: int, place: int, count: int) -> list[tuple[str, float]]:
    """The nearest chips to the `place`th of a column, and their distances, by numpy in double precision."""
    ids = [f"c{number:04d}r{row:04d}" for number, (_, rows) in content.items() for row in range(len(rows))]
    every = np.concatenate([rows for _, rows in content.values()]).astype(np.float64)
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    own = ids.index(f"c{column:04d}r{place:04d}")
    distances = 1 - every @ every[own]
    return [(ids[found], distances[found]) for found in np.argsort(distances, kind="stable") if found != own][:count]


def test_hits_are_those_of_numpy_when_there_is_no_index(tmp_path: Path) -> None:
    content = some(range(100, 105))
    searcher = Searcher(opened(write_output(tmp_path / "out", content)))
    hits = searcher.search(Question(like=[Chip(column=102, row=3, pixels=512)], count=10))
    expected = truth(content, 102, 3, 10)
    assert [hit.chip.id for hit in hits] == [name for name, _ in expected]
    assert [hit.distance for hit in hits] == pytest.approx([distance for _, distance in expected], abs=2e-6)
    assert [hit.rank for hit in hits] == list(range(1, 11))


def test_a_hit_s_percentile_is_that_among_all_pairs(tmp_path: Path) -> None:
    content = some(range(100, 103))
    searcher = Searcher(opened(write_output(tmp_path / "out", content)))
    hits = searcher.search(Question(like=[Chip(column=102, row=3, pixels=512)], count=5))
    every = np.concatenate([rows for _, rows in content.values()]).astype(np.float64)
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    pairs = (1 - every @ every.T)[np.triu_indices(len(every), 1)]
    for hit in hits:
        assert hit.distance is not None
        assert hit.percentile == pytest.approx(100 * (pairs < hit.distance).mean(), abs=0.06)  # one pair


@pytest.mark.parametrize("harm", [b"", b"\0" * 400_032, None])
def test_damaged_pairs_are_found_again(tmp_path: Path, harm: bytes | None) -> None:
    database = opened(write_output(tmp_path / "out", some(range(100, 103))))
    before = pair_distances(database)
    (path,) = database.folder.glob("pairs-*")
    if harm is None:
        path.unlink()
    else:
        path.write_bytes(harm)
    np.testing.assert_array_equal(pair_distances(database), before)
    assert len(path.read_bytes()) == 4 * 1_770 + 32  # each pair of 60 chips


def test_a_small_box_is_answered_in_full_when_there_is_an_index(indexed: Searcher) -> None:
    corner = Chip(column=2, row=100, pixels=512).bounds
    inside = Bounds(west=corner.west + 0.001, east=corner.east - 0.001, north=corner.north - 0.001, south=corner.south - 0.1)
    hits = indexed.search(Question(like=[Chip(column=0, row=0, pixels=512)], count=10, bounds=inside))
    assert sorted(hit.chip.id for hit in hits) == ["c0002r0100", "c0002r0101", "c0002r0102", "c0002r0103"][: len(hits)]
    assert len(hits) == 4 - (corner.south - 0.1 >= Chip(column=2, row=103, pixels=512).bounds.north)


def test_hits_are_unlike_the_negative_examples(tmp_path: Path) -> None:
    content = some(range(2), 100)
    searcher = Searcher(opened(write_output(tmp_path / "out", content)))
    like, unlike = [Chip(column=0, row=1, pixels=512), Chip(column=0, row=2, pixels=512)], [Chip(column=1, row=5, pixels=512)]
    hits = searcher.search(Question(like=like, unlike=unlike, count=20))
    every = np.concatenate([rows for _, rows in content.values()]).astype(np.float64)
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    query: NDArray[np.float64] = every[[1, 2]].mean(axis=0) - 0.5 * every[105]
    scores = every @ (query / np.linalg.norm(query))
    order = [place for place in np.argsort(-scores) if place not in {1, 2, 105}][:20]
    assert [hit.chip.id for hit in hits] == [f"c{place // 100:04d}r{place % 100:04d}" for place in order]
    with pytest.raises(UsageError, match="both like and unlike"):
        searcher.search(Question(like=like, unlike=like))


def test_change_ranks_the_chips_of_both_years(tmp_path: Path) -> None:
    before, after = dict(some(range(2))), dict(some(range(1, 3)))
    changed = before[1][1].copy()
    changed[7] = -changed[7]
    changed[3] = vectors(99, 1)[0]
    after[1] = ("e" * 20, changed)
    write_output(tmp_path / "out", before)
    output = write_output(tmp_path / "out", after, year=2021)
    hits = changes(opened(output), opened(output, year=2021), 5)
    assert [hit.chip.id for hit in hits[:2]] == ["c0001r0007", "c0001r0003"]
    assert hits[0].distance == pytest.approx(2, abs=1e-5)
    assert all(hit.distance is not None and hit.distance < 1e-5 for hit in hits[2:])
    assert hits[0].percentile == 95  # 19 of 20 changed less
    assert {hit.year for hit in hits} == {2021}
