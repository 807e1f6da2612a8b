"""Layers as rasterio, GDAL, GeoPandas and a CSV reader find them."""

import csv
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.shutil

from embedder.errors import UsageError
from embedder.explore.layers import Layer, chip_km2, write_layer
from embedder.grid import Chip
from embedder.recipes import RECIPES

RECIPE = RECIPES["clay-v0.1"]
CHIPS = np.array([(1155, 286), (1155, 288), (1157, 287)], np.int16)


def layer(**fields: Any) -> Layer:  # noqa: ANN401
    classes = {"class": ["forest", "sea & sand"]} if "class" in fields else {}
    return Layer(year=2020, recipe=RECIPE, chips=CHIPS, fields=fields, classes=classes, metadata={"like": ["c1155r0286"]})


SCORES = np.array([0.5, 0.25, -1], np.float32)


def test_a_geotiff_has_a_pixel_a_chip_where_the_chip_is(tmp_path: Path) -> None:
    write_layer(layer(score=SCORES, percentile=SCORES * 10), tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as tiff:
        assert (tiff.width, tiff.height, tiff.count, tiff.dtypes[0], tiff.crs.to_epsg()) == (3, 3, 2, "float32", 4326)
        assert np.isnan(tiff.nodata)
        assert tiff.descriptions == ("score", "percentile")
        for (column, row), value in zip(CHIPS.tolist(), SCORES, strict=True):
            (found,) = tiff.sample([Chip(column=column, row=row, pixels=512).bounds.center])
            assert found.tolist() == [value, value * 10]
        assert np.isfinite(tiff.read(1)).sum() == 3
        assert float(tiff.tags(1)["STATISTICS_MEAN"]) == pytest.approx(SCORES.mean())
        assert tiff.tags()["LIKE"] == '["c1155r0286"]'
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tif"]


def test_gdal_knows_the_names_and_colours_of_classes(tmp_path: Path) -> None:
    write_layer(layer(**{"class": np.array([0, 1, 1], np.uint8), "probability": np.array([0.5, 0.987, 1], np.float32)}), tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as tiff:
        assert (tiff.dtypes, tiff.nodata) == (("uint8", "uint8"), 255)
        assert len(tiff.colormap(1)) == 2
        assert (tiff.read(2, masked=True) * tiff.scales[1]).compressed().tolist() == pytest.approx([0.5, 1, 0.99])  # row by row
        rasterio.shutil.copy(tiff, tmp_path / "a.vrt", driver="VRT")
    assert "<Category>forest</Category>" in (tmp_path / "a.vrt").read_text()
    assert "<Category>sea &amp; sand</Category>" in (tmp_path / "a.vrt").read_text()
    write_layer(layer(score=SCORES), tmp_path / "a.tif")
    assert not (tmp_path / "a.tif.aux.xml").exists()


def test_geopandas_reads_the_boxes_and_classes(tmp_path: Path) -> None:
    write_layer(layer(score=SCORES, **{"class": np.array([1, 0, 1], np.uint8)}), tmp_path / "a.parquet")
    frame = geopandas.read_parquet(tmp_path / "a.parquet")
    assert frame.crs.to_epsg() == 4326
    assert frame["class"].tolist() == ["sea & sand", "forest", "sea & sand"]
    assert frame["score"].tolist() == SCORES.tolist()
    assert frame["chip_id"].tolist() == ["c1155r0286", "c1155r0288", "c1157r0287"]
    bounds = Chip(column=1155, row=286, pixels=512).bounds
    assert frame.geometry[0].bounds == pytest.approx((bounds.west, bounds.south, bounds.east, bounds.north))


def test_a_csv_file_has_a_line_a_chip(tmp_path: Path) -> None:
    write_layer(layer(score=SCORES), tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [(row["chip_id"], float(row["score"])) for row in rows] == [("c1155r0286", 0.5), ("c1155r0288", 0.25), ("c1157r0287", -1)]
    assert float(rows[0]["longitude"]) == pytest.approx(Chip(column=1155, row=286, pixels=512).bounds.center[0], abs=1e-7)


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"before")
    with pytest.raises(UsageError, match="no chip for a GeoTIFF"):
        write_layer(layer(score=SCORES).where(np.zeros(3, np.bool_)), tmp_path / "a.tif")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


@pytest.mark.parametrize(("name", "message"), [("a.xlsx", "end it with .parquet, .csv, .tif"), ("no/a.tif", "there is no folder")])
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        write_layer(layer(score=SCORES), tmp_path / name)


def test_an_area_is_that_of_the_ellipsoid_within_half_a_percent() -> None:
    geod = pyproj.Geod(ellps="WGS84")
    for (column, row), found in zip(CHIPS.tolist(), chip_km2(CHIPS[:, 1], 512).tolist(), strict=True):
        b = Chip(column=column, row=row, pixels=512).bounds
        true, _ = geod.polygon_area_perimeter([b.west, b.east, b.east, b.west], [b.south, b.south, b.north, b.north])
        assert found == pytest.approx(abs(true) / 1e6, rel=0.005)
