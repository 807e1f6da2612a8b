"""Pictures from a WMS that behaves, and from ones that do not."""

from pathlib import Path

import pytest

from embedder.errors import TemporaryError
from tests.explore_output import CHIP
from tests.pictures import TILE, brightness, chip_pictures, fake_wms, picture


@pytest.mark.parametrize("driver", ["PNG", "JPEG"])
def test_a_picture_is_the_wms_s_and_is_kept(tmp_path: Path, driver: str) -> None:
    with fake_wms(kind=f"image/{driver.lower()}", body=picture(200, driver=driver)) as (url, asked):
        found = chip_pictures(tmp_path, url).get(CHIP, 2021)
        assert found.origin == "wms"
        assert brightness(found.jpeg) == pytest.approx(200, abs=3)
        assert chip_pictures(tmp_path, url).get(CHIP, 2021) == found
    assert len(asked) == 1
    assert asked[0]["LAYERS"] == ["LAYER_2021"]
    assert asked[0]["CRS"] == ["EPSG:3857"]


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (500, "text/html", b"no"),
        (404, "image/png", b""),
        (200, "application/xml", b"<ServiceException/>"),
        (200, "image/png", b"\x89PNG and nothing more"),
        (200, "image/png", b"<svg/>"),
        (200, "image/png", b"\x89PNG" + bytes(5_000_000)),
        (200, "image/png", picture(10)),
        (200, "image/png", picture(200, width=3_000)),
    ],
    ids=["error", "absent", "exception", "broken", "another kind", "endless", "of one colour", "larger than asked"],
)
def test_the_tile_stands_in_when_the_wms_has_no_picture(tmp_path: Path, status: int, kind: str, body: bytes) -> None:
    with fake_wms(status, kind, body) as (url, _):
        found = chip_pictures(tmp_path, url, TILE).get(CHIP, 2020)
        assert found.origin == "tile"
        assert brightness(found.jpeg) == pytest.approx(77, abs=2)


def test_a_redirect_is_not_followed_to_another_host(tmp_path: Path) -> None:
    with fake_wms(body=picture(200)) as (elsewhere, asked_elsewhere), fake_wms(302, "text/plain", Location=elsewhere) as (url, asked):
        with pytest.raises(TemporaryError, match="the WMS does not answer, and the source has none"):
            chip_pictures(tmp_path, url).get(CHIP, 2020)
        assert len(asked) == 1
        assert not asked_elsewhere
