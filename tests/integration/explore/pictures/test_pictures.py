"""Which of its pictures a chip shows, and which are kept."""

from pathlib import Path

import pytest

from embedder.errors import TemporaryError
from embedder.explore.pictures import pictures
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.pictures.wms import Wms
from embedder.grid import Chip
from tests.explore_output import CHIP
from tests.pictures import TILE, chip_pictures, fake_wms, picture


class PartialWms(Wms):
    """Without a layer of 2020."""

    def picture(self, chip: Chip, year: int) -> bytes | None:
        if year == 2020:
            raise TemporaryError("the WMS does not answer")
        return super().picture(chip, year)


def test_the_wms_is_left_alone_for_a_while_when_it_failed(tmp_path: Path) -> None:
    with fake_wms(503, "text/plain") as (url, asked):
        pictures = chip_pictures(tmp_path, url, TILE)
        for row in range(5):
            pictures.get(Chip(column=1, row=row, pixels=512), 2020)
        assert len(asked) == 1


def test_one_year_s_missing_layer_leaves_the_other_its_wms(tmp_path: Path) -> None:
    with fake_wms(200, body=picture(200)) as (url, _):
        pictures = Pictures(tmp_path, PartialWms(url, "LAYER_{year}"), lambda _chip, _year: TILE)
        assert [pictures.get(CHIP, year).origin for year in (2020, 2021, 2020)] == ["tile", "wms", "tile"]


def test_pictures_beside_each_other_are_of_one_origin(tmp_path: Path) -> None:
    with fake_wms(200, body=picture(200)) as (url, asked):
        both = chip_pictures(tmp_path / "both", url, TILE)
        assert [both.get(CHIP, year, beside).origin for year, beside in ((2020, 2021), (2021, 2020))] == ["wms", "wms"]
        assert len(asked) == 2
        one = Pictures(tmp_path / "one", PartialWms(url, "LAYER_{year}"), lambda _chip, _year: TILE)
        assert one.get(CHIP, 2021).origin == "wms"
        assert [one.get(CHIP, year, beside).origin for year, beside in ((2020, 2021), (2021, 2020))] == ["tile", "tile"]


def test_both_pictures_are_kept_and_the_tile_s_is_shown_while_the_wms_rests(tmp_path: Path) -> None:
    cut = []

    def from_tile(chip: Chip, _year: int) -> bytes:
        cut.append(chip)
        return TILE

    with fake_wms(503) as (down, _):
        pictures = Pictures(tmp_path, Wms(down, "any"), from_tile)
        assert [pictures.get(CHIP, 2020).origin for _ in range(3)] == ["tile"] * 3
    assert cut == [CHIP]
    with fake_wms(body=picture(200)) as (up, _):
        assert Pictures(tmp_path, Wms(up, "any"), from_tile).get(CHIP, 2020).origin == "wms"
    assert {path.name for path in tmp_path.iterdir()} == {f"2020-512-{CHIP.id}-{origin}.jpg" for origin in ("tile", "wms")}
    with fake_wms(503) as (down, asked):
        assert Pictures(tmp_path, Wms(down, "any"), from_tile).get(CHIP, 2020).origin == "wms"
        assert not asked


def test_the_oldest_pictures_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "CACHE_BYTES", 10 * len(TILE))
    kept = chip_pictures(tmp_path, None, TILE)
    for row in range(30):
        kept.get(Chip(column=1, row=row, pixels=512), 2020)
        assert len(list(tmp_path.iterdir())) <= 10
    assert (tmp_path / "2020-512-c0001r0029-tile.jpg").exists()
