"""S3 servers, and gateways before them, that refuse HEAD where they allow GET."""

from pathlib import Path
from uuid import uuid4

import pytest

from embedder.errors import NotFoundError
from embedder.explore.pictures.images import TilePictures
from embedder.grid import Chip, Window
from embedder.source.inventory import list_tiles, open_source
from embedder.source.strip import read_strip
from embedder.storage import Storage, open_storage
from embedder.storage import s3 as s3_module
from tests.faults import Fault, FaultyProxy, Refusal
from tests.jobs import TILE
from tests.s3_server import PUBLIC_BUCKET, S3Server
from tests.tiles import write_tile


@pytest.fixture(params=[403, 405, 501])
def no_head(request: pytest.FixtureRequest, proxy: FaultyProxy) -> FaultyProxy:
    proxy.inject(Refusal(request.param), method="HEAD", times=10_000)
    return proxy


@pytest.fixture
def storage(faulty_bucket: str, no_head: FaultyProxy) -> Storage:
    assert no_head
    return open_storage(f"s3://{faulty_bucket}/out")


@pytest.mark.parametrize("size", [0, 1, 5_000, s3_module.PART_BYTES + 5])
def test_an_object_is_downloaded_when_head_is_refused(storage: Storage, tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    storage.put("k", data)
    assert storage.local_path("k", tmp_path).read_bytes() == data


def test_a_put_whose_reply_was_lost_is_known_when_head_is_refused(storage: Storage, no_head: FaultyProxy) -> None:
    no_head.inject(Fault.LOST_REPLY, method="PUT")
    assert storage.put("k", b"data") == storage.get("k").version
    no_head.inject(Fault.LOST_REPLY, method="PUT")
    assert storage.put("k", b"", replaces=storage.get("k").version) == storage.get("k").version


def test_a_missing_object_is_missing_when_head_is_refused(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        storage.local_path("k", tmp_path)


def test_a_source_is_read_when_head_is_refused(s3: S3Server, no_head: FaultyProxy, tmp_path: Path) -> None:
    prefix = f"head-{uuid4().hex}"
    tile = write_tile(tmp_path, TILE, Window(x=0, y=0, width=1_200, height=600))
    s3.client().upload_file(str(tile), PUBLIC_BUCKET, f"{prefix}/{TILE.key(2020)}")
    source = open_source(f"{no_head.url}/{PUBLIC_BUCKET}/{prefix}")
    chips = list(read_strip(source, list_tiles(source, 2020), 2020, [0], 512))
    assert [chip.outcome for chip in chips[:2]] == ["e", "n"]
    assert TilePictures(source, {})(Chip(column=0, row=0, pixels=512), 2020)
    assert source.stat(TILE.key(2020)) == list_tiles(source, 2020)[TILE]
    with pytest.raises(NotFoundError):
        source.stat(TILE.key(2021))
