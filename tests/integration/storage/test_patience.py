"""An output, a source and weights that are away for a while, or answer too slowly, and addresses that they are reached at."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from embedder.cli.command import exit_code_of
from embedder.cli.steps import cli
from embedder.errors import ConfigurationError, EmbedderError, NotFoundError, TemporaryError, UsageError
from embedder.grid import Window
from embedder.source.inventory import list_tiles, open_source
from embedder.source.strip import read_strip
from embedder.storage import Storage, network, open_storage, retries
from embedder.storage.download import fetch_checkpoint, without_secrets
from tests.faults import Fault, FaultyProxy, Refusal
from tests.jobs import TILE
from tests.patience import limit_attempts, skip_waits
from tests.s3_server import PUBLIC_BUCKET, S3Server, aws_environment
from tests.tiles import write_tile

BODY = os.urandom(20_000)
STRANGE = "a b/50%/x?y=1/#1/ü+~"
"""Legal in a key, and each with a meaning of its own in a URL."""


def use_all(storage: Storage, folder: Path) -> None:
    """Everything that a storage does; `k` is there."""
    assert [found.key for found in storage.list()] == ["k"]
    assert storage.get("k").data == BODY
    storage.put("k", BODY, replaces=storage.get("k").version)
    assert storage.local_path("k", folder).read_bytes() == BODY
    storage.check_writable()


class TestAway:
    def test_nothing_is_lost_when_the_output_is_away_for_a_minute_again_and_again(
        self, faulty_bucket: str, proxy: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        storage = open_storage(f"s3://{faulty_bucket}/out")
        storage.put("k", BODY)
        waits = skip_waits(monkeypatch)
        real_pause = retries.pause

        def pause(seconds: float, stop: threading.Event) -> None:
            real_pause(seconds, stop)
            if sum(waits) - away_since[0] > 60:
                proxy.is_away = False

        away_since = [0.0]
        monkeypatch.setattr(retries, "pause", pause)
        for use in (
            lambda: [found.key for found in storage.list()] == ["k"],
            lambda: storage.get("k").data == BODY,
            lambda: storage.put("k", BODY, replaces="*"),
            lambda: storage.local_path("k", tmp_path).read_bytes() == BODY,
            lambda: storage.check_writable() is None,
        ):
            away_since[0] = sum(waits)
            proxy.is_away = True
            assert use()
            assert not proxy.is_away

    def test_a_first_contact_ends_after_ten_seconds_when_nobody_listens(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        waits = skip_waits(monkeypatch)
        for use in (lambda: open_storage(f"s3://{bucket}/never").get("k"), lambda: list_tiles(open_source(f"s3://{bucket}/never"), 2020)):
            waits.clear()
            with pytest.raises(TemporaryError):
                use()
            assert sum(waits) == pytest.approx(10)

    @pytest.mark.parametrize(
        "fault",
        [Refusal(500), Refusal(502), Refusal(504), Refusal(429), Refusal(503, "SlowDown"), Fault.HALF_BODY, Fault.LOST_REPLY],
        ids=str,
    )
    def test_a_listing_is_whole_when_the_trouble_passes(
        self, faulty_bucket: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, fault: Fault | Refusal
    ) -> None:
        skip_waits(monkeypatch)
        storage = open_storage(f"s3://{faulty_bucket}/out")
        storage.put("k", BODY)
        proxy.inject(fault, path="list-type", times=4)
        assert [found.key for found in storage.list()] == ["k"]

    def test_a_listing_is_asked_for_again_when_it_arrives_damaged(
        self, faulty_bucket: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        skip_waits(monkeypatch)
        storage = open_storage(f"s3://{faulty_bucket}/out")
        storage.put("k", BODY)
        proxy.inject(Fault.FLIPPED_BYTE, path="list-type", times=4)
        assert [found.key for found in storage.list()] == ["k"]

    def test_only_what_is_missing_is_fetched_again_when_a_part_of_a_download_fails(
        self, faulty_bucket: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        skip_waits(monkeypatch)
        monkeypatch.setattr("embedder.storage.s3.PART_BYTES", 1_000)
        storage = open_storage(f"s3://{faulty_bucket}/out")
        storage.put("k", BODY)
        proxy.inject(Refusal(503, "SlowDown"), path="out/k", times=7)
        assert storage.local_path("k", tmp_path).read_bytes() == BODY
        assert proxy.count("GET", "out/k") == 1 + 20 + 7


class TestTrickle:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(network, "FLOOR_S", 0.2)
        limit_attempts(monkeypatch, 2)

    @pytest.fixture
    def uses(self, faulty_bucket: str, s3: S3Server, proxy: FaultyProxy, tmp_path: Path) -> dict[str, Callable[[], object]]:
        storage = open_storage(f"s3://{faulty_bucket}/out")
        storage.put("k", BODY)
        tile = write_tile(tmp_path, TILE, Window(x=0, y=0, width=1_200, height=600))
        s3.client().upload_file(str(tile), PUBLIC_BUCKET, f"trickle/{TILE.key(2020)}")
        s3.client().put_object(Bucket=PUBLIC_BUCKET, Key="trickle/k", Body=BODY)
        source = open_source(f"{proxy.url}/{PUBLIC_BUCKET}/trickle")
        inventory = list_tiles(source, 2020)
        return {
            "listing": lambda: list(storage.list()),
            "get": lambda: storage.get("k"),
            "download": lambda: storage.local_path("k", tmp_path),
            "source's listing": lambda: list_tiles(source, 2020),
            "tile": lambda: list(read_strip(source, inventory, 2020, [0], 512)),
            "weights": lambda: fetch_checkpoint(f"{proxy.url}/{PUBLIC_BUCKET}/trickle/k", tmp_path / "got"),
            "weights in S3": lambda: fetch_checkpoint(f"s3://{faulty_bucket}/out/k", tmp_path / "got"),
        }

    @pytest.mark.parametrize("use", ["listing", "get", "download", "source's listing", "tile", "weights", "weights in S3"])
    def test_a_trickle_is_given_up_and_asked_for_anew_and_ends_with_75(
        self, uses: dict[str, Callable[[], object]], proxy: FaultyProxy, use: str
    ) -> None:
        proxy.inject(Fault.TRICKLE)
        uses[use]()
        proxy.inject(Fault.TRICKLE, times=1_000)
        with pytest.raises(TemporaryError, match=r"less than 1000 bytes a second for .* s"):
            uses[use]()

    def test_a_slow_start_is_no_trickle(self, uses: dict[str, Callable[[], object]], proxy: FaultyProxy) -> None:
        """What counts is from the first byte on: a server may think about it."""
        proxy.delay_s = 0.5
        uses["get"]()
        assert proxy.count("GET", "out/k") == 1


class TestAddresses:
    @pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
    def test_a_slash_at_the_end_of_the_endpoint_does_no_harm(
        self, s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
        monkeypatch.setenv(name, f"{s3.endpoint}//")
        open_storage(f"s3://{bucket}").put("k", BODY)
        use_all(open_storage(f"s3://{bucket}"), tmp_path)
        check_source(s3, f"s3://{PUBLIC_BUCKET}/slash", "slash", tmp_path)
        check_source(s3, f"{s3.endpoint}//{PUBLIC_BUCKET}/slash/", "slash", tmp_path)

    @pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
    @pytest.mark.parametrize(
        "address",
        [
            "http://user:hunter2@{}",
            "http://hunter2@{}/",
            "http://{}?hunter2",
            "http://{}/#hunter2",
            "{}",
            "ftp://{}",
            "http://",
            "http://host:99999",
            "http://host:x",
            "http://a b",
            "http://{}/a?b/",
        ],
    )
    def test_another_endpoint_is_refused_at_once_and_its_variable_named(
        self, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, name: str, address: str
    ) -> None:
        monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
        monkeypatch.setenv(name, address.format(s3.endpoint.partition("://")[2]))
        waits = skip_waits(monkeypatch)
        for use in (
            lambda: open_storage(f"s3://{bucket}").get("k"),
            lambda: open_source(f"s3://{bucket}"),
            lambda: fetch_checkpoint(f"s3://{bucket}/k", Path("got")),
        ):
            with pytest.raises(ConfigurationError, match=f"{name} is no address") as refused:
                use()
            assert "hunter2" not in str(refused.value)
            assert not waits

    def test_an_endpoint_of_the_configuration_file_is_looked_at_too(
        self, s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
        (tmp_path / "config").write_text(f"[default]\nendpoint_url = {s3.endpoint.replace('//', '//me:hunter2@')}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        with pytest.raises(ConfigurationError, match="endpoint_url of the AWS configuration is no address") as refused:
            open_storage(f"s3://{bucket}").get("k")
        assert "hunter2" not in str(refused.value)

    @pytest.mark.parametrize(
        "location", ["https://host/bucket?x", "https://host/bucket/#x", "https://host:x/b", "https://host:0/b", "https://h h/b"]
    )
    def test_another_address_of_the_source_is_refused_at_once(self, location: str) -> None:
        with pytest.raises((UsageError, ConfigurationError), match="the source's address") as refused:
            open_source(location)
        assert refused.value.exit_code in {2, 78}

    def test_any_character_may_stand_in_a_prefix(self, s3: S3Server, bucket: str, tmp_path: Path) -> None:
        storage = open_storage(f"s3://{bucket}/{STRANGE}/")
        assert storage.url == f"s3://{bucket}/{STRANGE}"
        storage.put("k", BODY)
        assert [found["Key"] for found in s3.client().list_objects_v2(Bucket=bucket)["Contents"]] == [f"{STRANGE}/k"]
        use_all(storage, tmp_path)
        assert fetch_checkpoint(f"s3://{bucket}/{STRANGE}/k", tmp_path / "got").read_bytes() == BODY
        check_source(s3, f"s3://{PUBLIC_BUCKET}/{STRANGE}", STRANGE, tmp_path)
        check_source(s3, f"{s3.endpoint}/{PUBLIC_BUCKET}/a%20b/50%25/x%3Fy=1/%231/%C3%BC+~", STRANGE, tmp_path)

    def test_two_keys_are_told_apart_when_a_message_shows_them(self) -> None:
        assert without_secrets("s3://bucket/a?b/w.ckpt#1") == "s3://bucket/a?b/w.ckpt#1"
        assert without_secrets("S3://me:hunter2@bucket/a@b") == "S3://bucket/a@b"

    def test_an_absent_object_is_named_in_full_when_its_prefix_has_a_question_mark(self, bucket: str) -> None:
        with pytest.raises(NotFoundError, match=r"x\?y/none"):
            open_storage(f"s3://{bucket}/x?y").get("none")


def check_source(s3: S3Server, location: str, prefix: str, folder: Path) -> None:
    """GDAL and boto3 both find the tile."""
    tile = write_tile(folder, TILE, Window(x=0, y=0, width=1_200, height=600))
    s3.client().upload_file(str(tile), PUBLIC_BUCKET, f"{prefix}/{TILE.key(2020)}")
    source = open_source(location)
    chips = list(read_strip(source, list_tiles(source, 2020), 2020, [0], 512))
    assert [chip.outcome for chip in chips[:2]] == ["e", "n"]


def test_a_command_ends_with_78_when_the_endpoint_holds_a_password(
    s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in aws_environment(s3.endpoint.replace("//", "//me:hunter2@")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", f"embedder status --year 2020 --output s3://{bucket}/out".split())
    assert exit_code_of(cli, "embedder") == EmbedderError.exit_code
    shown = capsys.readouterr().err
    assert "AWS_ENDPOINT_URL_S3" in shown
    assert "hunter2" not in shown
