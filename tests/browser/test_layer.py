"""Every chip's answer on the page: a layer on the map, and the slider that cuts it."""

from types import SimpleNamespace

import numpy as np
from playwright.sync_api import Page, expect
from pyproj import Transformer

from embedder.explore.explorer import Explorer
from embedder.explore.search import Question
from embedder.explore.web.coverage import coverage
from embedder.grid import NORTH, Chip
from embedder.recipes import RECIPES
from tests.browser.conftest import PATIENCE_MS
from tests.browser.test_page import open_page

expect.set_options(timeout=PATIENCE_MS)

ROWS, COLUMNS = 586, 3
PAINT = """async ([rows, columns]) => {
    const { Layer } = await import("./js/layer.js");
    const { Grid } = await import("./js/chips.js");
    const grid = new Grid({ grid: [-125, 24.9973333, -67.016, 50], chip_pixels: 512 });
    const ranks = Uint16Array.from({ length: rows * columns }, (_, index) => Math.floor(index / columns) % 2 ? 65535 : 0);
    const layer = new Layer({ column: 0, row: 0, columns, rows, levels: [] }, ranks);
    const canvas = document.createElement("canvas");
    layer.paint(canvas, grid, 0, [[0, 0, 0], [255, 0, 0]]);
    const { data } = canvas.getContext("2d").getImageData(1, 0, 1, canvas.height);
    return Array.from({ length: canvas.height }, (_, y) => data[4 * y + 3]);
}"""
PIXELS = """async places => {
    const { map } = document.getElementById("map");
    const gl = map.getCanvas().getContext("webgl2");
    const pixel = place => {
        const { x, y } = map.project(place);
        const bytes = new Uint8Array(4);
        gl.readPixels(Math.floor(x), gl.drawingBufferHeight - 1 - Math.floor(y), 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
        return [...bytes.slice(0, 3)];
    };
    return new Promise(resolve => {
        map.once("render", () => resolve(places.map(row => row.map(pixel)))); // before the browser takes the picture away
        map.triggerRepaint();
    });
}"""
LINES_AT = """place => {
    const { map } = document.getElementById('map');
    map.jumpTo(place);
    return new Promise(done => map.once('idle', () => done(map.queryRenderedFeatures({ layers: ['graticule'] }).length)));
}"""
SLIDE = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }"


def test_a_layer_s_rows_lie_where_a_mercator_map_has_them(page: Page, site: str) -> None:
    open_page(page, site)
    painted = np.array(page.evaluate(PAINT, [ROWS, COLUMNS])) > 0
    side = 512 / 12_000
    to_mercator = Transformer.from_crs(4326, 3857, always_xy=True)
    _, edges = to_mercator.transform(np.zeros(ROWS + 1), NORTH - side * np.arange(ROWS + 1))
    heights = (edges[0] - edges) / (edges[0] - edges[-1]) * len(painted)
    middles = np.floor((heights[:-1] + heights[1:]) / 2).astype(int)
    assert painted[middles].tolist() == [row % 2 == 1 for row in range(ROWS)]


def test_the_slider_cuts_every_chip_without_asking_again(page: Page, site: str, explorer: Explorer) -> None:
    searcher = explorer.searcher(2020)
    chip = searcher.database.chip(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/layer" in request.url else None)
    open_page(page, f"{site}/?year=2020&like={chip.id}")
    page.locator("#whole summary").click()
    slider = page.get_by_label("The best")
    expect(page.locator("#share")).to_have_text("1 %")
    expect(page.locator("#covers")).to_contain_text("distance at most 0")  # its own
    slider.evaluate(SLIDE, "10")
    answer = searcher.scores(Question(like=[Chip(column=chip.column, row=chip.row, pixels=chip.pixels)]))
    expect(page.locator("#share")).to_have_text("50 %")
    expect(page.locator("#covers")).to_contain_text(f"{answer.above(50).sum()} chips")
    assert page.locator("#map").evaluate("map => Boolean(map.map.getLayer('layer'))")
    assert len(asked) == 1
    assert "above=50" in (page.get_by_role("link", name="GeoTIFF").get_attribute("href") or "")


def test_there_is_no_layer_where_nothing_is_found(page: Page, site: str, explorer: Explorer) -> None:
    chip = explorer.searcher(2020).database.chip(0)
    open_page(page, f"{site}/?year=2020&like={chip.id}&bbox=-100,30,-99,31")
    expect(page.locator("#message")).to_contain_text("Nothing found here")
    expect(page.locator("#whole")).to_be_hidden()


def test_from_afar_each_chip_without_data_is_a_hole_in_the_theme_s_colour(page: Page, site: str, explorer: Explorer) -> None:
    left, top, side = 600, 200, 60
    embedded = np.array([[column % 2 == 0 or row % 2 == 0 for column in range(side)] for row in range(side)])
    chips = np.argwhere(embedded.T) + np.array([left, top])
    year = SimpleNamespace(chips=chips, live=np.ones(len(chips), np.bool_), recipe=RECIPES["clay-v0.1"], year=2020, count=len(chips))
    page.route("**/api/coverage*", lambda route: route.fulfill(json=coverage(year)))  # type: ignore[arg-type]
    page.route("**/api/info", lambda route: route.fulfill(json=route.fetch().json() | {"chip_pixels": 512}))
    places = [[Chip(column=left + x, row=top + y, pixels=512).bounds.center for x in range(side)] for y in range(side)]
    lon, lat = places[side // 2][side // 2]
    open_page(page, f"{site}/?year=2020&like={explorer.searcher(2020).database.chip(0).id}&at=6.5/{lat}/{lon}")
    for colour in ((191, 216, 203), (44, 74, 67)):
        page.wait_for_selector("#map[data-idle]")
        shown = (np.abs(np.array(page.evaluate(PIXELS, places)) - colour) <= 2).all(axis=2)
        assert (shown == embedded).mean() > 0.97  # a border lies over some
        page.locator("#theme").click()


def test_the_graticule_is_where_the_map_goes(page: Page, site: str) -> None:
    open_page(page, f"{site}/?year=2020&at=6/40/-100")
    for center, zoom in (([-99.5, 40], 6), ([-80, 30], 6), ([-80, 30], 8), ([-80, 30], 4)):
        assert page.evaluate(LINES_AT, {"center": center, "zoom": zoom}) > 1, (center, zoom)
