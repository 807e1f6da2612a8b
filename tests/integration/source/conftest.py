"""What the source's tests share: four tiles, in a folder and in a bucket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from embedder.grid import Tile, Window
from embedder.source.inventory import Source, open_source
from tests.faults import FaultyProxy
from tests.four_tiles import CORNER, YEAR
from tests.patience import skip_waits
from tests.s3_server import PUBLIC_BUCKET, S3Server
from tests.tiles import REAL, REAL_TILE, write_tile


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    for seed, (name, (x, y)) in enumerate(CORNER.items()):
        write_tile(folder, Tile.from_name(name), Window(x=x, y=y, width=1_000, height=1_000), seed=seed)
    return folder


@pytest.fixture
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_waits(monkeypatch)


@pytest.fixture(scope="session")
def uploaded(s3: S3Server, folder: Path) -> str:
    bucket = PUBLIC_BUCKET
    for name in CORNER:
        key = Tile.from_name(name).key(YEAR)
        s3.client().upload_file(str(folder / key), bucket, key)
    return bucket


@pytest.fixture
def remote(proxy: FaultyProxy, uploaded: str) -> Source:
    return open_source(f"{proxy.url}/{uploaded}")


@pytest.fixture
def real_remote(s3: S3Server, proxy: FaultyProxy) -> Iterator[Source]:
    bucket, key = PUBLIC_BUCKET, REAL_TILE.key(YEAR)
    s3.client().upload_file(str(REAL / key), bucket, key)
    yield open_source(f"{proxy.url}/{bucket}")
    s3.client().delete_object(Bucket=bucket, Key=key)
