"""Blocks of space: which chips are tested together, and which are not learnt from meanwhile."""

import numpy as np
import pytest

from embedder.analysis.blocks import SIDES, Numbers, blocks_of, folds_of, interval, learnt_from, side_for, sums_by_block


def square(columns: range, rows: range) -> np.ndarray:
    return np.array([(column, row) for column in columns for row in rows], np.int16)


def test_chips_of_both_sizes_share_a_block_when_they_lie_in_the_same_square() -> None:
    wide, narrow = square(range(48), range(24)), square(range(96), range(48))
    assert len(np.unique(blocks_of(wide, 512, SIDES[0]))) == len(np.unique(blocks_of(narrow, 256, SIDES[0]))) == 2
    assert (blocks_of(wide, 512, SIDES[0]) == blocks_of(wide * 2, 256, SIDES[0])).all()


@pytest.mark.parametrize(
    ("chips", "side"),
    [
        (square(range(1359), range(40)), SIDES[0]),
        (square(range(48), range(72)), SIDES[1]),  # 6 of the largest would be too few
        (square(range(74, 78), range(309, 313)), SIDES[3]),  # as few as the demo has
        (square(range(3, 6), range(3)), None),
        (square(range(0), range(0)).reshape(0, 2), None),
    ],
)
def test_the_side_is_the_largest_that_makes_enough_blocks(chips: np.ndarray, side: int | None) -> None:
    assert side_for(chips, 512) == side


def test_folds_hold_whole_blocks_and_like_numbers_of_chips() -> None:
    blocks = blocks_of(square(range(100), range(100)), 512, SIDES[2])
    folds = folds_of(blocks)
    assert all(len(np.unique(folds[blocks == block])) == 1 for block in np.unique(blocks))
    sizes = np.bincount(folds)
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 36
    assert (folds_of(blocks) == folds).all()
    assert (folds_of(blocks, seed=1) != folds).any()


def test_there_are_as_many_folds_as_blocks_when_these_are_few() -> None:
    assert sorted(set(folds_of(np.array([4, 4, 9, 9])).tolist())) == [0, 1]


def test_no_neighbour_of_a_tested_chip_is_learnt_from() -> None:
    chips = square(range(20, 60), range(30))
    tested = folds_of(blocks_of(chips, 512, SIDES[2])) == 2
    learnt = learnt_from(chips, tested)
    away = np.abs(chips[:, None].astype(int) - chips[tested].astype(int)).max(axis=2).min(axis=1)
    assert (learnt == (away > 1)).all()
    assert 0 < learnt.sum() < (~tested).sum()


def mean(sums: Numbers) -> Numbers:
    return sums[:, :1] / sums[:, 1:]


def width(blocks: np.ndarray, values: np.ndarray) -> float:
    (value,), (low,), (high,) = interval(sums_by_block(blocks, np.column_stack([values, np.ones(len(values))])), mean)
    assert value == pytest.approx(values.mean())
    assert low <= value <= high
    return float(high - low)


def test_an_interval_is_that_of_a_mean_when_chips_are_independent() -> None:
    values = np.random.default_rng(0).standard_normal(2_000)
    assert width(np.arange(2_000), values) == pytest.approx(2 * 1.96 / 2_000**0.5, rel=0.1)


def test_an_interval_is_wider_when_the_chips_of_a_block_are_alike() -> None:
    values = np.repeat(np.random.default_rng(0).standard_normal(200), 10)
    assert width(np.arange(2_000) // 10, values) > 2 * width(np.arange(2_000), values)
