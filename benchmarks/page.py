"""The page's map at full size, in software WebGL: what is embedded as one outline, against boxes, column by column, as before.

    python benchmarks/page.py [--frames 40] [--rounds 3]

Needs Chromium. 581,933 chips are made up: a continent's columns from one wavy coast to another, one chip in 25 without data. The page
shows a small output; its answer of /api/coverage is replaced by the one to be measured, in turns. A frame is a step of a pan across the
continent, until its pixels can be read.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from playwright.sync_api import Page, Route, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from embedder.console.progress import Progress
from embedder.explore.explorer import open_explorer
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.web.coverage import coverage
from embedder.grid import COLUMN_COUNT, HEIGHT_PIXELS, NORTH, TILE_PIXELS, WEST
from embedder.recipes import RECIPES
from tests.explore_output import some, write_output
from tests.explore_site import served

CHIPS = 581_933
FLAGS = ("--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
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


def continent() -> Any:  # noqa: ANN401 - what `coverage` looks at
    """Made-up chips of 512 pixels."""
    random = np.random.default_rng(0)
    columns = np.arange(COLUMN_COUNT)
    rows = np.arange(HEIGHT_PIXELS // 512)
    top = 40 + 25 * np.sin(columns / 60) + random.integers(0, 6, COLUMN_COUNT)
    bottom = 555 - 60 * np.abs(np.sin(columns / 210)) - random.integers(0, 9, COLUMN_COUNT)
    inside = (rows[None] >= top[:, None]) & (rows[None] < bottom[:, None]) & (random.random((COLUMN_COUNT, len(rows))) > 1 / 25)
    chips = np.argwhere(inside)[:CHIPS].astype(np.int16)
    return SimpleNamespace(chips=chips, live=np.ones(len(chips), np.bool_), recipe=RECIPES["clay-v0.1"], year=2020, count=len(chips))


def as_boxes(found: dict[str, Any]) -> dict[str, Any]:
    """The same as one box for each run of rows, as it was before."""
    degrees = 512 / TILE_PIXELS
    feature = found["features"][0]
    rings = []
    for left, top, right, bottom in feature["properties"]["boxes"]:
        west, east, north, south = WEST + left * degrees, WEST + right * degrees, NORTH - top * degrees, NORTH - bottom * degrees
        rings.append([[[west, south], [east, south], [east, north], [west, north], [west, south]]])
    return {**found, "features": [feature | {"geometry": {"type": "MultiPolygon", "coordinates": rings}}]}


def measure(page: Page, url: str, answer: str, frames: int) -> tuple[float, float]:
    """Seconds until the map is still, and the median of a frame, ms."""

    def fulfil(route: Route) -> None:
        route.fulfill(body=answer, content_type="application/geo+json")

    page.route("**/api/coverage*", fulfil)
    page.goto(f"{url}/?year=2020&like=c0001r0003&at=4.2/40/-95")
    page.wait_for_selector("#map[data-idle]", timeout=120_000)
    first = page.evaluate("performance.now()") / 1e3
    times = page.evaluate(PAN, frames)
    page.unroute("**/api/coverage*")
    return first, statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    outline = coverage(continent())
    answers = {"boxes": json.dumps(as_boxes(outline)), "outline": json.dumps(outline)}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in answers}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        explorer = open_explorer(str(write_output(Path(folder) / "out", some(range(4)))), "clay-v0.1", [], Progress())
        pictures = Pictures(Path(folder) / "pictures", None, lambda _chip, _year: None)
        with served(explorer, pictures) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            for _ in range(arguments.rounds):
                for name, answer in answers.items():
                    page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
                    found[name].append(measure(page, url, answer, arguments.frames))
                    page.close()
            browser.close()
    for name, rounds in found.items():
        first, frame = (statistics.median(each) for each in zip(*rounds, strict=True))
        print(f"{name:8} {len(answers[name]) / 1e6:5.1f} MB of JSON   still after {first:5.1f} s   a frame {frame:6.1f} ms", flush=True)
    ratio = statistics.median(frame for _, frame in found["boxes"]) / statistics.median(frame for _, frame in found["outline"])
    print(f"ratio: a frame with the outline is {ratio:.2f} x as quick as with boxes")


if __name__ == "__main__":
    main()
