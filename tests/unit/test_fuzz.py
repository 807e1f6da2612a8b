"""Columns and seeds as people may type them."""

import pytest
from hypothesis import given

from embedder.grid import COLUMN_COUNT, Tile, format_columns, parse_columns
from embedder.models.weights import random_seed
from tests.mutations import ODD_TEXT, fuzzed, right_or_refused


@fuzzed(300)
@given(ODD_TEXT)
def test_columns_are_right_or_refused_whatever_is_typed(text: str) -> None:
    columns = right_or_refused(lambda: parse_columns(text), ValueError)
    if columns is not None:
        assert columns == sorted(set(columns))
        assert 0 <= columns[0] <= columns[-1] < COLUMN_COUNT
        assert parse_columns(format_columns(columns)) == columns


@pytest.mark.parametrize(
    "text", ["1-999999999999", "0-" + "9" * 5_000, "9" * 5_000, "\u0661", "\uff11-\uff12", "x" * 6_000, "9" * 4_000 + "-1"]
)
def test_columns_are_refused_in_a_few_words_when_there_are_none_such(text: str) -> None:
    with pytest.raises(ValueError, match=r"column|counts backwards") as refused:
        parse_columns(text)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("name", ["N\u0663\u0667W076", "N37W07\uff16", "N37W076\n"])
def test_a_tile_is_named_in_plain_digits(name: str) -> None:
    with pytest.raises(ValueError, match="is not a tile"):
        Tile.from_name(name)


@fuzzed(100)
@given(ODD_TEXT)
def test_a_seed_is_right_or_refused_whatever_is_typed(text: str) -> None:
    seed = right_or_refused(lambda: random_seed(f"random:{text}"))
    assert seed is None or seed == int(text)
