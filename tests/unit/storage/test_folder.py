"""Storage in a folder."""

import errno
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from embedder.errors import ConfigurationError, ConflictError, NotFoundError, TemporaryError
from embedder.storage import ANY, Storage, open_storage
from embedder.storage.folder import FolderStorage
from tests.disks import mounted
from tests.storage_process import python

FULL_DISK_BYTES = 64 * 1024


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path / "out"))


def everything_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


class TestKeys:
    @pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "a/", "a\0b"])
    def test_key_is_refused_when_it_leads_elsewhere(self, storage: Storage, key: str) -> None:
        for use in (storage.get, lambda key: storage.put(key, b""), lambda key: storage.local_path(key, Path())):
            with pytest.raises(ValueError, match="not a key"):
                use(key)


class TestPut:
    def test_object_reads_back_when_put(self, storage: Storage) -> None:
        version = storage.put("a/b/c.json", b"data")
        assert (storage.get("a/b/c.json").data, storage.get("a/b/c.json").version) == (b"data", version)

    def test_file_is_copied_when_a_path_is_put(self, storage: Storage, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(os.urandom(3_000_000))
        storage.put("copy", source)
        assert storage.get("copy").data == source.read_bytes()

    def test_mode_follows_the_umask_when_put(self, storage: Storage, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            storage.put("k", b"x")
        finally:
            os.umask(before)
        assert (tmp_path / "out/k").stat().st_mode & 0o777 == 0o640

    def test_conflict_is_reported_when_something_is_there(self, storage: Storage, tmp_path: Path) -> None:
        storage.put("k", b"first")
        with pytest.raises(ConflictError, match=str(tmp_path)):
            storage.put("k", b"second")
        assert storage.get("k").data == b"first"

    def test_version_is_replaced_when_it_is_still_there(self, storage: Storage) -> None:
        first = storage.put("k", b"first")
        second = storage.put("k", b"other", replaces=first)
        assert storage.get("k").data == b"other"
        assert second == storage.get("k").version != first

    @pytest.mark.parametrize("present", [True, False])
    def test_conflict_is_reported_when_the_version_to_replace_is_gone(self, storage: Storage, tmp_path: Path, *, present: bool) -> None:
        old = storage.put("k", b"first")
        (tmp_path / "out/k").unlink()
        if present:
            storage.put("k", b"again")
        with pytest.raises(ConflictError):
            storage.put("k", b"late", replaces=old)
        assert everything_in(tmp_path) == ({"out/k"} if present else set())

    def test_anything_is_replaced_when_any_is_asked_for(self, storage: Storage, tmp_path: Path) -> None:
        storage.put("k", b"first", replaces=ANY)
        storage.put("k", b"second", replaces=ANY)
        assert storage.get("k").data == b"second"
        assert everything_in(tmp_path) == {"out/k"}

    def test_versions_differ_when_writes_follow_quickly(self, storage: Storage) -> None:
        versions = {storage.put("k", b"same", replaces=ANY) for _ in range(200)}
        assert len(versions) == 200

    def test_version_holds_every_nanosecond_when_the_system_counts_coarsely(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_456_789)
        assert storage.put("k", b"x").startswith("1700000000123456789-1-")

    @pytest.mark.parametrize("replacing", [False, True])
    def test_exactly_one_wins_when_rivals_put_at_once(self, storage: Storage, *, replacing: bool) -> None:
        for trial in range(20):
            key = f"k{trial}"
            version = storage.put(key, b"old") if replacing else None
            barrier = Barrier(8)

            def put(number: int, key: str = key, version: str | None = version, barrier: Barrier = barrier) -> bytes | None:
                barrier.wait()
                try:
                    storage.put(key, b"%d" % number, replaces=version)
                except ConflictError:
                    return None
                return b"%d" % number

            with ThreadPoolExecutor(8) as pool:
                winners = [data for data in pool.map(put, range(8)) if data]
            assert winners == [storage.get(key).data]

    def test_nothing_is_left_when_the_process_is_killed_in_the_middle(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "endless")
        process = python("open_storage(sys.argv[1]).put('k', Path(sys.argv[2]))", tmp_path / "out", tmp_path / "endless")
        with (tmp_path / "endless").open("wb") as endless:
            endless.write(bytes(8_000_000))  # returns when the process has taken nearly all of it
            assert process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert list((tmp_path / "out").iterdir()) == []

    def test_file_is_published_when_the_system_has_no_unnamed_files(
        self, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(os, "O_TMPFILE")
        version = storage.put("k", b"first")
        storage.put("k", b"second", replaces=version)
        with pytest.raises(ConflictError):
            storage.put("k", b"third")
        assert storage.get("k").data == b"second"
        assert everything_in(tmp_path) == {"out/k"}

    def test_file_is_on_the_disk_when_put_returns(self, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced = []
        monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
        storage.put("a/k", b"x")
        assert synced == [path.stat().st_ino for path in (tmp_path, tmp_path / "out", tmp_path / "out/a/k", tmp_path / "out/a")]

    def test_configuration_is_blamed_when_the_disk_is_full(self, tmp_path: Path) -> None:
        with mounted(tmp_path, f"size={FULL_DISK_BYTES}"):
            with pytest.raises(ConfigurationError, match="no space left"):
                FolderStorage(tmp_path).put("k", bytes(2 * FULL_DISK_BYTES))
            assert list(tmp_path.iterdir()) == []

    def test_configuration_is_blamed_when_the_folder_is_read_only(self, tmp_path: Path) -> None:
        with mounted(tmp_path, "ro"):
            storage = FolderStorage(tmp_path)
            with pytest.raises(ConfigurationError, match="Read-only file system"):
                storage.put("k", b"x")
            with pytest.raises(ConfigurationError, match="may write"):
                storage.check_writable()

    def test_configuration_is_blamed_when_permission_is_denied(self, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        # Injected, as root, whom tests may run as, is denied nothing.
        def deny(*_: object, **__: object) -> int:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(os, "open", deny)
        with pytest.raises(ConfigurationError, match="Permission denied"):
            storage.put("k", b"x")

    def test_another_attempt_is_advised_when_the_disk_stumbles(self, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        def stumble(_: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "fsync", stumble)
        with pytest.raises(TemporaryError, match="Input/output error"):
            storage.put("k", b"x")

    def test_configuration_is_blamed_when_the_root_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        storage = FolderStorage(tmp_path / "file")
        for use in (lambda: storage.put("k", b"x"), lambda: list(storage.list()), storage.check_writable):
            with pytest.raises(ConfigurationError):
                use()


class TestRead:
    def test_nothing_is_found_when_the_object_is_missing(self, storage: Storage) -> None:
        for use in (storage.get, lambda key: storage.local_path(key, Path())):
            with pytest.raises(NotFoundError, match="a/none does not exist"):
                use("a/none")

    def test_file_is_used_in_place_when_it_is_in_a_folder(self, storage: Storage, tmp_path: Path) -> None:
        storage.put("a/k", b"x")
        assert storage.local_path("a/k", tmp_path / "scratch") == tmp_path / "out/a/k"
        assert not (tmp_path / "scratch").exists()

    def test_listing_is_empty_when_the_folder_is_missing(self, storage: Storage) -> None:
        assert list(storage.list()) == []
        assert list(storage.list("a/b/")) == []

    def test_listing_is_sorted_and_without_hidden_names_when_asked(self, storage: Storage, tmp_path: Path) -> None:
        for key in ("b/2", "b-1", "a", ".hidden", ".git/x", "b/.draft"):
            storage.put(key, b"123")
        (tmp_path / "out/dangling").symlink_to("nowhere")
        assert [(found.key, found.size, found.version) for found in storage.list()] == [
            (key, 3, storage.get(key).version) for key in ("a", "b-1", "b/2")
        ]

    @pytest.mark.parametrize(
        ("prefix", "keys"), [("a/1", ["a/1", "a/10"]), ("a/", ["a/1", "a/10"]), ("a", ["a/1", "a/10", "ab/1"]), ("c", [])]
    )
    def test_listing_is_of_one_prefix_when_it_is_given(self, storage: Storage, prefix: str, keys: list[str]) -> None:
        for key in ("a/1", "a/10", "ab/1", "b"):
            storage.put(key, b"")
        assert [found.key for found in storage.list(prefix)] == keys

    def test_folder_is_writable_when_it_can_be_made(self, storage: Storage, tmp_path: Path) -> None:
        storage.check_writable()
        assert list(tmp_path.iterdir()) == []
