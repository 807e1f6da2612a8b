"""What killed processes leave behind goes a day later, and nothing else does."""

import os
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from embedder.storage.folder import FolderStorage
from embedder.storage.scratch import remove_leftovers, scratch_folder

DAY = 24 * 3600
OURS = UUID(int=7, version=4).hex


def make(path: Path, *, age: float, folder: bool = False) -> Path:
    """A file, or a folder with a file in a folder, none of which has changed for `age` seconds."""
    if folder:
        (path / "below").mkdir(parents=True)
    file = path / "below" / "checkpoint" if folder else path
    file.write_bytes(b"bytes")
    for each in (file, *file.parents):
        if each == path.parent:
            break
        os.utime(each, (time.time() - age,) * 2)
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_is_ours_goes_when_it_is_a_day_old(tmp_path: Path) -> None:
    make(tmp_path / f"embedder-{uuid4().hex}", age=DAY + 60, folder=True)
    make(tmp_path / ".write-check-ab_cd012", age=DAY + 60, folder=True)
    make(tmp_path / f".{uuid4().hex}", age=DAY + 60)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == set()


def test_what_is_ours_stays_when_it_is_younger(tmp_path: Path) -> None:
    made = [
        make(tmp_path / f"embedder-{uuid4().hex}", age=DAY - 60, folder=True),
        make(tmp_path / ".write-check-ab_cd012", age=DAY - 60, folder=True),
        make(tmp_path / f".{uuid4().hex}", age=DAY - 60),
        make(tmp_path / f".{uuid4().hex}", age=-DAY),
    ]
    remove_leftovers(tmp_path)
    assert names(tmp_path) == {path.name for path in made}


def test_a_folder_stays_when_anything_in_it_has_changed_since(tmp_path: Path) -> None:
    folder = make(tmp_path / f"embedder-{uuid4().hex}", age=10 * DAY, folder=True)
    os.utime(folder / "below" / "checkpoint")  # as a download does that goes on for long
    remove_leftovers(tmp_path)
    assert (folder / "below" / "checkpoint").exists()


@pytest.mark.parametrize(
    "name",
    [
        ".lock",
        ".write-check",
        ".d41d8cd98f00b204e9800998ecf8427e",  # of no uuid4, as an MD5
        f".{UUID(int=0).hex}",
        f"{OURS}",
        "embedder-notes",
        f"embedder-{OURS}.ckpt",
        f"my-embedder-{OURS}",
        "_run.json",
    ],
)
@pytest.mark.parametrize("folder", [False, True])
def test_others_stay_however_old_they_are(tmp_path: Path, name: str, folder: bool) -> None:  # noqa: FBT001 - pytest's
    make(tmp_path / name, age=1000 * DAY, folder=folder)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == {name}


def test_what_has_our_name_stays_when_it_is_of_another_kind(tmp_path: Path) -> None:
    kept = make(tmp_path / "kept", age=10 * DAY, folder=True)
    link, file, folder = tmp_path / f"embedder-{uuid4().hex}", tmp_path / f"embedder-{uuid4().hex}", tmp_path / f".{uuid4().hex}"
    link.symlink_to(kept)
    os.utime(link, (0, 0), follow_symlinks=False)
    make(file, age=10 * DAY)
    make(folder, age=10 * DAY, folder=True)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == {"kept", link.name, file.name, folder.name}
    assert (kept / "below" / "checkpoint").exists()


def test_what_a_link_in_a_leftover_leads_to_stays(tmp_path: Path) -> None:
    kept = make(tmp_path / "kept", age=10 * DAY, folder=True)
    left = make(tmp_path / f"embedder-{uuid4().hex}", age=10 * DAY, folder=True)
    (left / "link").symlink_to(kept)
    os.utime(left / "link", (0, 0), follow_symlinks=False)
    os.utime(left, (0, 0))
    remove_leftovers(tmp_path)
    assert names(tmp_path) == {"kept"}
    assert (kept / "below" / "checkpoint").exists()


def test_scratch_folders_of_killed_processes_go_when_the_next_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make(tmp_path / f"embedder-{uuid4().hex}", age=2 * DAY, folder=True)
    with scratch_folder():
        assert names(tmp_path) == set()


def test_what_a_check_has_left_goes_when_the_folder_is_checked_again(tmp_path: Path) -> None:
    make(tmp_path / ".write-check-ab_cd012", age=2 * DAY, folder=True)
    FolderStorage(tmp_path / "output").check_writable()
    assert names(tmp_path) == set()


def test_nothing_is_said_when_there_is_no_such_folder(tmp_path: Path) -> None:
    FolderStorage(tmp_path).tidy("clay-v0.1/2020/")
    assert names(tmp_path) == set()
