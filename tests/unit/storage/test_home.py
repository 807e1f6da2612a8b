"""A user without a home folder: in no list of users, and without HOME, as some clusters and containers run pods."""

import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from embedder.errors import ConfigurationError
from embedder.source.inventory import open_source
from embedder.storage import cache, open_storage
from embedder.storage.download import check_readable, fetch_checkpoint


@pytest.fixture(autouse=True)
def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(user: object) -> None:
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_variable_to_set_is_named_when_downloads_have_no_place() -> None:
    with pytest.raises(ConfigurationError, match="set XDG_CACHE_HOME"):
        cache.folder()


def test_downloads_have_a_place_when_the_variable_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "worldcover-embeddings"


@pytest.mark.parametrize(
    "use",
    [open_storage, open_source, check_readable, lambda path: fetch_checkpoint(path, Path("unused"))],
    ids=["output", "source", "check", "weights"],
)
@pytest.mark.parametrize("path", ["~/here", "~nobody-here/x"])
def test_the_path_is_named_when_it_means_a_home_folder(use: Callable[[str], object], path: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{path}: there is no home folder"):
        use(path)
