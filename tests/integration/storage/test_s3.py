"""Storage in S3, against a real server, and against one whose replies break."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import pytest

from embedder.errors import ConflictError, NotFoundError, TemporaryError
from embedder.storage import ANY, Storage, open_storage, s3_client
from embedder.storage import s3 as s3_module
from tests.faults import Fault, FaultyProxy, Refusal
from tests.patience import limit_attempts
from tests.s3_server import S3Server

pytestmark = pytest.mark.usefixtures("_no_waiting")
BROKEN_DOWNLOADS = [Fault.HALF_BODY, Fault.FLIPPED_BYTE, Fault.LOST_REPLY, Refusal(503, "SlowDown"), Refusal(500, "InternalError")]


class TestReadAndWrite:
    def test_object_reads_back_when_put(self, storage: Storage) -> None:
        version = storage.put("a/b.json", b"data")
        assert (storage.get("a/b.json").data, storage.get("a/b.json").version) == (b"data", version)

    def test_one_plain_object_is_stored_when_a_file_is_put(self, storage: Storage, s3: S3Server, bucket: str, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(os.urandom(20_000_000))
        storage.put("big", source)
        assert s3.client().get_object(Bucket=bucket, Key="out/big")["Body"].read() == source.read_bytes()

    def test_request_is_conditional_and_checksummed_when_put(self, faulty: Storage, proxy: FaultyProxy) -> None:
        faulty.put("k", b"data")
        (request,) = proxy.served
        assert request.headers["if-none-match"] == "*"
        assert request.headers["x-amz-checksum-sha256"] == "Om6weQ85rIfJTzhWst0sXREOaBFgImGpqSPTuyOtyLc="  # openssl's

    def test_nothing_is_found_when_the_object_is_missing(self, storage: Storage, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError, match="out/none does not exist"):
            storage.get("none")
        with pytest.raises(NotFoundError, match="out/none does not exist"):
            storage.local_path("none", tmp_path)

    def test_keys_are_relative_and_sorted_when_listed(self, storage: Storage, s3: S3Server, bucket: str) -> None:
        for key in ("b", "a/2", "a/1"):
            storage.put(key, b"123")
        for key in ("outside", "out/folder/"):
            s3.client().put_object(Bucket=bucket, Key=key, Body=b"")
        assert [(found.key, found.size, found.version) for found in storage.list()] == [
            (key, 3, storage.get(key).version) for key in ("a/1", "a/2", "b")
        ]
        assert [found.key for found in storage.list("a/")] == ["a/1", "a/2"]
        assert list(storage.list("none/")) == []

    def test_listing_is_whole_when_it_has_several_pages(self, storage: Storage) -> None:
        keys = [f"{number:04d}" for number in range(1_001)]
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda key: storage.put(key, b""), keys))
        assert [found.key for found in storage.list()] == keys

    def test_file_is_downloaded_in_parts_when_it_is_large(self, faulty: Storage, proxy: FaultyProxy, tmp_path: Path) -> None:
        data = os.urandom(2 * s3_module.PART_BYTES + 1)
        faulty.put("weights/w.bin", data)
        path = faulty.local_path("weights/w.bin", tmp_path / "scratch")
        assert path == tmp_path / "scratch/w.bin"
        assert sha256(path.read_bytes()).digest() == sha256(data).digest()
        assert proxy.count("GET") == 4  # the first byte, and three parts
        assert proxy.count("HEAD") == 0


class TestConditions:
    def test_conflict_is_reported_when_something_is_there(self, storage: Storage) -> None:
        storage.put("k", b"first")
        with pytest.raises(ConflictError, match="out/k was written by another"):
            storage.put("k", b"second")
        assert storage.get("k").data == b"first"

    def test_version_is_replaced_when_it_is_still_there(self, storage: Storage) -> None:
        first = storage.put("k", b"first")
        second = storage.put("k", b"second", replaces=first)
        with pytest.raises(ConflictError):
            storage.put("k", b"third", replaces=first)
        assert (storage.get("k").data, storage.get("k").version) == (b"second", second)

    def test_conflict_is_reported_when_there_is_nothing_to_replace(self, storage: Storage) -> None:
        with pytest.raises(ConflictError):
            storage.put("k", b"x", replaces="d41d8cd98f00b204e9800998ecf8427e")
        assert list(storage.list()) == []

    def test_anything_is_replaced_when_any_is_asked_for(self, storage: Storage) -> None:
        storage.put("k", b"first", replaces=ANY)
        storage.put("k", b"second", replaces=ANY)
        assert storage.get("k").data == b"second"

    @pytest.mark.parametrize("replacing", [False, True])
    def test_exactly_one_wins_when_rivals_put_at_once(self, storage: Storage, *, replacing: bool) -> None:
        for trial in range(2):
            key = f"k{trial}"
            version = storage.put(key, b"old") if replacing else None
            barrier = Barrier(4)

            def put(number: int, key: str = key, version: str | None = version, barrier: Barrier = barrier) -> bytes | None:
                barrier.wait()
                try:
                    storage.put(key, b"%d" % number, replaces=version)
                except ConflictError:
                    return None
                return b"%d" % number

            with ThreadPoolExecutor(4) as pool:
                winners = [data for data in pool.map(put, range(4)) if data]
            assert winners == [storage.get(key).data]


class TestFaultsOfPut:
    @pytest.mark.parametrize("replacing", [False, True])
    def test_put_succeeds_when_the_reply_is_lost(self, faulty: Storage, proxy: FaultyProxy, *, replacing: bool) -> None:
        old = faulty.put("k", b"old") if replacing else None
        proxy.inject(Fault.LOST_REPLY, method="PUT")
        version = faulty.put("k", b"data", replaces=old)
        assert (faulty.get("k").data, faulty.get("k").version) == (b"data", version)
        assert [served.status for served in proxy.served if served.method == "PUT"][-1] == 412

    def test_conflict_is_reported_when_a_rival_wrote_before_the_retry(self, faulty: Storage, storage: Storage, proxy: FaultyProxy) -> None:
        storage.put("k", b"the same bytes")
        proxy.inject(Refusal(503, "SlowDown"), method="PUT")
        with pytest.raises(ConflictError):
            faulty.put("k", b"the same bytes")

    @pytest.mark.parametrize("fault", [Refusal(503, "SlowDown"), Refusal(409, "ConditionalRequestConflict"), Fault.FLIPPED_UPLOAD])
    def test_put_succeeds_when_the_trouble_passes(
        self, faulty: Storage, proxy: FaultyProxy, tmp_path: Path, fault: Fault | Refusal
    ) -> None:
        (tmp_path / "source").write_bytes(b"data" * 100_000)
        proxy.inject(fault, method="PUT", times=2)
        faulty.put("k", tmp_path / "source")
        assert faulty.get("k").data == b"data" * 100_000

    @pytest.mark.parametrize("fault", [Refusal(503, "SlowDown"), Refusal(409, "ConditionalRequestConflict"), Refusal(400, "ExpiredToken")])
    def test_another_attempt_is_advised_when_the_trouble_stays(self, faulty: Storage, proxy: FaultyProxy, fault: Refusal) -> None:
        proxy.inject(fault, method="PUT", times=100)
        with pytest.raises(TemporaryError, match=fault.code):
            faulty.put("k", b"data")
        assert proxy.count("PUT") > 2

    def test_server_refuses_when_the_checksum_is_wrong(self, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        of_other_bytes = "Om6weQ85rIfJTzhWst0sXREOaBFgImGpqSPTuyOtyLc="
        monkeypatch.setattr(s3_module, "_sha256", lambda _: of_other_bytes)
        with pytest.raises(TemporaryError, match="BadDigest"):
            storage.put("k", b"not data")
        assert list(storage.list()) == []


class TestFaultsOfGet:
    @pytest.mark.parametrize("fault", BROKEN_DOWNLOADS, ids=str)
    def test_object_is_read_when_the_trouble_passes(self, faulty: Storage, proxy: FaultyProxy, fault: Fault | Refusal) -> None:
        faulty.put("k", b"data" * 1_000)
        proxy.inject(fault, times=2)
        assert faulty.get("k").data == b"data" * 1_000
        assert proxy.count("GET") in (1, 3)  # a lost reply is not counted as served

    @pytest.mark.parametrize("fault", BROKEN_DOWNLOADS, ids=str)
    def test_another_attempt_is_advised_when_the_trouble_stays(
        self, faulty: Storage, proxy: FaultyProxy, fault: Fault | Refusal, tmp_path: Path
    ) -> None:
        faulty.put("k", b"data" * 1_000)
        proxy.inject(fault, times=100)
        with pytest.raises(TemporaryError, match="out/k: "):
            faulty.get("k")
        if fault is not Fault.FLIPPED_BYTE:  # which a ranged read can't notice
            with pytest.raises(TemporaryError, match="out/k: "):
                faulty.local_path("k", tmp_path)

    def test_another_attempt_is_advised_when_the_server_hangs(
        self, faulty_bucket: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(s3_client, "READ_TIMEOUT_S", 0.2)
        limit_attempts(monkeypatch, 2)
        storage = open_storage(f"s3://{faulty_bucket}")
        storage.put("k", b"data")
        proxy.inject(Fault.HANG, times=100)
        start = time.monotonic()
        with pytest.raises(TemporaryError, match="Read timeout"):
            storage.get("k")
        assert time.monotonic() - start < 10

    def test_another_attempt_is_advised_when_no_server_listens(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        with pytest.raises(TemporaryError, match=r"127\.0\.0\.1:9"):
            open_storage(f"s3://{bucket}").get("k")

    def test_download_is_whole_when_the_trouble_passes(self, faulty: Storage, proxy: FaultyProxy, tmp_path: Path) -> None:
        data = os.urandom(s3_module.PART_BYTES + 1)
        faulty.put("k", data)
        proxy.inject(Fault.HALF_BODY, times=2)
        proxy.inject(Refusal(503, "SlowDown"), times=2)
        assert faulty.local_path("k", tmp_path).read_bytes() == data

    def test_another_attempt_is_advised_when_a_download_is_short(
        self, faulty: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faulty.put("k", b"data")
        known = s3_client.ObjectStat(size=8, etag=f'"{faulty.get("k").version}"', metadata={})
        monkeypatch.setattr(s3_module, "stat_object", lambda *_: known)
        with pytest.raises(TemporaryError, match="out/k came with 4 bytes of 8: try again"):
            faulty.local_path("k", tmp_path)

    def test_another_attempt_is_advised_when_the_object_changes_during_a_download(
        self, faulty: Storage, proxy: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faulty.put("k", b"data")
        known = s3_client.ObjectStat(size=4, etag='"another"', metadata={})
        monkeypatch.setattr(s3_module, "stat_object", lambda *_: known)
        before = proxy.count("GET")
        with pytest.raises(ConflictError, match="out/k has changed while it was downloaded: try again"):
            faulty.local_path("k", tmp_path)
        assert proxy.count("GET") == before + 1
