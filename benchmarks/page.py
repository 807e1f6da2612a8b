"""The page at full size, in software WebGL: its first look, a frame, from a click to hits, the slider, a map of classes, pictures, memory.

    python benchmarks/page.py [--chips 581933] [--frames 40] [--rounds 3] [--clicks 8]

Needs Chromium. The vectors are the made-up ones of benchmarks/explore.py, 1.8 GB in build/bench and 4 GB for the cache where there are
581,933; --chips 20000 takes a minute. What is embedded is replaced, for the map, by a continent's columns from one wavy coast to another,
one chip in 25 without data. A frame is a step of a pan across the continent, until its pixels can be read; its baseline, in the same page
in turns, are boxes column by column, as the map drew them at first. A click's baseline is the API's own answer, without the page; the
slider's is another answer for every chip, which it does without.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import urllib3
from explore import FOLDER, RECIPE, YEAR, make_output
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from embedder.console.progress import Progress
from embedder.explore.explorer import Explorer, open_explorer
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.places import pack_chips
from embedder.explore.web.coverage import coverage
from embedder.grid import COLUMN_COUNT, HEIGHT_PIXELS, NORTH, TILE_PIXELS, WEST, Chip
from tests.explore_site import served

CHIPS = 581_933
LABELS = 200
FLAGS = ("--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
PATIENCE_MS = 300_000
PAN = """async frames => {
    const { map } = document.getElementById('map');
    const once = () => new Promise(resolve => { map.once('render', () => requestAnimationFrame(resolve)); map.triggerRepaint(); });
    const gl = map.getCanvas().getContext('webgl2') ?? map.getCanvas().getContext('webgl');
    const times = [];
    for (let frame = 0; frame < frames; frame++) {
        const start = performance.now();
        map.jumpTo({ center: [-110 + 25 * frame / frames, 40], zoom: 4.2 });
        await once();
        gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4)); // until it is drawn
        times.push(performance.now() - start);
    }
    return times;
}"""
BEFORE = """boxes => {
    const { map } = document.getElementById('map');
    for (const layer of ['covered', 'outline']) map.setLayoutProperty(layer, 'visibility', 'none');
    for (const layer of ['coverage', 'coverage-edge']) map.setLayerZoomRange(layer, 0, 24);
    if (map.getLayer('layer')) map.setLayoutProperty('layer', 'visibility', 'none');
    map.getSource('coverage').setData(boxes);
    return new Promise(resolve => map.once('idle', () => resolve()));
}"""
SLIDE = """async moves => {
    const slider = document.getElementById('above');
    const { map } = document.getElementById('map');
    const gl = map.getCanvas().getContext('webgl2') ?? map.getCanvas().getContext('webgl');
    const times = [];
    for (let move = 0; move < moves; move++) {
        const start = performance.now();
        slider.value = move;
        slider.dispatchEvent(new Event('input'));
        await new Promise(resolve => { map.once('render', () => requestAnimationFrame(resolve)); map.triggerRepaint(); });
        gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
        times.push(performance.now() - start);
    }
    return times;
}"""


def continent(count: int) -> Any:  # noqa: ANN401 - what `coverage` looks at
    """Made-up chips of 512 pixels."""
    random = np.random.default_rng(0)
    columns = np.arange(COLUMN_COUNT)
    rows = np.arange(HEIGHT_PIXELS // 512)
    top = 40 + 25 * np.sin(columns / 60) + random.integers(0, 6, COLUMN_COUNT)
    bottom = 555 - 60 * np.abs(np.sin(columns / 210)) - random.integers(0, 9, COLUMN_COUNT)
    inside = (rows[None] >= top[:, None]) & (rows[None] < bottom[:, None]) & (random.random((COLUMN_COUNT, len(rows))) > 1 / 25)
    chips = np.argwhere(inside)[:count].astype(np.int16)
    return SimpleNamespace(chips=chips, live=np.ones(len(chips), np.bool_), recipe=RECIPE, year=YEAR, count=len(chips))


def as_boxes(found: dict[str, Any]) -> dict[str, Any]:
    """The same as one box for each run of rows, as it was before."""
    degrees = 512 / TILE_PIXELS
    feature = found["features"][0]
    rings = []
    for left, top, right, bottom in feature["properties"]["boxes"]:
        west, east, north, south = WEST + left * degrees, WEST + right * degrees, NORTH - top * degrees, NORTH - bottom * degrees
        rings.append([[[west, south], [east, south], [east, north], [west, north], [west, south]]])
    return {**found, "features": [feature | {"geometry": {"type": "MultiPolygon", "coordinates": rings}}]}


def as_before(page: Page, boxes: dict[str, Any]) -> None:
    """Draw what is embedded as boxes at all zooms."""
    page.evaluate(BEFORE, boxes)
    page.wait_for_selector("#map[data-idle]")


@contextmanager
def opened(browser: Browser, url: str, query: str, answer: str) -> Iterator[Page]:
    """A tab whose map shows the continent."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(PATIENCE_MS)
    page.route("**/api/coverage*", lambda route: route.fulfill(body=answer, content_type="application/geo+json"))
    page.goto(f"{url}/?year={YEAR}&{query}")
    page.wait_for_selector("#map[data-idle]")
    yield page
    page.close()


def first_look(browser: Browser, url: str, answer: str, rounds: int) -> None:
    """From an address that was typed to a map in false colour."""
    usable, still = [], []
    for _ in range(rounds):
        with opened(browser, url, "at=4.2/40/-95", answer) as page:
            page.locator("#told", has_text="like colour").wait_for()
            page.wait_for_selector("#map[data-idle]")
            still.append(page.evaluate("performance.now()") / 1e3)
            usable.append(page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") / 1e3)
    say(
        "first look", f"{statistics.median(usable):.2f} s until it can be typed in, {statistics.median(still):.1f} s until the map is still"
    )


def frames(browser: Browser, url: str, outline: dict[str, Any], arguments: argparse.Namespace) -> None:
    """A frame against boxes."""
    ours, boxes = [], []
    answer, before = json.dumps(outline), as_boxes(outline)
    for _ in range(arguments.rounds):
        with opened(browser, url, "like=c0001r0003&at=4.2/40/-95", answer) as page:
            ours.append(statistics.median(page.evaluate(PAN, arguments.frames)))
            as_before(page, before)
            boxes.append(statistics.median(page.evaluate(PAN, arguments.frames)))
    ratio = statistics.median(boxes) / statistics.median(ours)
    say("a frame", f"{statistics.median(ours):.0f} ms, {statistics.median(boxes):.0f} ms as boxes: {ratio:.2f} x as quick")


def clicks(browser: Browser, url: str, explorer: Explorer, answer: str, count: int) -> None:
    """From a click on the map to hits, the slider, the classes, and memory."""
    database = explorer.searcher(YEAR).database
    chips = [database.chip(int(row)) for row in np.linspace(0, database.rows - 1, count + 2)[1:-1]]
    with opened(browser, url, "at=8/40/-110", answer) as page:
        seen, alone = [], []
        for chip in chips:
            page.evaluate("middle => document.getElementById('map').map.jumpTo({ center: middle, zoom: 8 })", list(chip.bounds.center))
            page.wait_for_selector("#map[data-idle]")
            seen.append(timed(partial(click, page, chip)))
            alone.append(timed(partial(ask, f"{url}/api/search?year={YEAR}&like={chip.id}&k=12")))
        ratio = statistics.median(seen) / statistics.median(alone)
        say(
            "a click to hits",
            f"{statistics.median(seen) * 1e3:.0f} ms, {statistics.median(alone) * 1e3:.0f} ms of the API alone: {ratio:.1f} x",
        )
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/api/layer" in request.url else None)
        page.locator("#whole summary").click()
        page.wait_for_selector("#whole a[href]")
        asked.clear()
        moved = statistics.median(page.evaluate(SLIDE, 20))
        again = statistics.median(timed(lambda: ask(f"{url}/api/layer?year={YEAR}&like={chips[-1].id}")) for _ in range(3))
        say("the slider", f"{moved:.0f} ms until it is painted, {len(asked)} requests; an answer for every chip is {again * 1e3:.0f} ms")
        heap = page.context.new_cdp_session(page).send("Runtime.getHeapUsage")["usedSize"]
    say("memory", f"{heap / 1e6:.0f} MB of the page's heap; {resident() / 1e9:.1f} GB of this process, files that it maps among them")


def click(page: Page, chip: Chip) -> None:
    """On the map's middle, until the hits of the chip there are shown."""
    page.locator("#map canvas").click()
    page.locator("#question h2", has_text=chip.id).wait_for()
    page.locator("#hits:not([aria-busy]) .hit[data-id]").first.wait_for()


def classes(url: str, explorer: Explorer) -> None:
    """A map of two classes."""
    database = explorer.searcher(YEAR).database
    rows = np.random.default_rng(0).choice(database.rows, LABELS, replace=False)
    chips = [database.chip(int(row)) for row in rows]
    marks = "&".join(f"mark={name}{pack_chips(chips[half::2])}" for half, name in enumerate(("one", "other")))
    took = timed(lambda: ask(f"{url}/api/classify?year={YEAR}&{marks}"))
    say("a map of classes", f"{took:.1f} s from {LABELS} marks, tested by folds, as a byte a chip")


def pictures(browser: Browser, url: str, answer: str) -> None:
    """How many are asked for where chips are small."""
    with opened(browser, url, "at=8/45/-124.3", answer) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/api/picture" in request.url else None)
        start = time.perf_counter()
        page.evaluate("document.getElementById('map').map.jumpTo({ zoom: 9.2 })")
        page.wait_for_timeout(5_000)
        took = time.perf_counter() - start
    say("pictures at zoom 9.2", f"{len(asked)} asked for in {took:.1f} s")


def ask(url: str) -> bytes:
    """What the API answers, as a browser takes it."""
    reply = urllib3.request("GET", url, headers={"Accept-Encoding": "gzip"}, timeout=300)
    if reply.status != HTTPStatus.OK:
        raise SystemExit(f"{url[:200]} was answered with {reply.status}: {reply.data[:200]!r}")
    return reply.data


def timed(act: Callable[[], Any]) -> float:
    """Seconds."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def resident() -> int:
    """Bytes of memory of this process, which serves."""
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def say(what: str, text: str) -> None:
    """A line of the table."""
    print(f"{what:22}{text}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chips", type=int, default=CHIPS)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clicks", type=int, default=8)
    arguments = parser.parse_args()
    output = make_output(arguments.chips)
    os.environ["XDG_CACHE_HOME"] = str(FOLDER / "page-cache")
    explorer = open_explorer(str(output), RECIPE.name, [], Progress())
    nothing = Pictures(FOLDER / "page-pictures", None, lambda _chip, _year: None)
    outline = coverage(continent(arguments.chips))
    answer = json.dumps(outline)
    say("chips", f"{arguments.chips:,}, an outline of {len(answer) / 1e6:.1f} MB")
    with served(explorer, nothing) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        first_look(browser, url, answer, arguments.rounds)
        frames(browser, url, outline, arguments)
        clicks(browser, url, explorer, answer, arguments.clicks)
        classes(url, explorer)
        pictures(browser, url, answer)
        browser.close()


if __name__ == "__main__":
    main()
