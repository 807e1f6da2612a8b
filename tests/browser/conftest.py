"""A real Chromium, and what it looks at: the real tile, or the made-up one, embedded in both years with random weights."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import rasterio
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from rasterio.windows import Window as RasterWindow

from embedder import sample
from embedder.console.progress import Progress
from embedder.explore.explorer import Explorer, PictureOptions, open_explorer
from embedder.explore.vectors.catalogue import EXPLORABLE
from embedder.grid import COLUMN_PIXELS, TILE_PIXELS, Chip
from embedder.recipes import RECIPES
from embedder.steps.local import run_local
from embedder.steps.plan import PlanOptions
from tests.conftest import shared
from tests.explore_site import served
from tests.jobs import TINY
from tests.tiles import REAL, REAL_TILE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),  # WebGL without a graphics card
]
COLUMN = 1157 if REAL.exists() else sample.COLUMNS.start + 1
"""Its 14 to 16 chips of 256 pixels are enough for a page of hits."""
PATIENCE_MS = 30_000
"""How long a condition may take on a busy machine; on others it takes moments."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip all of this folder where there is no Chromium."""
    if CHROMIUM is None:
        skip = pytest.mark.skip(reason="there is no Chromium here: install it (Debian: apt install chromium) to test the page")
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(skip)


@pytest.fixture(scope="package")
def source(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Tiles of both years."""
    if not REAL.exists():
        made: Path = request.getfixturevalue("sample_source")
        with shared(tmp_path_factory, "sample"):
            sample.write_sample(made, 2021)
        return made
    with shared(tmp_path_factory, "page-source") as folder:
        before, after = (folder / REAL_TILE.key(year) for year in (2020, 2021))
        if not after.exists():
            for path in (before, after):
                path.parent.mkdir(parents=True, exist_ok=True)
            before.unlink(missing_ok=True)
            before.symlink_to(REAL / REAL_TILE.key(2020))
            _write_burnt(before, folder / "unfinished.tif")
            (folder / "unfinished.tif").rename(after)
    return folder


def _write_burnt(before: Path, after: Path) -> None:
    """The same ground as far as it is embedded, with a square that has burnt."""
    window = RasterWindow(COLUMN * COLUMN_PIXELS % TILE_PIXELS, 2_880, COLUMN_PIXELS, 2_112)
    with rasterio.open(before) as tile:
        pixels, profile = tile.read(window=window), tile.profile
    pixels[:, 500:900, 100:400] //= 2
    same = {name: profile[name] for name in ("width", "height", "count", "dtype", "nodata", "crs", "transform", "interleave")}
    layout = {"tiled": True, "blockxsize": 1024, "blockysize": 1024, "compress": "deflate", "predictor": 2, "sparse_ok": True}
    with rasterio.open(after, "w", driver="GTiff", **layout, **same) as tile:
        tile.write(pixels, window=window)


@pytest.fixture(scope="package")  # not longer: it adds a recipe and moves the cache
def explorer(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explorer]:
    """What the page shows: a column in two years, embedded once for all workers."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for recipes in (RECIPES, EXPLORABLE):
            patch.setitem(recipes, TINY.name, TINY)
        with shared(tmp_path_factory, "page-output") as output:
            for year in (2020, 2021):
                options = PlanOptions(recipe=TINY, year=year, columns=[COLUMN], source=str(source), weights="random:0", precision="fp32")
                assert run_local(str(output), options, Progress(), device="cpu").manifest
        yield open_explorer(str(output), TINY.name, [], Progress())


@pytest.fixture(scope="package")
def chips(explorer: Explorer) -> list[Chip]:
    database = explorer.searcher(2020).database
    return [database.chip(row) for row in range(database.rows)]


@pytest.fixture(scope="package")
def site(explorer: Explorer) -> Iterator[str]:
    """The page's address; pictures come from the tiles."""
    with served(explorer, explorer.pictures(PictureOptions(wms="none"))) as url:
        yield url


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty tab; a script's error or a breach of the page's own policy fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce", accept_downloads=True)
    context.set_default_timeout(PATIENCE_MS)
    tab = context.new_page()
    faults: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            faults.append(message.text)

    tab.on("console", listen)
    tab.on("requestfailed", lambda request: print(f"failed: {request.url} {request.failure}"))  # noqa: T201 - shown with a failure
    tab.on("pageerror", lambda error: faults.append(str(error)))
    yield tab
    context.close()
    assert not faults
