"""The package in a notebook."""

import gc
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray

import embedder
from embedder import errors
from embedder.explore import embeddings, search
from embedder.explore.vectors import catalogue
from embedder.grid import Chip
from embedder.recipes import RECIPES
from tests.explore_output import opened, some, write_output
from tests.faults import FaultyProxy
from tests.jobs import CHIPS, COLUMNS, TILE, TINY, write_source
from tests.s3_server import PUBLIC_BUCKET, S3Server
from tests.web_server import serving

BOX = (-124.93, 49.0, -124.90, 49.95)
"""It touches columns 1 and 2, and all of their chips but the northernmost."""


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache that is not this machine's, and temporary files that are gone in the end."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    gc.collect()
    assert not list(folder.iterdir())


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    write_output(folder, dict(some(range(5))), weights="random:0")
    return write_output(folder, dict(some(range(4), seed=1)), year=2021, weights="random:0")


def stored(output: Path, year: int = 2020) -> geopandas.GeoDataFrame:
    """All rows of the files, as GeoPandas reads them."""
    return geopandas.read_parquet(output / "clay-v0.1" / str(year))


def unit(rows: geopandas.GeoDataFrame) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = np.stack(rows["embeddings"].to_list())
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def touch(rows: geopandas.GeoDataFrame, box: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    areas: NDArray[np.float64] = shapely.area(shapely.intersection(rows.geometry.to_numpy(), shapely.box(*box)))
    return areas > 0


def test_chips_and_vectors_are_the_rows_of_the_files_in_one_order(output: Path) -> None:
    opened, rows = embedder.open(output, year=2020), stored(output)
    chips = opened.chips
    assert chips["chip_id"].to_list() == rows["chip_id"].to_list()
    assert chips.crs == rows.crs
    assert shapely.equals_exact(chips.geometry.normalize(), rows.geometry.normalize(), tolerance=1e-9).all()
    np.testing.assert_allclose(opened.vectors(), unit(rows), atol=1e-6)
    np.testing.assert_allclose(chips[["longitude", "latitude"]], shapely.get_coordinates(shapely.centroid(rows.geometry)), atol=1e-9)


def test_a_box_gives_the_chips_that_touch_it_and_their_vectors(output: Path) -> None:
    opened, rows = embedder.open(output, year=2020), stored(output)
    inside = rows[touch(rows, BOX)]
    assert len(inside) == 38
    assert opened.chips_in(BOX)["chip_id"].to_list() == inside["chip_id"].to_list()
    np.testing.assert_allclose(opened.vectors(BOX), unit(inside), atol=1e-6)
    assert len(opened.chips) == len(rows)  # the box before does not narrow what is asked next


def test_places_have_the_vectors_of_the_chips_that_hold_them(output: Path) -> None:
    opened, rows = embedder.open(output), stored(output, 2021)
    places = rows.geometry.representative_point().iloc[[3, 50]]
    np.testing.assert_allclose(opened.at(places.x, places.y), unit(rows)[[3, 50]], atol=1e-6)
    np.testing.assert_allclose(opened.at(places.x.iloc[0], places.y.iloc[0]), unit(rows)[3], atol=1e-6)
    with pytest.raises(embedder.UsageError, match="off the grid"):
        opened.at(36.5, -121.5)
    with pytest.raises(embedder.NotFoundError, match="column 585 is not embedded yet; the nearest embedded chip is c0003r0019"):
        opened.at(-100, 40)


def test_search_ranks_by_cosine_whatever_names_the_examples(output: Path) -> None:
    opened, rows = embedder.open(output, year=2020), stored(output)
    cosines = unit(rows) @ unit(rows)[30]
    cosines[30] = -1
    best = rows.iloc[np.argsort(-cosines)[:4]]
    place = rows.geometry.iloc[30].centroid
    for like in (rows["chip_id"].iloc[30], [rows["chip_id"].iloc[30]], (place.x, place.y), [(place.x, place.y)]):
        found = opened.search(like, k=4)
        assert found["chip_id"].to_list() == best["chip_id"].to_list()
        np.testing.assert_allclose(found["distance"], 1 - np.sort(cosines)[::-1][:4], atol=2e-6)
    inside = rows["chip_id"][touch(rows, BOX)]
    assert {*opened.search(rows["chip_id"].iloc[0], unlike=[rows["chip_id"].iloc[99]], k=100, bbox=BOX)["chip_id"]} == {*inside}


def test_scores_are_of_every_chip_and_percentiles_of_a_whole_year(output: Path, tmp_path: Path) -> None:
    opened, rows = embedder.open(output, year=2020), stored(output)
    inside = opened.scores(rows["chip_id"].iloc[30], bbox=BOX)
    assert "percentile" not in inside
    scores = opened.scores(rows["chip_id"].iloc[30], to=tmp_path / "scores.parquet")
    assert scores["chip_id"].to_list() == rows["chip_id"].to_list()
    assert scores.attrs == {"recipe": "clay-v0.1", "warnings": opened.warnings, "like": [rows["chip_id"].iloc[30]], "unlike": []}
    np.testing.assert_allclose(scores["distance"], 1 - unit(rows) @ unit(rows)[30], atol=2e-6)
    np.testing.assert_allclose(inside["distance"], scores["distance"][touch(rows, BOX)], atol=1e-6)
    first, second = np.triu_indices(len(rows), 1)
    pairs = 1 - (unit(rows) @ unit(rows).T)[first, second]
    share = 100 * (pairs[:, None] < scores["distance"].to_numpy()).mean(axis=0)
    np.testing.assert_allclose(scores["percentile"], share, atol=3)  # drawn by lot
    written = geopandas.read_parquet(tmp_path / "scores.parquet")
    assert {*zip(written["chip_id"], written["distance"], strict=True)} == {*zip(scores["chip_id"], scores["distance"], strict=True)}
    assert opened.search(rows["chip_id"].iloc[30], k=3)["percentile"].to_list() == pytest.approx(
        scores.nsmallest(4, "distance")["percentile"].to_list()[1:], abs=1e-3
    )
    unlike = opened.search(rows["chip_id"].iloc[30], rows["chip_id"].iloc[7], k=5)
    ranked = opened.scores(rows["chip_id"].iloc[30], rows["chip_id"].iloc[7]).drop([7, 30]).nlargest(5, "score")
    assert unlike["chip_id"].to_list() == ranked["chip_id"].to_list()


def test_change_is_of_the_chips_of_both_years(output: Path) -> None:
    before, after = stored(output), stored(output, 2021)
    both = before["chip_id"].isin(after["chip_id"])
    distances = 1 - (unit(before)[both] * unit(after)).sum(axis=1)
    opened = embedder.open(output)
    np.testing.assert_allclose(opened.change(2020, 2021, bbox=BOX)["distance"], distances[touch(after, BOX)], atol=2e-6)
    change = opened.change(2020, 2021)
    assert change["chip_id"].to_list() == after["chip_id"].to_list()
    np.testing.assert_allclose(change["distance"], distances, atol=2e-6)
    assert change.loc[change["distance"].idxmax(), "percentile"] == pytest.approx(100, abs=2)
    assert change.attrs["years"] == [2020, 2021]
    with pytest.raises(embedder.UsageError, match="change is between two years"):
        opened.change(2020, 2020)


def test_classes_are_in_the_order_of_the_chips_and_in_the_file_where_they_are(output: Path, tmp_path: Path) -> None:
    opened = embedder.open(output, year=2020)
    opened.vectors(BOX)  # its columns come first, whatever is asked next
    chips = opened.chips
    labels = geopandas.GeoDataFrame({"kind": ["wet", "dry"] * 10}, geometry=chips.representative_point()[::5].to_list(), crs=chips.crs)
    classes = opened.classify(labels.to_crs(3857), column="kind", to=tmp_path / "classes.tif")
    assert classes["chip_id"].to_list() == chips["chip_id"].to_list() == stored(output)["chip_id"].to_list()
    with rasterio.open(tmp_path / "classes.tif") as raster:
        codes = [code for code, _ in raster.sample(chips[["longitude", "latitude"]].to_numpy())]
    assert [["dry", "wet"][code] for code in codes] == classes["class"].to_list()
    assert classes.attrs["warnings"] == opened.warnings
    assert classes.attrs["labelled"] == {"dry": 10, "wet": 10}
    (tmp_path / "labels.geojson").write_text(labels.rename(columns={"kind": "class"}).to_json())
    inside = embedder.open(output, year=2020).classify(tmp_path / "labels.geojson", bbox=BOX)
    assert inside["class"].to_list() == classes["class"][touch(classes, BOX)].to_list()


@pytest.mark.parametrize("signed", [True, False])
def test_a_box_fetches_the_columns_that_it_touches_once_from_s3(
    output: Path, faulty_bucket: str, s3: S3Server, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, *, signed: bool
) -> None:
    bucket, prefix = (faulty_bucket, "here") if signed else (PUBLIC_BUCKET, faulty_bucket)
    for path in output.rglob("2020/*.*"):
        s3.client().put_object(Bucket=bucket, Key=f"{prefix}/{path.relative_to(output)}", Body=path.read_bytes())
    if not signed:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
    opened = embedder.open(f"s3://{bucket}/{prefix}")
    assert proxy.count("GET", ".parquet") == 0
    np.testing.assert_array_equal(opened.vectors(BOX), embedder.open(output, year=2020).vectors(BOX))
    assert len(opened.chips_in(BOX)) == len(opened.search("c0002r0003", k=100, bbox=BOX)) + 1 == 38
    fetched = [request.path.rpartition("_")[2] for request in proxy.served if request.path.endswith(".parquet")]
    assert sorted(fetched) == ["0001.parquet", "0002.parquet"]
    assert any("authorization" in request.headers for request in proxy.served) == signed


def test_a_box_is_read_by_https(output: Path) -> None:
    with serving(output) as address:
        np.testing.assert_array_equal(embedder.open(address, year=2020).vectors(BOX), embedder.open(output, year=2020).vectors(BOX))


def test_more_columns_than_few_come_through_the_cache_of_the_commands(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_first, by_parts = embedder.open(output, year=2020), embedder.open(output, year=2020).vectors()
    monkeypatch.setattr(embeddings, "FEW", 3)
    opened_first.vectors(BOX)
    assert not (tmp_path / "cache").exists()  # a box needs none, however many columns are published
    np.testing.assert_array_equal(opened_first.vectors(), by_parts)
    assert opened(output).count == len(by_parts)
    assert [*(tmp_path / "cache").rglob("vectors.f32")]


def test_a_large_box_needs_no_index(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "INDEX_FROM", 10)
    monkeypatch.setattr(errors, "find_spec", lambda _: None)  # nothing that an extra brings
    assert embedder.open(output).at(-124.9, 49.9).shape == (768,)
    with pytest.raises(embedder.ConfigurationError, match=r"geopandas is not installed: pip install '\.\[notebook\]'"):
        _ = embedder.open(output).chips


def test_a_damaged_file_is_named_and_nothing_of_it_is_used(output: Path, tmp_path: Path) -> None:
    shutil.copytree(output, tmp_path / "copy")
    file = tmp_path / "copy/clay-v0.1/2020/worldcover_embeddings_2020_0001.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    opened = embedder.open(tmp_path / "copy", year=2020)
    with pytest.raises(embedder.InvalidFileError, match=r"2020_0001\.parquet is not the file that the manifest names"):
        opened.vectors(BOX)
    assert len(opened.vectors((-125, 49, -124.96, 50))) == 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda output: embedder.open(output / "none"), "nothing is published for 2020, 2021 at .*none/clay-v0.1/"),
        (lambda output: embedder.open(output, "clay-v9"), "there is no recipe 'clay-v9': choose clay-v0.1, .*v002"),
        (lambda output: embedder.open(output, year=2020).vectors(year=2021), "2021 is not open: choose 2020, or open it"),
        (lambda output: embedder.open(output).vectors((-122, 37, -123, 38)), "box .* is inverted: west must be less than east"),
        (
            lambda output: embedder.open(output).vectors((1, 2, 3)),  # type: ignore[arg-type]
            "is not a box: write west,south,east,north",
        ),
        (lambda output: embedder.open(output).search("c1"), "'c1' is not a chip id"),
        (lambda output: embedder.open(output).search([(-122, 37, 0)]), r"\(-122, 37, 0\) is no chip: give an id"),  # type: ignore[list-item]
        (lambda output: embedder.open(output).search([]), "no chip is given to look for"),
        (lambda output: embedder.open(output).classify("labels.csv", to="classes.png"), "classes.png is no name for a file"),
        (lambda output: embedder.open(output).classify("labels.csv", method="magic"), "there is no method magic"),
        (lambda output: embedder.run(output, 2019), "there is no composite of 2019: choose 2020 or 2021"),
        (lambda output: embedder.run(output, 2020, bbox=(37, -122, 38, -121)), "has latitude before longitude: write -122,37,-121,38"),
        (lambda output: embedder.run(output, 2020, columns="1-"), "'1-' is not a column"),
        (
            lambda output: embedder.run(output, 2020, precision="fp64"),  # type: ignore[arg-type]
            "no such precision: 'fp64'",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(output: Path, call: Callable[[Path], object], message: str) -> None:
    with pytest.raises(embedder.EmbedderError, match=message):
        call(output)


def test_it_says_what_to_know_and_nothing_else_unless_asked(output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    opened = embedder.open(output)
    assert repr(opened).endswith("2020: 5 columns, 2021: 4 columns>\nNOTE: the weights are random:0: these embeddings mean nothing")
    opened.vectors()
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The narrow model, whose runs take moments."""
    monkeypatch.setitem(RECIPES, TINY.name, TINY)
    monkeypatch.setitem(catalogue.EXPLORABLE, TINY.name, TINY)


@pytest.mark.usefixtures("_narrow")
def test_own_chips_have_the_vectors_of_a_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = write_source(tmp_path / "source")
    options: dict[str, Any] = {"recipe": TINY.name, "weights": "random:0", "precision": "fp32", "device": "cpu"}
    done = embedder.run(tmp_path / "out", 2020, columns=COLUMNS, source=str(source), **options)
    assert capfd.readouterr() == ("", "")
    chips = done.chips
    assert chips["chip_id"].to_list() == [*CHIPS[6], *CHIPS[7]]
    with rasterio.open(source / TILE.key(2020)) as tile:
        pixels = np.stack([tile.read(window=tile.window(*box).round_offsets().round_lengths()) for box in chips.geometry.bounds.to_numpy()])
    lonlat = chips[["longitude", "latitude"]].to_numpy()
    own = embedder.embed(pixels, lonlat, 2020, **options)
    files = sorted((tmp_path / "out").rglob("*_000[67].parquet"))
    vectors = np.stack([vector for file in files for vector in geopandas.read_parquet(file)["embeddings"]])
    np.testing.assert_allclose(own, vectors, rtol=0, atol=1e-5)
    [kept] = (tmp_path / "cache").rglob("encoder-*.safetensors")
    np.testing.assert_array_equal(embedder.embed(pixels[1:2], lonlat[1:2], 2020, **options | {"weights": str(kept)}), own[1:2])
    assert embedder.embed(pixels[:0], lonlat[:0], 2020, **options).shape == (0, 192)


@pytest.mark.usefixtures("_narrow")
def test_a_run_of_a_box_or_a_file_has_the_chips_that_it_overlaps(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "recipe": TINY.name,
        "weights": "random:0",
        "device": "cpu",
        "source": str(write_source(tmp_path / "source")),
    }
    west, north = Chip(column=13, row=0, pixels=256).bounds.center
    box = (west, north - 0.001, west + 0.001, north)
    assert embedder.run(tmp_path / "box", 2020, bbox=box, **options).chips["chip_id"].to_list() == [CHIPS[6][1]]
    geopandas.GeoSeries([shapely.box(*box)], crs="EPSG:4326").to_file(tmp_path / "area.geojson")
    assert embedder.run(tmp_path / "file", 2020, area=tmp_path / "area.geojson", **options).chips["chip_id"].to_list() == [CHIPS[6][1]]


@pytest.mark.parametrize(
    ("dtype", "shape", "lonlat", "message"),
    [
        ("float32", (1, 4, 512, 512), [(-122, 37)], r"pixels are float32 \(1, 4, 512, 512\): clay-v0.1 takes uint16 \(n, 4, 512, 512\)"),
        ("uint16", (1, 4, 256, 256), [(-122, 37)], r"\(1, 4, 256, 256\)"),
        ("uint16", (4, 512, 512), [(-122, 37)], r"\(4, 512, 512\)"),
        ("uint16", (1, 4, 512, 512), [(-122, 37), (-121, 37)], r"lonlat is \(2, 2\) for 1 chips"),
        ("uint16", (1, 4, 512, 512), [(37, -122)], "longitude 37, latitude -122 of chip 0 is no place on Earth"),
        ("uint16", (1, 4, 512, 512), [(np.nan, 37)], "longitude nan, latitude 37 of chip 0"),
    ],
)
def test_own_chips_of_another_form_are_refused(dtype: str, shape: tuple[int, ...], lonlat: list[tuple[float, float]], message: str) -> None:
    with pytest.raises(embedder.UsageError, match=message):
        embedder.embed(np.ones(shape, dtype), lonlat, 2020, weights="random:0")


@pytest.mark.usefixtures("_narrow")
def test_a_run_raises_what_became_of_a_column(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = write_source(tmp_path / "source")
    tile = source / TILE.key(2020)
    tile.write_bytes(tile.read_bytes()[:5_000])
    options: dict[str, Any] = {"recipe": TINY.name, "weights": "random:0", "device": "cpu"}
    with pytest.raises(embedder.ConfigurationError, match="column 6: "):
        embedder.run(tmp_path / "out", 2020, columns=[6], source=str(source), progress=True, **options)
    assert "column 6 failed" in capfd.readouterr().err


def test_every_name_is_there_and_every_error_has_one() -> None:
    assert {*embedder.__all__} <= {*dir(embedder)}
    assert all(getattr(embedder, name).__name__ == name for name in embedder.__all__)
    ours = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.EmbedderError)}
    assert ours == {name for name in embedder.__all__ if name.endswith("Error")}
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = embedder.nothing
