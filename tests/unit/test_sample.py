from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from numpy.typing import NDArray
from rasterio.windows import Window

from embedder import sample
from embedder.errors import UsageError
from embedder.explore.labels import read_labels
from embedder.grid import Chip
from embedder.source.land_cover import CLASSES, LandCoverMap


@pytest.fixture
def tile(sample_source: Path) -> Path:
    return sample_source / sample.TILE.key(2020)


def axes(x: int, y: int, size: int = 128) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.arange(y, y + size, dtype=np.float32), np.arange(x, x + size, dtype=np.float32)


def test_tile_has_the_layout_of_the_source(tile: Path) -> None:
    assert tile.as_posix().endswith("/rgbnir/2020/N36/ESA_WorldCover_10m_2020_v100_N36W122_S2RGBNIR.tif")
    assert tile.stat().st_size < 12e6
    assert [path for path in tile.parent.iterdir() if path != tile] == []
    with rasterio.open(tile) as dataset:
        structure = dataset.tags(ns="IMAGE_STRUCTURE")
        assert {name: structure[name] for name in ("LAYOUT", "COMPRESSION", "INTERLEAVE", "PREDICTOR")} == {
            "LAYOUT": "COG",
            "COMPRESSION": "DEFLATE",
            "INTERLEAVE": "PIXEL",
            "PREDICTOR": "2",
        }
        assert dataset.shape == (12000, 12000)
        assert dataset.dtypes == ("uint16",) * 4
        assert dataset.nodatavals == (0,) * 4
        assert dataset.crs.to_epsg() == 4326
        assert dataset.transform.to_gdal() == (-122, 1 / 12000, 0, 37, 0, -1 / 12000)
        assert dataset.block_shapes == [(1024, 1024)] * 4
        assert [dataset.overviews(band) for band in (1, 2, 3, 4)] == [[2, 4, 8, 16]] * 4
    with rasterio.open(tile, overview_level=0) as overview, rasterio.open(tile) as dataset:
        assert (
            overview.read(4, window=Window(1024, 1280, 256, 256)) == dataset.read(4, window=Window(2048, 2560, 512, 512))[::2, ::2]
        ).all()


def test_tile_is_complete_in_its_columns_and_rows_and_nowhere_else(tile: Path) -> None:
    # From the grid's facts: columns and rows of 512 pixels from 125 W, 50 N; the tile's corner is at 122 W, 37 N.
    with rasterio.open(tile) as dataset:
        seen = (dataset.read(window=Window(0, 0, 6144, 6144)) > 0).all(axis=0)
        assert dataset.read(4, window=Window(6144, 0, 5856, 12000)).max() == 0
        assert dataset.read(4, window=Window(0, 6144, 12000, 5856)).max() == 0
    complete = {
        (column, row)
        for column in range(71, 82)
        for row in range(305, 316)
        if seen[row * 512 - 156_000 :, column * 512 - 36_000 :][:512, :512].all()
    }
    assert complete == {(column, row) for column in sample.COLUMNS for row in sample.ROWS}
    assert len(complete) == 16


def test_values_are_those_of_a_reflectance(tile: Path) -> None:
    with rasterio.open(tile) as dataset:
        pixels = dataset.read(window=Window(1888, 2208, 2048, 2048))
    assert 50 < pixels.min() < pixels.max() < 6000
    red, _, _, nir = pixels[:, 1000:, :300].reshape(4, -1).astype(float)
    assert (nir < red).all(), "the sea is in the west"
    assert np.median(pixels[3, :, 1000:]) > 2000, "the land is in the east"


@pytest.mark.parametrize("corner", [(2300, 3000), (3000, 2600), (3700, 2300), (2850, 3700)])
def test_painting_is_the_same_whatever_the_pieces(corner: tuple[int, int]) -> None:
    y, x = axes(*corner)
    whole = sample._paint(y, x, 2021)
    sample._table.cache_clear()
    pieces = [[sample._paint(rows, columns, 2021) for columns in (x[:50], x[50:])] for rows in (y[:70], y[70:])]
    np.testing.assert_array_equal(np.block(pieces), whole)


def test_2021_differs_from_2020_only_where_it_burnt() -> None:
    burnt, spared = axes(2950, 3700), axes(3500, 3900)
    before, after = (sample._paint(*burnt, year) for year in (2020, 2021))
    assert np.median(after[3]) < 0.5 * np.median(before[3])
    np.testing.assert_array_equal(sample._paint(*spared, 2020), sample._paint(*spared, 2021))


def test_sample_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / sample.TILE.key(2021)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"here already")
    assert sample.write_sample(tmp_path, 2021) == path
    assert path.read_bytes() == b"here already"


def test_nothing_is_left_when_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "_paint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample.write_sample(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.name.startswith(".")] == []


def test_unknown_year_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2019"):
        sample.write_sample(tmp_path, 2019)
    assert CliRunner().invoke(sample.main, [str(tmp_path), "--year", "2019"]).exit_code == 2


def test_one_line_and_exit_code_78_when_the_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "rgbnir").write_text("a file in the way")
    result = CliRunner().invoke(sample.main, [str(tmp_path)])
    assert result.exit_code == 78
    assert result.stderr.startswith("error: the sample cannot be written to ")
    assert result.stderr.count("\n") == 1


def test_the_labels_name_chips_of_the_sample(tmp_path: Path) -> None:
    pytest.importorskip("geopandas")
    labels = read_labels(sample.write_sample_labels(tmp_path), 512)
    found = {name: labels.chips[labels.codes == code].tolist() for code, name in enumerate(labels.classes)}
    assert found == {name: [list(place) for place in places] for name, places in sample.LABELLED.items()}
    assert all(column in sample.COLUMNS and row in sample.ROWS for column, row in labels.chips.tolist())


def test_the_map_has_the_layout_of_the_real_one(tile: Path) -> None:
    path = sample.write_map(tile.parents[3])
    assert path.as_posix().endswith("/v100/2020/map/ESA_WorldCover_10m_2020_v100_N36W123_Map.tif")
    assert path.stat().st_size < 2e6
    with rasterio.open(path) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.shape == (36000, 36000)
        assert dataset.dtypes == ("uint8",)
        assert dataset.crs.to_epsg() == 4326
        assert dataset.transform.to_gdal() == pytest.approx((-123, 1 / 12000, 0, 39, 0, -1 / 12000))
        assert 8 in dataset.overviews(1)


def test_the_map_says_what_is_painted_where(tile: Path) -> None:
    sample.write_map(tile.parents[3])
    chips = [Chip(column=column, row=row, pixels=512) for column in sample.COLUMNS for row in sample.ROWS]
    shares = LandCoverMap(str(tile.parents[3]), 2020).shares(chip.window for chip in chips)
    assert np.isfinite(shares).all()
    main = [list(CLASSES)[place] for place in shares.argmax(axis=1)]
    assert main[:4] == [80] * 4  # the sea is in the west
    assert set(main[4:]) == {40}  # and fields in the plain
    assert shares.max(axis=0)[list(CLASSES).index(10)] > 0.1  # woods in the hills
