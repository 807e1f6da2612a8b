"""Storage in a folder whose file system lacks links, nameless files, locks, or the syncing of folders."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from embedder.cli.command import exit_code_of
from embedder.cli.steps import cli
from embedder.errors import ConfigurationError, ConflictError, TemporaryError
from embedder.steps.preflight import check_output
from embedder.storage import ANY, folder
from embedder.storage.folder import LOCK, FolderStorage
from tests.file_systems import EXFAT, GCSFUSE, SMB, lack

Lacking = Callable[[dict[str, int]], None]
NO_LINKS = [errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EMLINK]
NO_NAMELESS = [errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENOSYS, errno.EPERM]
NO_LOCKS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EINVAL]
SYSTEMS = pytest.mark.parametrize("answers", [SMB, EXFAT, GCSFUSE], ids=["smb", "exfat", "gcsfuse"])
PROCESSES = 4


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> Lacking:
    return lambda answers: lack(answers, monkeypatch.setattr)


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "out")


@pytest.fixture
def started() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts Python on a file system that lacks something, with `out`, a storage in a folder; what still runs in the end is killed."""
    with ExitStack() as running:

        def start(answers: dict[str, int], root: Path, code: str) -> "subprocess.Popen[str]":
            lines = (
                "import fcntl, os, signal, sys",
                "from pathlib import Path",
                "from embedder.errors import ConflictError",
                "from embedder.storage import ANY, open_storage",
                "from tests.file_systems import lack",
                f"lack({answers}); out = open_storage({str(root)!r})",
                code,
            )
            command = [sys.executable, "-c", "\n".join(lines)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own code
            running.enter_context(process)
            running.callback(process.kill)
            return process

        yield start


def files_in(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def check_puts(storage: FolderStorage) -> None:
    """Each kind of put does what it promises."""
    first = storage.put("k", b"first")
    with pytest.raises(ConflictError):
        storage.put("k", b"late")
    assert (storage.get("k").data, storage.get("k").version) == (b"first", first)
    second = storage.put("k", b"second", replaces=first)
    with pytest.raises(ConflictError):
        storage.put("k", b"stale", replaces=first)
    assert (storage.get("k").data, storage.get("k").version) == (b"second", second)
    third = storage.put("k", b"third", replaces=ANY)
    assert (storage.get("k").data, storage.get("k").version) == (b"third", third)
    assert len({first, second, third}) == 3
    with pytest.raises(ConflictError):
        storage.put("none", b"stale", replaces=first)
    assert files_in(storage.root) - {LOCK} == {"k"}


class TestPut:
    @pytest.mark.parametrize("nameless", [True, False])
    @pytest.mark.parametrize("number", NO_LINKS, ids=errno.errorcode.get)
    def test_promises_are_kept_when_there_are_no_links(
        self, storage: FolderStorage, lacking: Lacking, number: int, *, nameless: bool
    ) -> None:
        lacking({"links": number} | ({} if nameless else {"nameless files": errno.EOPNOTSUPP}))
        check_puts(storage)

    @pytest.mark.parametrize("number", NO_NAMELESS, ids=errno.errorcode.get)
    def test_promises_are_kept_when_there_are_no_nameless_files(self, storage: FolderStorage, lacking: Lacking, number: int) -> None:
        lacking({"nameless files": number})
        check_puts(storage)
        assert files_in(storage.root) == {"k"}

    @SYSTEMS
    def test_promises_are_kept_when_the_file_system_is_a_poor_one(
        self, storage: FolderStorage, lacking: Lacking, answers: dict[str, int]
    ) -> None:
        lacking(answers)
        storage.check_writable()
        check_puts(storage)

    def test_file_is_linked_when_a_nameless_one_cannot_be(self, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch) -> None:
        link = os.link

        def without_proc(source: str, name: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            link(source.replace("/proc", "/no-proc"), name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        monkeypatch.setattr(os, "link", without_proc)
        check_puts(storage)
        assert files_in(storage.root) == {"k"}

    @pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOSYS], ids=errno.errorcode.get)
    def test_promises_are_kept_when_folders_cannot_be_synced(self, storage: FolderStorage, lacking: Lacking, number: int) -> None:
        lacking({"syncing of folders": number})
        check_puts(storage)

    def test_another_attempt_is_advised_when_syncing_a_folder_fails(self, storage: FolderStorage, lacking: Lacking) -> None:
        lacking({"syncing of folders": errno.EIO})
        with pytest.raises(TemporaryError, match="Input/output error"):
            storage.put("k", b"x")

    def test_version_is_that_of_the_renamed_file_when_a_rename_gives_another_number(
        self, storage: FolderStorage, lacking: Lacking, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def copying(source: str, name: str, **_: int) -> None:
            (storage.root / name).write_bytes((storage.root / source).read_bytes())
            (storage.root / source).unlink()

        lacking(GCSFUSE)
        monkeypatch.setattr(os, "replace", copying)
        assert storage.put("k", b"x") == storage.get("k").version

    def test_file_is_kept_when_it_may_not_be_locked_by_this_user(self, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch) -> None:
        # Or else two ways to lock, one a user, would be in use for one file.
        version = storage.put("k", b"somebody's")
        original = os.open

        def deny(path: str, flags: int, *given: int, **named: int) -> int:
            if path == "k":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return original(path, flags, *given, **named)

        monkeypatch.setattr(os, "open", deny)
        with pytest.raises(ConfigurationError, match="Permission denied"):
            storage.put("k", b"mine", replaces=version)
        assert (storage.root / "k").read_bytes() == b"somebody's"
        assert files_in(storage.root) == {"k"}


class TestRivals:
    @pytest.mark.parametrize("replacing", [False, True])
    @SYSTEMS
    def test_exactly_one_wins_when_processes_put_at_once(
        self, tmp_path: Path, started: Callable[..., "subprocess.Popen[str]"], answers: dict[str, int], *, replacing: bool
    ) -> None:
        trials = 25
        storage = FolderStorage(tmp_path)
        versions = [storage.put(f"k{trial}", b"old") if replacing else None for trial in range(trials)]
        code = f"""
print("ready", flush=True)
for trial, version in enumerate({versions}):
    sys.stdin.readline()
    try:
        out.put(f"k{{trial}}", str(os.getpid()).encode(), replaces=version)
        print("won", flush=True)
    except ConflictError:
        print("lost", flush=True)
"""
        rivals = [started(answers, tmp_path, code) for _ in range(PROCESSES)]
        assert [_line(rival) for rival in rivals] == ["ready"] * PROCESSES
        for trial in range(trials):
            for rival in rivals:
                assert rival.stdin
                rival.stdin.write("go\n")
                rival.stdin.flush()
            winners = [rival.pid for rival in rivals if _line(rival) == "won"]
            assert winners == [int(storage.get(f"k{trial}").data)]

    @pytest.mark.parametrize("replaces", [None, ANY])
    def test_lock_is_held_when_the_name_is_given(
        self, storage: FolderStorage, lacking: Lacking, monkeypatch: pytest.MonkeyPatch, replaces: str | None
    ) -> None:
        replace, seen = os.replace, []

        def looking(source: str, name: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            with (storage.root / LOCK).open("rb") as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            seen.append(name)
            replace(source, name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        lacking(SMB)
        monkeypatch.setattr(os, "replace", looking)
        storage.put("k", b"x", replaces=replaces)
        assert seen == ["k"]


class TestDeath:
    @SYSTEMS
    def test_nothing_is_seen_when_the_process_is_killed_while_it_writes(
        self, tmp_path: Path, started: Callable[..., "subprocess.Popen[str]"], answers: dict[str, int], lacking: Lacking
    ) -> None:
        os.mkfifo(tmp_path / "endless")
        process = started(answers, tmp_path / "out", f"out.put('k', Path({str(tmp_path / 'endless')!r}))")
        with (tmp_path / "endless").open("wb") as endless:
            endless.write(bytes(8_000_000))  # returns when the process has taken nearly all of it
            process.send_signal(signal.SIGKILL)
            process.wait()
        storage = FolderStorage(tmp_path / "out")
        assert list(storage.list()) == []
        lacking(answers)
        storage.put("k", b"next")
        assert storage.get("k").data == b"next"

    @pytest.mark.parametrize("replacing", [False, True])
    def test_the_next_put_succeeds_when_the_process_is_killed_with_the_lock(
        self, tmp_path: Path, started: Callable[..., "subprocess.Popen[str]"], lacking: Lacking, *, replacing: bool
    ) -> None:
        lacking(SMB)
        storage = FolderStorage(tmp_path)
        version = storage.put("k", b"old") if replacing else None
        code = f"os.replace = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\nout.put('k', b'lost', replaces={version!r})"
        assert started(SMB, tmp_path, code).wait() == -signal.SIGKILL
        assert [storage.get(listed.key).data for listed in storage.list()] == ([b"old"] if replacing else [])
        storage.put("k", b"next", replaces=version)
        assert storage.get("k").data == b"next"


class TestRefusal:
    @pytest.mark.parametrize("links", [True, False])
    @pytest.mark.parametrize("number", NO_LOCKS, ids=errno.errorcode.get)
    def test_folder_is_refused_when_it_has_no_locks(
        self, tmp_path: Path, storage: FolderStorage, lacking: Lacking, number: int, *, links: bool
    ) -> None:
        lacking({"locks": number} | ({} if links else SMB))
        refused = check_output(str(tmp_path / "out")).error
        assert isinstance(refused, ConfigurationError)
        assert str(refused).startswith(f"{tmp_path}: its file system has no locks ({os.strerror(number)})")
        assert (refused.exit_code, "\n" in str(refused)) == (78, False)
        assert list(tmp_path.iterdir()) == []
        if not links:
            with pytest.raises(ConfigurationError, match="no locks"):
                storage.put("k", b"x")
            assert list(storage.list()) == []

    def test_plan_ends_with_the_reason_when_the_folder_has_no_locks(
        self, tmp_path: Path, lacking: Lacking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        line = f"embedder plan --year 2020 --columns 74 --source {tmp_path} --weights random:0 --output {tmp_path / 'out'}"
        monkeypatch.setattr("sys.argv", line.split())
        lacking({"locks": errno.ENOLCK})
        assert exit_code_of(cli, "embedder") == 78
        assert capsys.readouterr().err.startswith(f"error: {tmp_path}: its file system has no locks (No locks available), so that two")
        assert list(tmp_path.iterdir()) == []

    def test_another_attempt_is_advised_when_locking_stumbles(self, storage: FolderStorage, lacking: Lacking) -> None:
        lacking({"locks": errno.EIO})
        with pytest.raises(TemporaryError, match="Input/output error"):
            storage.check_writable()

    def test_folder_is_refused_when_a_link_replaces_what_is_there(self, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch) -> None:
        link = os.link

        def replacing(source: str, name: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            try:
                link(source, name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            except FileExistsError:
                os.unlink(name, dir_fd=dst_dir_fd)
                link(source, name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        monkeypatch.setattr(os, "link", replacing)
        with pytest.raises(ConfigurationError, match="replaces files unasked"):
            storage.check_writable()

    def test_folder_is_refused_when_versions_change_by_themselves(self, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch) -> None:
        numbers = iter(range(100))
        monkeypatch.setattr(folder, "_version", lambda _: f"{next(numbers)}")
        with pytest.raises(ConfigurationError, match="by itself"):
            storage.check_writable()

    def test_nothing_is_left_when_writability_is_checked(self, storage: FolderStorage, tmp_path: Path, lacking: Lacking) -> None:
        storage.check_writable()
        lacking(SMB)
        storage.check_writable()
        assert list(tmp_path.iterdir()) == []


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()
