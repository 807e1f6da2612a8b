import pytest

from embedder.errors import EmbedderError
from embedder.explore.vectors import index


def test_a_missing_extra_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "find_spec", lambda _name: None)
    with pytest.raises(EmbedderError, match=r"lancedb and fastapi are not installed: pip install '.\[explore\]'"):
        index.require("lancedb", "fastapi")
