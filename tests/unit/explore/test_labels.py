"""Labels from files as people have them, on the chips that they mean, and back."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from embedder.errors import ConfigurationError, EmbedderError, NotFoundError, UsageError
from embedder.explore.label_shapes import cells_in
from embedder.explore.labels import Labels, labels_of, make_labels, place_labels, read_labels, write_labels
from embedder.explore.places import chip_at
from embedder.grid import Chip
from tests.explore_output import opened, some, write_output

geopandas = pytest.importorskip("geopandas")
CHIPS = [Chip(column=column, row=row, pixels=512) for column in (70, 71) for row in (200, 201)]
NAMES = ["water", "woods", "woods", "water"]
EXPECTED = [(70, 200, "water"), (70, 201, "woods"), (71, 200, "woods"), (71, 201, "water")]


def found(labels: Labels) -> list[tuple[int, int, str]]:
    return [(*place, labels.classes[code]) for place, code in zip(labels.chips.tolist(), labels.codes.tolist(), strict=True)]


def points() -> list[shapely.Point]:
    return [shapely.Point(chip.bounds.center) for chip in CHIPS]


def boxes() -> list[shapely.Polygon]:
    return [shapely.box(*vars(chip.bounds).values()) for chip in CHIPS]


@pytest.mark.parametrize("ending", ["geojson", "gpkg", "parquet"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
@pytest.mark.parametrize("shapes", [points, boxes])
def test_labels_are_on_their_chips_whatever_the_file_and_its_crs(tmp_path: Path, ending: str, crs: str, shapes: object) -> None:
    frame = geopandas.GeoDataFrame({"class": NAMES}, geometry=shapes(), crs="EPSG:4326").to_crs(crs)  # type: ignore[operator]
    path = tmp_path / f"labels.{ending}"
    if ending == "parquet":
        frame.rename_geometry("place").to_parquet(path)
    else:
        frame.to_file(path)
    assert found(read_labels(path, 512)) == EXPECTED


def test_a_table_of_longitudes_and_latitudes_has_labels_too(tmp_path: Path) -> None:
    rows = [f"{point.x},{point.y},{name}" for point, name in zip(points(), NAMES, strict=True)]
    for head in ("lon,lat,kind", "longitude,latitude,kind"):
        (tmp_path / "labels.csv").write_text("\n".join([f"\ufeff{head}", *rows]), encoding="utf-8")
        assert found(read_labels(tmp_path / "labels.csv", 512, "kind")) == EXPECTED


def test_labels_come_back_from_the_page_s_form_as_they_were(tmp_path: Path) -> None:
    labels = make_labels(NAMES, points(), 512, "here")
    write_labels(labels, tmp_path / "labels.geojson")
    again = read_labels(tmp_path / "labels.geojson", 512)
    assert found(again) == found(labels) == EXPECTED
    feature = json.loads((tmp_path / "labels.geojson").read_text())["features"][0]
    assert feature["properties"] == {"class": "water", "chip_id": "c0070r0200"}
    assert feature["geometry"]["type"] == "Point"
    assert geopandas.read_file(tmp_path / "labels.geojson").crs.to_epsg() == 4326


def test_a_polygon_labels_the_chips_whose_middle_is_in_it_and_a_small_one_its_own() -> None:
    random = np.random.default_rng(0)
    shape = shapely.convex_hull(shapely.MultiPoint(random.uniform([-100, 35], [-99, 36], (9, 2))))
    expected = {
        (chip.column, chip.row)
        for chip in (Chip(column=column, row=row, pixels=512) for column in range(580, 620) for row in range(320, 360))
        if shape.contains(shapely.Point(chip.bounds.center))
    }
    assert len(expected) > 50
    assert {tuple(cell) for cell in cells_in(shape, 512).tolist()} == expected
    small = shapely.box(-99.999, 35.501, -99.998, 35.502)
    chip = chip_at(-99.9985, 35.5015, 512)
    assert cells_in(small, 512).tolist() == [[chip.column, chip.row]]


def test_points_are_on_the_chips_that_a_click_finds() -> None:
    places = np.random.default_rng(0).uniform([-125, 26], [-68, 50], (50, 2))
    chips = [chip_at(lon, lat, 256) for lon, lat in places.tolist()]
    assert cells_in(shapely.MultiPoint(places), 256).tolist() == [[chip.column, chip.row] for chip in chips]


def test_numbers_are_classes_and_what_is_off_the_grid_is_counted() -> None:
    frame = geopandas.GeoDataFrame({"class": [10.0, 20.0, 10.0]}, geometry=[*points()[:2], shapely.box(0, 0, 1, 1)])
    labels = labels_of(frame, 512)
    assert (labels.classes, labels.off_grid, len(labels.chips)) == (("10", "20"), 1, 2)


def test_a_polygon_that_crosses_itself_labels_both_halves_and_one_beyond_all_places_none() -> None:
    west, south, east, north = -100.0, 35.0, -99.0, 36.0
    halves = [
        shapely.Polygon([(west, south), (west, north), (-99.5, 35.5)]),
        shapely.Polygon([(east, south), (east, north), (-99.5, 35.5)]),
    ]
    crossed = shapely.Polygon([(west, south), (east, north), (east, south), (west, north)])
    expected = np.concatenate([cells_in(half, 512) for half in halves])
    assert len(expected) > 100
    assert {*map(tuple, cells_in(crossed, 512).tolist())} == {*map(tuple, expected.tolist())}
    assert not len(cells_in(shapely.Polygon([(0, 0), (np.inf, 0), (0, np.inf)]), 512))


def test_a_crs_without_a_place_on_earth_has_its_line() -> None:
    frame = geopandas.GeoDataFrame({"class": ["a"]}, geometry=[shapely.Point(0, 0)], crs='LOCAL_CS["a building",UNIT["metre",1]]')
    with pytest.raises(ConfigurationError, match="the CRS of the table leads to no longitude and latitude"):
        labels_of(frame, 512)


@pytest.mark.parametrize(
    ("content", "error", "parts"),
    [
        ("lon,lat,class\n", ConfigurationError, ["holds no labels"]),
        ("", ConfigurationError, ["holds no labels"]),
        ("lon,lat,kind\n-100,40,a\n", ConfigurationError, ["has no column class: it has lon, lat, kind"]),
        ("x,y,class\n-100,40,a\n", ConfigurationError, ["has no column lon or lat"]),
        ("lon,lat,class\n-100,40,a\n-100,forty,a\n", ConfigurationError, ["label 2", "forty"]),
        ("lon,lat,class\n-100,40\n", ConfigurationError, ["1 labels", "have no class, number 1"]),
        ("lon,lat,class\n-100,40,a\n-100,40,b\n", ConfigurationError, ["chip c0585r0234 has two classes in", "a and b"]),
        ("lon,lat,class\n" + "".join(f"-100,40,{name}\n" for name in range(251)), ConfigurationError, ["251 classes"]),
        ("lon,lat,class\n-100,nan,a\n", ConfigurationError, ["label 1", "nan) is no place"]),
        (b"\xff\xfe\x00", ConfigurationError, ["can't be read as labels"]),
        (None, NotFoundError, ["does not exist"]),
    ],
)
def test_a_wrong_table_has_its_line(tmp_path: Path, content: str | bytes | None, error: type[EmbedderError], parts: list[str]) -> None:
    path = tmp_path / "labels.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error) as raised:
        read_labels(path, 512)
    for part in [*parts, str(path)]:
        assert part in str(raised.value)


def test_a_file_that_is_no_file_of_labels_has_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends with .geojson, .json, .gpkg, .parquet or .csv"):
        read_labels(tmp_path / "labels.xlsx", 512)
    for name in ("labels.parquet", "labels.geojson"):
        (tmp_path / name).write_text("{")
        with pytest.raises(ConfigurationError, match="can't be read as labels"):
            read_labels(tmp_path / name, 512)
    line = geopandas.GeoDataFrame({"class": ["a"]}, geometry=[shapely.LineString([(-100, 40), (-99, 40)])])
    with pytest.raises(ConfigurationError, match="label 1 of the table is a LineString"):
        labels_of(line, 512)
    with pytest.raises(ConfigurationError, match="the table holds no labels"):
        labels_of(line[:0], 512)


def labels_on(*places: tuple[int, int, str], off_grid: int = 0) -> Labels:
    shapes = [shapely.Point(Chip(column=column, row=row, pixels=512).bounds.center) for column, row, _ in places]
    return make_labels([name for *_, name in places] + ["a"] * off_grid, shapes + [shapely.Point(0, 0)] * off_grid, 512, "here")


def test_labels_without_an_embedding_are_left_out_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    database = opened(write_output(tmp_path / "out", some(range(2), 4)))
    four = [(0, 0, "a"), (0, 1, "a"), (1, 2, "b"), (1, 3, "b")]
    placed = place_labels(database, labels_on(*four, (0, 9, "a"), (1, 9, "b"), (9, 9, "c"), (9, 8, "c"), off_grid=2))
    assert [(database.chip(int(place)).id, placed.classes[code]) for place, code in zip(placed.positions, placed.codes, strict=True)] == [
        (Chip(column=column, row=row, pixels=512).id, name) for column, row, name in four
    ]
    assert placed.notes == (
        "2 labels are off the grid: left out",
        "4 labelled chips have no embedding in 2020, c0000r0009, c0001r0009, c0009r0008, ...: left out",
        "no label is left of c",
    )
    for places, off, message in (
        (
            [(9, 9, "a"), (9, 8, "b")],
            0,
            "no labelled chip has an embedding: chip c0009r0008 has no embedding in 2020: column 9 is not embedded",
        ),
        ([], 2, "all 2 labels are off the grid: the grid goes from"),
        ([*four[:2], (9, 9, "b")], 0, "of one class, a: label two chips of another one; 1 labelled chips have no embedding"),
        (four[:3], 0, "one chip alone is labelled b"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            place_labels(database, labels_on(*places, off_grid=off))
    with pytest.raises(UsageError, match="read them anew"):
        place_labels(database, make_labels(["a"], [shapely.Point(-100, 40)], 256, "here"))
