from hypothesis import given
from hypothesis import strategies as st

from embedder.explore.vectors.database import _run_lengths, _runs


@given(st.text("ent", max_size=50))
def test_run_lengths_tell_the_whole_text(text: str) -> None:
    assert "".join(length * letter for length, letter in _runs(_run_lengths(text))) == text
