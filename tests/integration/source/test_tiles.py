"""Tiles that arrive damaged, change or have another form, from a server that fails in every way it can."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.merge

from embedder.errors import ConfigurationError, EmbedderError, SourceError, TemporaryError
from embedder.grid import Tile, Window
from embedder.source.inventory import Source, list_tiles, open_source
from embedder.source.strip import ChipRead, read_strip
from tests.faults import Fault, FaultyProxy, Flipped, Refusal
from tests.four_tiles import YEAR, oracle, read
from tests.s3_server import S3Server
from tests.tiles import write_tile

pytestmark = pytest.mark.usefixtures("_short_waits")


@pytest.mark.parametrize("byte", [0, 3])
def test_pixels_are_right_when_the_table_of_blocks_arrives_damaged_once(
    folder: Path, remote: Source, proxy: FaultyProxy, byte: int
) -> None:
    path = folder / Tile.from_name("N49W125").key(YEAR)
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_11_11", "TIFF", bidx=1))
    entry = path.read_bytes().index(offset.to_bytes(4, "little"))
    assert entry < 32_768, "in the first request's reply"
    proxy.inject(Flipped(at=entry + byte), path=Tile.from_name("N49W125").key(YEAR))
    embedded = [chip for chip in read(remote, [22]) if chip.outcome == "e"]
    assert embedded
    for chip in embedded:
        np.testing.assert_array_equal(chip.pixels, oracle(folder, chip.chip))


FAULTS = [Fault.HALF_BODY, Fault.FLIPPED_BYTE, Fault.LOST_REPLY, Refusal(503, "SlowDown"), Refusal(500, "InternalError"), Refusal(429)]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_pixels_are_right_when_requests_fail_now_and_then(
    folder: Path, remote: Source, proxy: FaultyProxy, fault: Fault | Refusal, method: str
) -> None:
    inventory = list_tiles(remote, YEAR)
    proxy.inject(fault, method=method, path=".tif", times=3)
    embedded = [chip for chip in read(remote, [23], inventory=inventory) if chip.outcome == "e"]
    assert len(embedded) == 3
    for chip in embedded:
        np.testing.assert_array_equal(chip.pixels, oracle(folder, chip.chip))


@pytest.mark.parametrize("fault", [Fault.HALF_BODY, Fault.LOST_REPLY, Refusal(503, "SlowDown")], ids=str)
def test_reading_ends_with_75_when_trouble_outlasts_the_retries(remote: Source, proxy: FaultyProxy, fault: Fault | Refusal) -> None:
    inventory = list_tiles(remote, YEAR)
    proxy.inject(fault, method="GET", path=".tif", times=10_000)
    with pytest.raises(TemporaryError, match=r"N4\dW12\d.*(try again|SlowDown)"):
        read(remote, [23], inventory=inventory)


def test_reading_ends_with_75_when_the_server_is_gone(remote: Source, proxy: FaultyProxy) -> None:
    inventory = list_tiles(remote, YEAR)
    proxy.__exit__(None, None, None)
    with pytest.raises(EmbedderError, match=r"N4\dW12\d|network") as failure:
        read(remote, [23], inventory=inventory)
    assert failure.value.exit_code == 75


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchKey")])
def test_reading_ends_with_78_when_a_listed_tile_is_refused(remote: Source, proxy: FaultyProxy, status: int, code: str) -> None:
    inventory = list_tiles(remote, YEAR)
    for method in ("GET", "HEAD"):
        proxy.inject(Refusal(status, code), method=method, path="N48W125", times=10_000)
    with pytest.raises(ConfigurationError, match="N48W125") as failure:
        read(remote, [22], inventory=inventory)
    assert failure.value.exit_code == 78


# Wrong tiles


@pytest.mark.parametrize("when", ["before it is opened", "after it is opened"])
def test_reading_ends_with_78_when_the_tile_changes(
    s3: S3Server, proxy: FaultyProxy, tmp_path: Path, uploaded: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedder.source.bands.MOST_THREADS", 1)  # so that not all of it is read ahead
    tile = Tile.from_name("N30W100")
    path = write_tile(tmp_path, tile, Window(x=0, y=0, width=1_100, height=5_000))
    key = tile.key(2021)
    s3.client().upload_file(str(path), uploaded, key)
    source = open_source(f"{proxy.url}/{uploaded}")
    inventory = {tile: list_tiles(source, 2021)[tile]}
    column = tile.window.x // 512 + 1
    chips: Iterator[ChipRead] = read_strip(source, inventory, 2021, [column], 512)
    if when == "after it is opened":
        next(chip for chip in chips if chip.outcome == "e")
    write_tile(tmp_path, tile, Window(x=0, y=0, width=1_100, height=5_000), seed=1)
    s3.client().upload_file(str(path), uploaded, key)
    with pytest.raises(SourceError, match=r"N30W100.*the source changed during the run"):
        list(chips)
    s3.client().delete_object(Bucket=uploaded, Key=key)


def test_reading_ends_with_78_when_a_file_changes(tmp_path: Path) -> None:
    tile = Tile.from_name("N30W100")
    path = write_tile(tmp_path, tile, Window(x=0, y=0, width=2_000, height=2_000))
    source = open_source(str(tmp_path))
    inventory = list_tiles(source, YEAR)
    path.touch()
    with pytest.raises(SourceError, match="the source changed during the run"):
        read(source, [tile.window.x // 512 + 1], inventory=inventory)


def damage_a_block(path: Path) -> None:
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
        size = int(dataset.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1))
    with path.open("r+b") as file:
        file.seek(offset + size // 2)
        file.write(b"\0" * 64)


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_damaged_block_is_an_error_and_never_nodata(tmp_path: Path, s3: S3Server, uploaded: str, kind: str) -> None:
    tile = Tile.from_name("N31W100")
    path = write_tile(tmp_path, tile, Window(x=0, y=0, width=2_000, height=2_000))
    damage_a_block(path)
    source = open_source(str(tmp_path))
    if kind == "bucket":
        s3.client().upload_file(str(path), uploaded, tile.key(YEAR))
        source = open_source(f"{s3.endpoint}/{uploaded}")
    inventory = {tile: list_tiles(source, YEAR)[tile]}
    with pytest.raises(SourceError, match=r"N31W100.*is damaged"):
        read(source, [tile.window.x // 512 + 1], inventory=inventory)
    s3.client().delete_object(Bucket=uploaded, Key=tile.key(YEAR))


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_tile_cut_short_is_an_error(tmp_path: Path, s3: S3Server, uploaded: str, kind: str) -> None:
    tile = Tile.from_name("N31W101")
    path = write_tile(tmp_path, tile, Window(x=0, y=0, width=2_000, height=2_000))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    source = open_source(str(tmp_path))
    if kind == "bucket":
        s3.client().upload_file(str(path), uploaded, tile.key(YEAR))
        source = open_source(f"{s3.endpoint}/{uploaded}")
    inventory = {tile: list_tiles(source, YEAR)[tile]}
    with pytest.raises(SourceError, match=r"N31W101.*is damaged"):
        read(source, [tile.window.x // 512 + 1], inventory=inventory)
    s3.client().delete_object(Bucket=uploaded, Key=tile.key(YEAR))


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({"width": 11_000}, "size is 11000 x 12000, expected 12000 x 12000"),
        ({"count": 3}, "band count is 3, expected 4"),
        ({"dtype": "int16"}, "dtype is int16, expected uint16"),
        ({"crs": "EPSG:3857"}, "CRS is EPSG:3857, expected EPSG:4326"),
        ({"compress": "lzw"}, "layout is LZW with predictor 2, PIXEL, .* expected DEFLATE with predictor 2, PIXEL"),
        ({"predictor": 1}, "layout is DEFLATE with predictor 1"),
        ({"blockxsize": 512, "blockysize": 512}, "layout is DEFLATE .* blocks of 512 x 512, II, expected .* blocks of 1024 x 1024, II"),
        ({"interleave": "band"}, "layout is DEFLATE with predictor 2, BAND"),
        ({"ENDIANNESS": "BIG"}, "layout is .*, MM, expected .*, II"),
        ({"transform": rasterio.transform.from_origin(-100, 35.5, 1 / 12_000, 1 / 12_000)}, "transform is .* expected"),
    ],
)
def test_a_tile_of_another_form_ends_with_78(tmp_path: Path, profile: dict[str, Any], reason: str) -> None:
    tile = Tile.from_name("N34W100")
    write_tile(tmp_path, tile, Window(x=0, y=0, width=600, height=600), **profile)
    with pytest.raises(SourceError, match=f"N34W100.*{reason}"):
        read(open_source(str(tmp_path)), [tile.window.x // 512 + 1])
