"""Tiles that say something else of their pixels than the source's do: which of them count, and what their numbers mean."""

from pathlib import Path
from typing import Any

import pytest
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.transform import from_origin

from embedder.errors import SourceError
from embedder.grid import Tile, Window
from embedder.source.inventory import open_source
from tests.four_tiles import read
from tests.tiles import REAL, REAL_TILE, needs_real_tile, write_tile

TILE = Tile.from_name("N34W100")
COLUMN = TILE.window.x // 512 + 1


def write(folder: Path, **profile: Any) -> Path:  # noqa: ANN401 - rasterio's
    return write_tile(folder, TILE, Window(x=0, y=0, width=600, height=600), **profile)


def assert_refused(folder: Path, reason: str) -> None:
    with pytest.raises(SourceError, match=f"N34W100.*{reason}"):
        read(open_source(str(folder)), [COLUMN])


@pytest.mark.parametrize(("nodata", "shown"), [(None, "none, none, none, none"), (65535, "65535, 65535, 65535, 65535")])
def test_refused_when_nodata_is_another(tmp_path: Path, nodata: int | None, shown: str) -> None:
    write(tmp_path, nodata=nodata)
    assert_refused(tmp_path, f"nodata is {shown}, expected 0, 0, 0, 0")


def test_refused_when_a_mask_says_which_pixels_count(tmp_path: Path) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write(tmp_path)
        with rasterio.open(path, "r+") as dataset:
            dataset.write_mask(True)  # noqa: FBT003 - rasterio's
    with rasterio.open(path) as dataset:
        assert MaskFlags.per_dataset in dataset.mask_flag_enums[0]
    assert_refused(tmp_path, "mask is per_dataset, expected nodata")


def test_refused_when_a_band_is_alpha(tmp_path: Path) -> None:
    with rasterio.open(write(tmp_path), "r+") as dataset:
        dataset.colorinterp = (*dataset.colorinterp[:3], ColorInterp.alpha)
    assert_refused(tmp_path, "mask is alpha, nodata, expected nodata")


@pytest.mark.parametrize(("name", "shown"), [("scales", "scale is 1, 1, 1, 0.0001"), ("offsets", "offset is 0, 0, 0, 0.0001")])
def test_refused_when_numbers_are_scaled_or_offset(tmp_path: Path, name: str, shown: str) -> None:
    with rasterio.open(write(tmp_path), "r+") as dataset:
        setattr(dataset, name, (*getattr(dataset, name)[:3], 0.0001))
    assert_refused(tmp_path, f"{shown}, expected")


def test_the_difference_is_seen_when_a_tile_is_half_a_pixel_off(tmp_path: Path) -> None:
    write(tmp_path, transform=from_origin(-100 + 1 / 24_000, 35, 1 / 12_000, 1 / 12_000))
    assert_refused(
        tmp_path,
        r"transform is 8.33333333333e-05, 0, -99.9999583333, 0, -8.33333333333e-05, 35, "
        r"expected 8.33333333333e-05, 0, -100, 0, -8.33333333333e-05, 35:",
    )


@needs_real_tile
def test_the_real_tile_is_of_the_form_that_is_expected() -> None:
    column = REAL_TILE.window.x // 512 + 8
    assert {chip.outcome for chip in read(open_source(str(REAL)), [column])} >= {"e", "n"}
