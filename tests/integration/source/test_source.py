"""Reading the source: against rasterio's own reads, and against a server that fails in every way it can."""

import errno
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.merge
from botocore.awsrequest import AWSPreparedRequest
from numpy.typing import NDArray

from embedder.errors import ConfigurationError, EmbedderError, SourceError, TemporaryError, UsageError
from embedder.grid import Chip, Tile, Window, bounds_of, column_chips
from embedder.source import blocks
from embedder.source.blocks import DamagedBlockError
from embedder.source.inventory import PUBLIC_SOURCE, BucketSource, Inventory, Source, list_tiles, open_source
from embedder.source.strip import ChipRead, read_strip
from embedder.storage import retries
from tests.faults import Fault, FaultyProxy, Flipped, Refusal
from tests.s3_server import PUBLIC_BUCKET, S3Server
from tests.tiles import REAL, REAL_TILE, write_tile

YEAR = 2020
HEADER = 4_000
"""Bytes that hold the header of a tile of `write_tile`, and more."""
CORNER = {"N49W125": (11_000, 11_000), "N49W124": (0, 11_000), "N48W125": (11_000, 0), "N48W124": (0, 0)}
"""Tiles that meet at a corner, and where each has pixels: 1000 x 1000 of them, next to the corner."""
needs_real_tile = pytest.mark.skipif(not REAL.exists(), reason="the real tile is not on this machine")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    for seed, (name, (x, y)) in enumerate(CORNER.items()):
        write_tile(folder, Tile.from_name(name), Window(x=x, y=y, width=1_000, height=1_000), seed=seed)
    return folder


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(retries, "JITTER_SECONDS", 0.01)


def read(source: Source, columns: list[int], chip_pixels: int = 512, inventory: Inventory | None = None) -> list[ChipRead]:
    return list(read_strip(source, inventory or list_tiles(source, YEAR), YEAR, columns, chip_pixels))


def oracle(folder: Path, chip: Chip) -> NDArray[np.uint16]:
    """The chip as rasterio mosaics it."""
    bounds = bounds_of(chip.window)
    paths = [path for name in CORNER if (path := folder / Tile.from_name(name).key(YEAR)).exists()]
    pixels, _ = rasterio.merge.merge(paths, bounds=(bounds.west, bounds.south, bounds.east, bounds.north), res=1 / 12_000)
    return np.asarray(pixels)


@pytest.mark.parametrize("chip_pixels", [512, 256])
@pytest.mark.parametrize("columns", [[23], [22, 23, 24]])
def test_chips_equal_rasterios_mosaic_when_four_tiles_meet(folder: Path, columns: list[int], chip_pixels: int) -> None:
    chips = read(open_source(str(folder)), columns, chip_pixels)
    embedded = [chip for chip in chips if chip.outcome == "e"]
    assert embedded, "the corner is full of pixels"
    for chip in embedded:
        assert chip.pixels is not None
        np.testing.assert_array_equal(chip.pixels, oracle(folder, chip.chip))
    for chip in chips:
        near_corner = abs(chip.chip.window.y - 12_000) < 2_000
        if near_corner and chip.outcome == "n":
            assert (oracle(folder, chip.chip) == 0).any()
    for column in columns:
        assert [chip.chip for chip in chips if chip.column == column] == list(column_chips(column, chip_pixels))


def test_outcomes_tell_absent_tiles_from_nodata(folder: Path) -> None:
    inventory = list_tiles(open_source(str(folder)), YEAR)
    del inventory[Tile.from_name("N48W124")]
    outcomes = "".join(chip.outcome for chip in read(open_source(str(folder)), [23], inventory=inventory))
    # rows 0 to 22 lie in N49 alone; rows 22 and 23 have pixels, but row 23 touches the absent N48W124, as all rows below do
    assert outcomes == "n" * 22 + "e" + "t" * 563


def test_a_column_without_tiles_needs_no_rasterio(folder: Path) -> None:
    assert {chip.outcome for chip in read(open_source(str(folder)), [500])} == {"t"}


def test_columns_must_be_adjacent(folder: Path) -> None:
    with pytest.raises(ValueError, match="not adjacent"):
        read(open_source(str(folder)), [22, 24])


@needs_real_tile
def test_the_real_tile_has_twelve_complete_chips() -> None:
    source = open_source(str(REAL))
    chips = read(source, [1155, 1156, 1157, 1158])
    embedded = {chip.chip.id: chip.pixels for chip in chips if chip.outcome == "e"}
    assert sorted(embedded) == [f"c{column}r0{row}" for column in range(1155, 1159) for row in (287, 288, 289)]
    with rasterio.open(REAL / REAL_TILE.key(YEAR)) as dataset:
        for name, pixels in embedded.items():
            bounds = bounds_of(Chip(row=int(name[6:]), column=int(name[1:5]), pixels=512).window)
            window = dataset.window(bounds.west, bounds.south, bounds.east, bounds.north).round_offsets().round_lengths()
            np.testing.assert_array_equal(pixels, dataset.read(window=window))


# The listing


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


# Trouble


@pytest.fixture(scope="module")
def uploaded(s3: S3Server, folder: Path) -> str:
    bucket = PUBLIC_BUCKET
    for name in CORNER:
        key = Tile.from_name(name).key(YEAR)
        s3.client().upload_file(str(folder / key), bucket, key)
    return bucket


@pytest.fixture
def remote(proxy: FaultyProxy, uploaded: str) -> Source:
    return open_source(f"{proxy.url}/{uploaded}")


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


def cut(data: bytes, start: int, stop: int) -> bytes:
    return data[start:stop]


@pytest.mark.parametrize("big", ["YES", "NO"])
def test_no_block_is_lost_when_a_bit_of_the_header_is_flipped(tmp_path: Path, big: str) -> None:
    path = write_tile(tmp_path, Tile.from_name("N49W125"), Window(x=0, y=0, width=3_000, height=3_000), BIGTIFF=big)
    tile, size = path.read_bytes()[: 1 << 16], path.stat().st_size
    whole = blocks.index_blocks(partial(cut, tile), size)
    with rasterio.open(path) as dataset:
        for (x, y), block in whole.items():
            found = [dataset.get_tag_item(f"BLOCK_{what}_{x}_{y}", "TIFF", bidx=1) for what in ("OFFSET", "SIZE")]
            assert [int(number or 0) for number in found] == [block.start, block.stop - block.start]
    full = {place for place, block in whole.items() if block.stop > block.start}
    assert len(full) == 9
    for bit in range(8 * HEADER):
        damaged = bytearray(tile[:HEADER])
        damaged[bit // 8] ^= 1 << bit % 8
        read_damaged = partial(cut, bytes(damaged) + tile[HEADER:])
        with suppress(DamagedBlockError):
            index = blocks.index_blocks(read_damaged, size)
            assert full <= {place for place, block in index.items() if block.stop > block.start}


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


@pytest.mark.parametrize("when", ["before it is opened", "after it is opened"])
def test_reading_ends_with_78_when_the_tile_changes(s3: S3Server, proxy: FaultyProxy, tmp_path: Path, uploaded: str, when: str) -> None:
    tile = Tile.from_name("N30W100")
    path = write_tile(tmp_path, tile, Window(x=0, y=0, width=2_000, height=12_000))
    key = tile.key(2021)
    s3.client().upload_file(str(path), uploaded, key)
    source = open_source(f"{proxy.url}/{uploaded}")
    inventory = {tile: list_tiles(source, 2021)[tile]}
    column = tile.window.x // 512 + 1
    chips: Iterator[ChipRead] = read_strip(source, inventory, 2021, [column], 512)
    if when == "after it is opened":
        next(chip for chip in chips if chip.outcome == "e")
    write_tile(tmp_path, tile, Window(x=0, y=0, width=2_000, height=12_000), seed=1)
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


# What is fetched, and what is held


def compressed_bytes(path: Path, columns: list[int]) -> int:
    """Of the blocks that the columns touch."""
    with rasterio.open(path) as dataset:
        first = (columns[0] * 512 - dataset_x(path)) // 1024
        last = ((columns[-1] + 1) * 512 - 1 - dataset_x(path)) // 1024
        sizes = (
            dataset.get_tag_item(f"BLOCK_SIZE_{max(0, x)}_{y}", "TIFF", bidx=1) for x in range(first, min(last, 11) + 1) for y in range(12)
        )
        return sum(int(size) for size in sizes if size)


def dataset_x(path: Path) -> int:
    return Tile.from_name(path.name.split("_")[5]).window.x


@pytest.fixture
def real_remote(s3: S3Server, proxy: FaultyProxy) -> Iterator[Source]:
    bucket, key = PUBLIC_BUCKET, REAL_TILE.key(YEAR)
    s3.client().upload_file(str(REAL / key), bucket, key)
    yield open_source(f"{proxy.url}/{bucket}")
    s3.client().delete_object(Bucket=bucket, Key=key)


@needs_real_tile
@pytest.mark.parametrize("columns", [[1155], [1156], [1158], [1155, 1156], list(range(1152, 1160))], ids=str)
def test_each_block_is_fetched_once(real_remote: Source, proxy: FaultyProxy, columns: list[int]) -> None:
    inventory = {REAL_TILE: list_tiles(real_remote, YEAR)[REAL_TILE]}
    before = len(proxy.served)
    read(real_remote, columns, inventory=inventory)
    fetched = [served for served in proxy.served[before:] if served.method == "GET"]
    table, header, *blocks = fetched
    assert (table.bytes_sent, header.bytes_sent) == (32_768, 32_768)
    assert sum(served.bytes_sent for served in blocks) <= 1.001 * compressed_bytes(REAL / REAL_TILE.key(YEAR), columns)
    assert all(served.headers["if-match"] == inventory[REAL_TILE].etag for served in fetched)
    assert not any("authorization" in served.headers for served in proxy.served[before:])


@needs_real_tile
def test_eight_columns_share_what_they_fetch(real_remote: Source, proxy: FaultyProxy) -> None:
    """At most 1.3 times what the eight columns' width holds of the blocks' bytes."""
    inventory = {REAL_TILE: list_tiles(real_remote, YEAR)[REAL_TILE]}
    columns = list(range(1153, 1161))
    before = len(proxy.served)
    read(real_remote, columns, inventory=inventory)
    fetched = sum(served.bytes_sent for served in proxy.served[before:] if served.method == "GET")
    singles = 0.0
    with rasterio.open(REAL / REAL_TILE.key(YEAR)) as dataset:
        west = columns[0] * 512 - REAL_TILE.window.x
        edges = [west, *(x for x in range(1024, 12_000, 1024) if west < x < west + 8 * 512), west + 8 * 512]
        for left, right in pairwise(edges):
            for y in range(12):
                size = dataset.get_tag_item(f"BLOCK_SIZE_{left // 1024}_{y}", "TIFF", bidx=1)
                singles += int(size or 0) * (right - left) / 1024
    assert fetched <= 1.3 * singles


def test_memory_does_not_grow_with_the_columns_length(tmp_path: Path) -> None:
    peaks = []
    for tiles_high in (1, 3):
        folder = tmp_path / str(tiles_high)
        for row in range(tiles_high):
            write_tile(folder, Tile(row=row, column=3), Window(x=0, y=0, width=1_024, height=12_000))
        source = open_source(str(folder))
        inventory = list_tiles(source, YEAR)
        tracemalloc.start()
        embedded = sum(chip.outcome == "e" for chip in read_strip(source, inventory, YEAR, [71], 512))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert embedded == tiles_high * 12_000 // 512
    assert peaks[1] < 1.15 * peaks[0]
