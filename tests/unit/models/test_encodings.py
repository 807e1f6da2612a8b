import numpy as np
from numpy.typing import NDArray

from embedder.models import encodings
from tests.golden import YEAR, values

GOLDEN = values()
LONLAT: NDArray[np.float64] = GOLDEN["lonlat"]


def test_metadata_is_golden_when_computed_for_the_golden_places() -> None:
    for found, name in (
        (np.tile(encodings.v01_time(YEAR), (2, 1)), "v01_time"),
        (encodings.v01_location(LONLAT), "v01_latlon_trained"),
        (encodings.v01_published_location(LONLAT), "v01_latlon_published"),
        (encodings.v15_time(YEAR), "v15_time"),
        (encodings.v15_location(LONLAT), "v15_latlon"),
    ):
        np.testing.assert_allclose(found, GOLDEN[name], atol=1e-6, rtol=0, err_msg=name)
        assert found.dtype == np.float32


def test_time_differs_when_the_year_does() -> None:
    assert not np.allclose(encodings.v01_time(2020), encodings.v01_time(2021))
