"""The page's server."""

from collections.abc import Iterator

import pytest

from embedder.explore.explorer import Explorer
from embedder.explore.pictures.pictures import Pictures
from tests.explore_site import served


@pytest.fixture(scope="package")
def page(explorer: Explorer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(explorer, Pictures(tmp_path_factory.mktemp("pictures"), None, lambda _chip, _year: None)) as url:
        yield url
