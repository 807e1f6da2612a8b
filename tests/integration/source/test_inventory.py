"""The listing of a source, and the addresses that it may have."""

import errno
import os
from pathlib import Path

import pytest
from botocore.awsrequest import AWSPreparedRequest

from embedder.errors import ConfigurationError, UsageError
from embedder.grid import Tile
from embedder.source.inventory import PUBLIC_SOURCE, BucketSource, list_tiles, open_source
from tests.four_tiles import YEAR
from tests.s3_server import PUBLIC_BUCKET, S3Server

pytestmark = pytest.mark.usefixtures("_short_waits")


@pytest.mark.parametrize("kind", ["https", "s3"])
def test_a_bucket_is_listed_without_a_signature(s3: S3Server, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    client = s3.client()
    key = Tile.from_name("N40W100").key(2021)
    for name in (key, "rgbnir/2021/N40/ESA_WorldCover_10m_2021_v200_N40E010_S2RGBNIR.tif", "rgbnir/2021/N40/readme.txt"):
        client.put_object(Bucket=PUBLIC_BUCKET, Key=name, Body=b"tile")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint if kind == "s3" else "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    source = open_source(f"s3://{PUBLIC_BUCKET}" if kind == "s3" else f"{s3.endpoint}/{PUBLIC_BUCKET}")
    inventory = list_tiles(source, 2021)
    assert [tile.name for tile in inventory] == ["N40W100"]
    assert inventory[Tile.from_name("N40W100")].size == 4
    assert inventory[Tile.from_name("N40W100")].etag == client.head_object(Bucket=PUBLIC_BUCKET, Key=key)["ETag"]


AMAZON_BUCKET = "https://esa-worldcover-s2.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("location", "endpoint", "address"),
    [
        (PUBLIC_SOURCE, "http://127.0.0.1:9", AMAZON_BUCKET + "/"),
        ("s3://esa-worldcover-s2", None, AMAZON_BUCKET + "/"),
        ("s3://esa-worldcover-s2/copy/", "http://127.0.0.1:9", "http://127.0.0.1:9/esa-worldcover-s2/copy/"),
        ("https://copies.s3.eu-central-1.amazonaws.com/copy", "http://127.0.0.1:9", "https://copies.s3.eu-central-1.amazonaws.com/copy/"),
        ("http://host:9000/bucket/a/b", "http://127.0.0.1:9", "http://host:9000/bucket/a/b/"),
    ],
)
def test_requests_go_to_the_address_without_a_signature(
    monkeypatch: pytest.MonkeyPatch, location: str, endpoint: str | None, address: str
) -> None:
    """AWS_ENDPOINT_URL_S3 moves s3:// addresses and no others."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    source = open_source(location)
    asked: list[AWSPreparedRequest] = []

    def stop(request: AWSPreparedRequest, **_: object) -> None:
        asked.append(request)
        raise InterruptedError

    assert isinstance(source, BucketSource)
    source.client.meta.events.register("before-send.s3", stop)
    with pytest.raises(InterruptedError):
        source.stat("rgbnir/tile.tif")
    assert [request.url for request in asked] == [f"{address}rgbnir/tile.tif"]
    assert "Authorization" not in asked[0].headers
    assert source.gdal_path("rgbnir/tile.tif") == f"/vsicurl/{address}rgbnir/tile.tif"


def test_a_slash_at_the_end_makes_no_other_source() -> None:
    assert open_source(f"{PUBLIC_SOURCE}/").location == PUBLIC_SOURCE


@pytest.mark.parametrize(("name", "value"), [("AWS_ENDPOINT_URL_S3", "localhost:9000"), ("AWS_PROFILE", "no-such-profile")])
def test_settings_that_cannot_be_used_end_with_78(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"{name}|{value}"):
        open_source("s3://bucket")


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as failure:
        open_source("https://user:hunter2@host/bucket")
    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize(
    ("bucket_name", "reason"),
    [("there-is-none", "no such bucket|may list it"), ("private", "may list it"), ("Not_A_Bucket!", "bucket|list it")],
)
def test_listing_refuses_when_the_bucket_cannot_be_listed(s3: S3Server, bucket_name: str, reason: str) -> None:
    if bucket_name == "private":
        s3.client().create_bucket(Bucket="private")
    with pytest.raises(ConfigurationError, match=reason) as failure:
        list_tiles(open_source(f"{s3.endpoint}/{bucket_name}"), YEAR)
    assert failure.value.exit_code == 78
    assert "--source" in str(failure.value)


def test_a_linked_folder_is_listed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rgbnir").symlink_to(folder / "rgbnir")
    assert list_tiles(open_source(str(tmp_path)), YEAR) == list_tiles(open_source(str(folder)), YEAR)


def test_a_folder_that_may_not_be_read_is_no_folder_without_tiles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path) -> object:  # injected, as root, whom tests may run as, is denied nothing
        if str(path).endswith("N48"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scan(path)

    scan = os.scandir
    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        list_tiles(open_source(str(folder)), YEAR)


def test_listing_refuses_an_empty_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no tile of 2020 in the grid"):
        list_tiles(open_source(str(tmp_path)), YEAR)


def test_listing_refuses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a folder"):
        open_source(str(tmp_path / "none"))


@pytest.mark.parametrize("location", ["s3://", "ftp://host/bucket", "https://", "https://host"])
def test_an_address_without_a_bucket_is_wrong_usage(location: str) -> None:
    with pytest.raises(UsageError, match="no bucket and no folder"):
        open_source(location)
