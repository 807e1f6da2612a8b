import pytest

from embedder.errors import UsageError
from embedder.explore.pictures.wms import Wms, mercator_box
from embedder.grid import Chip


def test_a_chips_box_in_mercator_is_that_of_pyproj() -> None:
    from pyproj import Transformer  # noqa: PLC0415

    chip = Chip(column=1155, row=287, pixels=512)
    transformer = Transformer.from_crs(4326, 3857, always_xy=True)
    bounds = chip.bounds
    expected = [*transformer.transform(bounds.west, bounds.south), *transformer.transform(bounds.east, bounds.north)]
    assert mercator_box(chip) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://host/x", "https://", "https://user:secret@host/wms", "host/wms"])
def test_what_is_no_address_of_a_wms_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Wms(url, "layer")
    assert "secret" not in str(caught.value)
