"""What a message looks like, whatever it quotes."""

import pytest

from embedder import errors
from embedder.errors import LONGEST, ConfigurationError, EmbedderError, one_line, require_extra


def test_a_message_stays_as_it_is_when_it_is_a_line() -> None:
    assert str(EmbedderError("Übersicht: ž 東京 ~ is fine")) == "Übersicht: ž 東京 ~ is fine"


def test_a_message_is_one_line_when_it_quotes_several() -> None:
    assert str(ConfigurationError("a\r\n  b\x0bc\u2028d")) == "a b c d"


def test_what_would_steer_a_terminal_is_shown_when_it_is_quoted() -> None:
    assert one_line("\x1b[2Jgone\x00\u202e \udcff") == r"\x1b[2Jgone\x00\u202e \udcff"


def test_beginning_and_end_are_left_when_a_message_quotes_too_much() -> None:
    shown = str(ConfigurationError(f"s3://bucket/_run.json is not a run record ({'x' * 55_529}): restore it"))
    assert len(shown) <= LONGEST
    assert shown.startswith("s3://bucket/_run.json is not a run record (xxx")
    assert shown.endswith("xxx): restore it")


def test_a_missing_extra_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "find_spec", lambda _name: None)
    with pytest.raises(EmbedderError, match=r"lancedb and fastapi are not installed: pip install '.\[explore\]'"):
        require_extra("explore", "lancedb", "fastapi")
