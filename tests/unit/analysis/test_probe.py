"""What is learnt from embeddings, on made-up ground."""

from itertools import pairwise

import numpy as np
import pytest

from embedder.analysis.blocks import SIDES, blocks_of, folds_of
from embedder.analysis.classify import learn_classes, learn_nearest, linear_shares, one_hot
from embedder.analysis.probe import Probe, Scores, probe
from embedder.analysis.validate import cross_validated

pytest.importorskip("sklearn")
RANDOM = np.random.default_rng(0)
CHIPS = np.array([(column, row) for column in range(30) for row in range(30)], np.int16)
CLASSES = (np.sin(CHIPS[:, 0] / 4) + np.cos(CHIPS[:, 1] / 5) > 0).astype(np.int64) * 2
CENTRES = RANDOM.standard_normal((3, 16))


def unit(vectors: np.ndarray) -> np.ndarray:
    made: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return made


TELLING = unit(CENTRES[CLASSES] + 0.1 * RANDOM.standard_normal((900, 16)))
WAVES = CHIPS @ RANDOM.standard_normal((2, 64)) / 3
PLACES = unit(np.hstack([np.sin(WAVES), np.cos(WAVES)]))
"""Vectors that know where they are, and nothing of the ground."""


def found_in(vectors: np.ndarray, classes: np.ndarray = CLASSES) -> dict[str, Scores]:
    found = probe(CHIPS, 512, vectors, one_hot(classes, 3))
    assert isinstance(found, Probe)
    assert (found.chips, found.tested, found.blocks, found.folds, found.block_degrees) == (900, 900, 25, 5, 0.256)
    return found.ways


def test_vectors_that_hold_the_classes_tell_them() -> None:
    ways = found_in(TELLING)
    for name in ("nearest", "linear"):
        assert ways[name].accuracy.value == pytest.approx(1, abs=0.01)
        assert ways[name].mean_r2.value == pytest.approx(1, abs=0.1)
        assert np.trace(ways[name].confusion) == pytest.approx(900, abs=9)
        assert ways[name].f1[1].value is None  # the class that is nowhere
    most = ways["most frequent"].accuracy
    assert most.low
    assert most.value
    assert most.high
    assert most.low < most.value < most.high < 0.9


def test_vectors_that_hold_only_the_place_tell_nothing_when_neighbours_are_left_out() -> None:
    by_lot = np.random.default_rng(1).integers(0, 2, 25)
    _, place = np.unique(blocks_of(CHIPS, 512, SIDES[2]), return_inverse=True)
    classes = by_lot[place] * 2  # each block is of one class: a chip's neighbours know it
    leaking = cross_validated(
        CHIPS, np.random.default_rng(2).integers(0, 5, 900), lambda learnt, tested: nearest(PLACES, classes, learnt, tested), 3, margin=0
    )
    assert (leaking.argmax(axis=1) == classes).mean() > 0.9
    apart = found_in(PLACES, classes)["nearest"].accuracy.value
    assert apart
    assert apart < 0.7


def nearest(vectors: np.ndarray, classes: np.ndarray, learnt: np.ndarray, tested: np.ndarray) -> np.ndarray:
    return learn_nearest(vectors[learnt], one_hot(classes[learnt], 3), 5)(vectors[tested])


def test_nothing_is_said_of_chips_when_their_margin_leaves_nothing_to_learn_from() -> None:
    chips = np.array([(0, 0), (1, 0), (9, 9)], np.int16)
    said = cross_validated(chips, np.array([0, 1, 1]), lambda learnt, tested: np.full((tested.sum(), 1), learnt.sum()), 1)
    assert said[:, 0].tolist() == [1, pytest.approx(np.nan, nan_ok=True), pytest.approx(np.nan, nan_ok=True)]


@pytest.mark.parametrize(
    ("chips", "classes", "reason"),
    [
        (CHIPS[:9], CLASSES[:9], "9 chips have both"),
        (np.array([(c, r) for c in range(3) for r in range(3)] + [(0, 0)], np.int16), np.arange(10) % 3, "one small block"),
        (CHIPS[:60], np.zeros(60, np.int64), "one class"),
    ],
)
def test_the_reason_is_said_when_nothing_can_be_measured(chips: np.ndarray, classes: np.ndarray, reason: str) -> None:
    found = probe(chips, 512, TELLING[: len(chips)], one_hot(classes, 3))
    assert isinstance(found, str)
    assert reason in found


def test_both_ways_take_few_and_one_sided_examples() -> None:
    assert learn_classes(TELLING[:3], np.array([2, 2, 2]), 3)(TELLING[:2]).tolist() == [[0, 0, 1]] * 2
    assert learn_nearest(TELLING[:3], np.eye(3))(TELLING[:2]).shape == (2, 3)
    shares = linear_shares(TELLING[:9], np.eye(3)[CLASSES[:9]], 50 * TELLING[:5])
    assert shares.min() >= 0
    assert shares.max() <= 1


def test_folds_of_the_demo_leave_something_to_learn_from() -> None:
    chips = np.array([(column, row) for column in range(74, 78) for row in range(309, 313)], np.int16)
    found = probe(chips, 512, TELLING[:16], one_hot(np.arange(16) % 3, 3))
    assert isinstance(found, Probe)
    assert (found.chips, found.tested, found.blocks) == (16, 7, 4)  # 9 lie in one block, whose margin is all the others
    assert all(first != second for first, second in pairwise(np.unique(folds_of(blocks_of(chips, 512, SIDES[3])))))
