"""Folders that can't be named or made: each has its line."""

from pathlib import Path

import pytest

from embedder.errors import ConfigurationError, NotFoundError, WeightsError
from embedder.storage import cache, open_storage
from embedder.storage.base import path_of
from embedder.storage.download import check_is_file
from embedder.storage.scratch import scratch_folder

LATIN_1 = b"caf\xe9".decode("utf-8", "surrogateescape")
"""As Python has a name whose bytes are no UTF-8."""
NOT_UTF8 = r"caf\\udce9.* is not UTF-8"


def test_refused_when_a_path_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in (LATIN_1, str(tmp_path / LATIN_1 / "below")):
        with pytest.raises(ConfigurationError, match=NOT_UTF8):
            path_of(given)
    with pytest.raises(ConfigurationError, match=NOT_UTF8):
        open_storage(str(tmp_path / LATIN_1))
    monkeypatch.setenv("HOME", str(tmp_path / LATIN_1))
    with pytest.raises(ConfigurationError, match=NOT_UTF8):
        path_of("~/output")


def test_refused_when_the_folder_one_is_in_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / LATIN_1).mkdir()
    monkeypatch.chdir(tmp_path / LATIN_1)
    with pytest.raises(ConfigurationError, match=r"output is not UTF-8, or lies in a folder that is not"):
        path_of("output")


def test_refused_when_tmpdir_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / LATIN_1))
    with pytest.raises(ConfigurationError, match=NOT_UTF8), scratch_folder():
        pytest.fail("made")


def test_refused_when_the_cache_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / LATIN_1))
    with pytest.raises(ConfigurationError, match=NOT_UTF8):
        cache.folder()


@pytest.mark.parametrize("place", ["file/below", "/proc/cache", "/dev/null"])
def test_the_cache_and_its_variable_are_named_when_it_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place))
    with pytest.raises(ConfigurationError, match=r"^the cache .*/worldcover-embeddings can't be made \(.*\): set XDG_CACHE_HOME"):
        cache.made_folder()


def test_refused_by_its_own_path_when_weights_cannot_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "file").write_bytes(b"")
    for path, reason in (
        (tmp_path / ("x" * 5_000), "can't be looked at .*File name too long"),
        (tmp_path / "loop", "can't be looked at .*symbolic links"),
        (tmp_path / "file" / "below", "can't be looked at .*Not a directory"),
        (tmp_path / "dangling", "no such file"),
        (Path("/dev/null"), "is no ordinary file"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(WeightsError, match=reason):
            check_is_file(path)


def test_a_link_that_leads_nowhere_is_named_and_no_absent_object_as_its_name_is_taken(tmp_path: Path) -> None:
    (tmp_path / "object").symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match=r"object is a link that leads nowhere") as error:
        open_storage(str(tmp_path)).get("object")
    assert not isinstance(error.value, NotFoundError)
