"""Classes of chips from maps in the bucket's layout, in a folder and over S3."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from embedder.errors import ConfigurationError, SourceError
from embedder.grid import Chip, Window
from embedder.source.land_cover import CLASSES, LandCoverMap, map_key
from tests.land_cover import write_map
from tests.s3_server import PUBLIC_BUCKET, S3Server

NUMBERS = list(CLASSES)
INSIDE, EMPTY = Chip(column=3, row=4, pixels=512).window, Chip(column=9, row=9, pixels=512).window
ACROSS = Chip(column=46, row=46, pixels=512).window
"""Four tiles of the map meet in it: 64 of its 512 pixels lie east, and as many south, of the corner."""
FOUR = [(48, -126), (48, -123), (45, -126), (45, -123)]


def test_keys_are_those_of_the_bucket() -> None:
    assert map_key(2020, 36, -123) == "v100/2020/map/ESA_WorldCover_10m_2020_v100_N36W123_Map.tif"
    assert map_key(2021, -3, 9) == "v200/2021/map/ESA_WorldCover_10m_2021_v200_S03E009_Map.tif"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("map")
    half = Window(x=INSIDE.x, y=INSIDE.y, width=256, height=512)
    for corner in FOUR:
        write_map(folder, {INSIDE: 40, half: 10, ACROSS: 80}, south=corner[0], west=corner[1])
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return Path(shutil.copytree(made, tmp_path / "map"))


def test_shares_are_those_of_the_chip_when_it_lies_in_one_tile_or_in_four(folder: Path) -> None:
    shares = LandCoverMap(str(folder), 2020).shares([INSIDE, ACROSS])
    assert dict(zip(NUMBERS, shares[0].tolist(), strict=True)) == {number: 0.5 * (number in {10, 40}) for number in NUMBERS}
    assert dict(zip(NUMBERS, shares[1].tolist(), strict=True)) == {number: float(number == 80) for number in NUMBERS}


def test_a_chip_of_256_pixels_has_its_own_shares(folder: Path) -> None:
    chips = [Chip(column=column, row=8, pixels=256).window for column in (6, 7)]
    shares = LandCoverMap(str(folder), 2020).shares(chips)
    assert shares[:, [NUMBERS.index(10), NUMBERS.index(40)]].tolist() == [[1, 0], [0, 1]]


def test_shares_are_unknown_when_the_map_says_too_little(folder: Path) -> None:
    (folder / map_key(2020, *FOUR[1])).unlink()  # the sea has no tile
    shares = LandCoverMap(str(folder), 2020).shares([EMPTY, ACROSS, INSIDE])
    assert np.isnan(shares).all(axis=1).tolist() == [True, True, False]
    assert LandCoverMap(str(folder), 2020).shares([]).shape == (0, len(CLASSES))


def test_a_map_is_read_from_a_bucket_too(folder: Path, s3: S3Server) -> None:
    key = map_key(2020, *FOUR[0])
    s3.client().upload_file(str(folder / key), PUBLIC_BUCKET, f"land-cover/{key}")
    found = LandCoverMap(f"{s3.endpoint}/{PUBLIC_BUCKET}/land-cover", 2020).shares([INSIDE])
    assert found[0][NUMBERS.index(10)] == 0.5


@pytest.mark.parametrize(
    ("year", "place", "message"),
    [
        (
            2021,
            ".",
            "holds no land cover map of 2021: check --labels; tiles are named like v200/2021/map/ESA_WorldCover_10m_2021_v200_N36W123",
        ),
        (2020, "no/source", "the land cover map's source .*/map/no/source is not a folder: check --labels"),
    ],
)
def test_what_is_wrong_is_said_when_there_is_no_map(folder: Path, year: int, place: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LandCoverMap(str(folder / place), year)


def test_a_map_is_refused_when_it_is_another_one(folder: Path) -> None:
    write_map(folder, {INSIDE: 45})
    with pytest.raises(SourceError, match="pixels of class 45"):
        LandCoverMap(str(folder), 2020).shares([INSIDE])
    (folder / map_key(2020, *FOUR[1])).rename(folder / map_key(2020, *FOUR[0]))
    with pytest.raises(SourceError, match="is not a tile of WorldCover's map"):
        LandCoverMap(str(folder), 2020).shares([INSIDE])
    (folder / map_key(2020, *FOUR[0])).write_bytes(b"II*\0")
    with pytest.raises(SourceError, match="can't be read"):
        LandCoverMap(str(folder), 2020).shares([INSIDE])
