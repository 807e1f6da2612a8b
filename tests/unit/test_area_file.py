"""An area in a file, of any kind and CRS: the chips are those that GeoPandas' own overlay finds."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely

from embedder.area import Area
from embedder.area_file import read_area
from embedder.errors import ConfigurationError, EmbedderError, UsageError
from embedder.grid import column_chips

pytestmark = pytest.mark.filterwarnings("ignore:Geometry is in a geographic CRS:UserWarning", "ignore:.keep_geom_type:UserWarning")
RING = [(-121.9, 36.55), (-121.7, 36.62), (-121.75, 36.9), (-121.82, 36.7)]
"""A bent shape with a reflex corner, over columns 72 to 77."""
NEAR = range(70, 82)


def overlapped(polygons: geopandas.GeoSeries, size: int) -> set[str]:
    """The chips whose overlap with the polygons has an area."""
    chips = [chip for column in NEAR for chip in column_chips(column, size)]
    boxes = [shapely.box(chip.bounds.west, chip.bounds.south, chip.bounds.east, chip.bounds.north) for chip in chips]
    frame = geopandas.GeoDataFrame({"id": [chip.id for chip in chips]}, geometry=boxes, crs="EPSG:4326")
    parts = geopandas.overlay(frame, geopandas.GeoDataFrame(geometry=polygons))
    return set(parts["id"][parts.area > 1e-12])


def chips_in(area: Area) -> set[str]:
    return {f"c{column:04d}r{row:04d}" for column, runs in area.rows.items() for run in runs for row in run}


@pytest.fixture
def polygons() -> geopandas.GeoSeries:
    touching = column_chips(78, 512)[310].bounds  # exactly a chip, and no neighbour of it
    return geopandas.GeoSeries(
        [shapely.Polygon(RING), shapely.box(touching.west, touching.south, touching.east, touching.north)], crs="EPSG:4326"
    )


@pytest.mark.parametrize("size", [512, 256])
def test_an_area_has_the_chips_that_geopandas_finds(polygons: geopandas.GeoSeries, tmp_path: Path, size: int) -> None:
    polygons.to_file(tmp_path / "area.geojson")
    found = chips_in(read_area(tmp_path / "area.geojson", size))
    assert found == overlapped(polygons, size)
    assert len(found) > 20


@pytest.mark.parametrize(
    ("name", "crs"), [("area.gpkg", "EPSG:32610"), ("area.parquet", "EPSG:3857"), ("area.shp", "EPSG:4269"), ("area.fgb", "EPSG:5070")]
)
def test_it_is_the_same_in_another_form_and_crs(tmp_path: Path, name: str, crs: str) -> None:
    ring = geopandas.GeoSeries([shapely.Polygon(RING).segmentize(0.001)], crs="EPSG:4326")  # no edge of a chip is near
    expected = overlapped(ring, 512)
    frame = geopandas.GeoDataFrame(geometry=ring).to_crs(crs)
    if name.endswith(".parquet"):
        frame.to_parquet(tmp_path / name)
    else:
        frame.to_file(tmp_path / name)
    assert chips_in(read_area(tmp_path / name, 512)) == expected


def test_a_long_straight_edge_is_straight_in_the_files_own_crs(tmp_path: Path) -> None:
    """A band along a line of Albers' projection, 1000 km long, which bends by 10 km in degrees."""
    band = shapely.box(-2_000_000, 1_800_000, -1_000_000, 1_802_000)
    geopandas.GeoSeries([band], crs="EPSG:5070").to_file(tmp_path / "band.gpkg")
    area = read_area(tmp_path / "band.gpkg", 512)
    middle = geopandas.GeoSeries([shapely.Point(-1_500_000, 1_801_000)], crs="EPSG:5070").to_crs(4326)[0]
    column, row = int((middle.x + 125) * 12_000 // 512), int((50 - middle.y) * 12_000 // 512)
    assert any(row in run for run in area.rows[column])


def test_an_invalid_polygon_is_mended(tmp_path: Path) -> None:
    bow_tie = shapely.Polygon([(-121.9, 36.5), (-121.7, 36.7), (-121.7, 36.5), (-121.9, 36.7)])
    assert not bow_tie.is_valid
    geopandas.GeoSeries([bow_tie], crs=4326).to_file(tmp_path / "area.geojson")
    mended = geopandas.GeoSeries([shapely.make_valid(bow_tie)], crs=4326)
    assert chips_in(read_area(tmp_path / "area.geojson", 512)) == overlapped(mended, 512)


def geojson(*shapes: shapely.Geometry) -> str:
    features: list[dict[str, Any]] = [
        {"type": "Feature", "properties": {}, "geometry": None if shape.is_empty else json.loads(shape_json)}
        for shape, shape_json in zip(shapes, shapely.to_geojson(list(shapes)), strict=True)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


@pytest.mark.parametrize(
    ("name", "text", "kind", "said"),
    [
        ("none", None, UsageError, "there is no file"),
        ("a.geojson", geojson(shapely.Point(-122, 37)), ConfigurationError, "holds Point: an area is made of polygons"),
        ("a.geojson", geojson(), ConfigurationError, "is empty"),
        ("a.geojson", geojson(shapely.Polygon()), ConfigurationError, "is empty: it holds no geometry"),
        ("a.geojson", geojson(shapely.Polygon([(0, 0), (1, 1), (0, 0)])), ConfigurationError, "have no area"),
        ("a.geojson", geojson(shapely.box(5, 50, 6, 51)), UsageError, "it lies within 5,50,6,51, and the grid goes from -125"),
        ("a.geojson", "{", ConfigurationError, "can't be read by GeoPandas"),
        ("a.parquet", "PAR1", ConfigurationError, "can't be read by GeoPandas"),
        ("a.txt", "words", ConfigurationError, "can't be read by GeoPandas"),
    ],
)
def test_a_file_that_is_no_area_is_refused_with_what_is_wrong(
    tmp_path: Path, name: str, text: str | None, kind: type[EmbedderError], said: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(kind, match=said):
        read_area(tmp_path / name, 512)


def test_a_file_without_a_crs_or_with_several_layers_is_refused(tmp_path: Path) -> None:
    shape = geopandas.GeoSeries([shapely.box(-122, 36, -121, 37)])
    with pytest.warns(UserWarning, match="crs"):
        shape.to_file(tmp_path / "area.shp")
    with pytest.raises(ConfigurationError, match="has no CRS"):
        read_area(tmp_path / "area.shp", 512)
    for layer in ("one", "two"):
        shape.set_crs(4326).to_file(tmp_path / "area.gpkg", layer=layer)
    with pytest.raises(ConfigurationError, match="has several layers, one, two"):
        read_area(tmp_path / "area.gpkg", 512)


def test_without_geopandas_the_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "area.geojson").write_text(geojson(shapely.box(-122, 36, -121, 37)))
    monkeypatch.setattr("embedder.errors.find_spec", lambda name: None if name == "geopandas" else find_spec(name))
    with pytest.raises(ConfigurationError, match=r"geopandas is not installed: pip install '\.\[notebook\]'"):
        read_area(tmp_path / "area.geojson", 512)
