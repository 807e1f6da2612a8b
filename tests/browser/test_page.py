"""The page as a person uses it, in a real Chromium."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pyarrow.parquet as pq
import pytest
import urllib3
from playwright.sync_api import Error, Locator, Page, expect

from embedder.console.progress import Progress
from embedder.explore.explorer import Explorer, PictureOptions, open_explorer, unread
from embedder.explore.labels import read_labels, write_labels
from embedder.explore.pictures.pictures import Pictures
from embedder.explore.pictures.wms import Wms
from embedder.explore.places import pack_chips
from embedder.explore.web.news import News
from embedder.explore.web.server import Basemap
from embedder.grid import Chip
from tests.browser.conftest import PATIENCE_MS
from tests.explore_output import some, write_output
from tests.explore_site import served
from tests.pictures import fake_wms, picture

expect.set_options(timeout=PATIENCE_MS)

LOADED = "images => images.length > 0 && images.every(image => image.complete && image.naturalWidth === 256)"

CROPPED = """images => images.filter(({ width, height, naturalWidth, naturalHeight }) =>
    Math.abs(width * naturalHeight / (height * naturalWidth) - 1) > 0.01).map(image => image.src)"""
COVERED = """(one, others) => {
    const box = one.getBoundingClientRect();
    const meets = other => box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom;
    return [...document.querySelectorAll(others)].filter(other => meets(other.getBoundingClientRect())).map(other => other.outerHTML);
}"""
UNDER_A_MERIDIAN = """x => {
    const map = document.getElementById('map').map;
    const { lng } = map.unproject([x - map.getContainer().getBoundingClientRect().left, 0]);
    map.jumpTo({ center: [map.getCenter().lng + Math.round(lng) - lng, map.getCenter().lat] });
}"""
OPACITIES = """() => {
    const { map } = document.getElementById('map');
    const asked = [['coverage', 'fill-opacity'], ['layer', 'raster-opacity']];
    return asked.map(([layer, property]) => Number(map.getPaintProperty(layer, property).toFixed(3)));
}"""
BADGES_AT = """place => {
    const map = document.getElementById('map').map;
    const { x, y } = map.project(place);
    const layers = map.getStyle().layers.filter(layer => layer.type === 'symbol').map(layer => layer.id);
    const around = [[-8, -8], [8, 8]].map(([right, down]) => [x + right, y + down]);
    return around.every(corner => map.queryRenderedFeatures(corner, { layers }).some(badge => badge.properties.badge === 'query'));
}"""


@contextmanager
def suppress_network_change(lost: list[str]) -> Iterator[None]:
    try:
        yield
    except Error as error:
        if "ERR_NETWORK_CHANGED" not in error.message:
            raise
        lost.append("page.js")


def open_page(page: Page, url: str, *, ready: str = "#map[data-ready]") -> None:
    """Open a page, again where the machine's network just changed: Chromium then drops whatever it is loading."""
    lost: list[str] = []
    page.on("requestfailed", lambda request: lost.append(request.url) if request.failure == "net::ERR_NETWORK_CHANGED" else None)
    for _ in range(5):
        lost.clear()
        with suppress_network_change(lost):
            page.goto(url)
        if not any(re.search(r"\.(js|css)$", each) for each in lost):
            break
    page.wait_for_selector(ready)


def click_on_map(page: Page, chip: Chip) -> None:
    place = page.evaluate("place => document.getElementById('map').map.project(place)", list(chip.bounds.center))
    page.locator("#map canvas").click(position={"x": place["x"], "y": place["y"]})


def in_address(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def hits(page: Page) -> Locator:
    return page.locator("#hits .hit[data-id]")


def ids(page: Page) -> list[str]:
    found: list[str] = hits(page).evaluate_all("hits => hits.map(hit => hit.dataset.id)")
    return found


def ask(site: str, path: str) -> Any:  # noqa: ANN401
    return urllib3.request("GET", f"{site}/api/{path}").json()


def wait_for_pictures(page: Page, where: str) -> None:
    images = page.locator(f"{where} img")
    expect(images.first).to_be_attached()
    images.evaluate_all("images => images.forEach(image => image.loading = 'eager')")
    page.wait_for_function(f"where => ({LOADED})([...document.querySelectorAll(where + ' img')])", arg=where)


def lightness(page: Page) -> int:
    """Red, green and blue of the page's paper."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3])


def test_the_page_shows_what_is_embedded_and_says_how_to_begin(page: Page, site: str, chips: list[Chip]) -> None:
    open_page(page, site)
    expect(page.locator("#about")).to_contain_text(f"{len(chips)} chips in 2021")
    expect(page.get_by_role("note").first).to_contain_text("mean nothing")
    expect(page.locator("#message")).to_contain_text("Click a place on the map")
    expect(page.locator("#attribution")).to_contain_text("Contains modified Copernicus Sentinel data (2021)")
    expect(page.locator("#told")).to_contain_text("chips of like colour have like embeddings")
    page.wait_for_function("document.getElementById('map').map.querySourceFeatures('coverage').length")
    page.wait_for_selector("#map[data-idle]")


def test_a_click_finds_similar_chips(page: Page, site: str, chips: list[Chip]) -> None:
    chip = chips[len(chips) // 2]
    open_page(page, f"{site}/?year=2020")
    click_on_map(page, chip)
    expect(page.locator("#question h2")).to_have_text(chip.id)
    expect(page.locator("#question")).to_contain_text("Embedded in 2020 and 2021")
    expect(hits(page)).to_have_count(12)
    answer = ask(site, f"search?year=2020&like={chip.id}&k=12")["features"]
    assert ids(page) == [hit["id"] for hit in answer]
    expect(page.locator("#legend")).to_have_text("distance: short is similar")
    shown = [float(text) for text in page.locator(".hit .distance").all_inner_texts()]
    assert shown == pytest.approx([hit["properties"]["distance"] for hit in answer], abs=5e-5)
    wait_for_pictures(page, "#question .photo")
    wait_for_pictures(page, "#hits")
    assert page.locator(".photo img").evaluate_all(CROPPED) == []
    page.wait_for_function(
        "count => new Set(document.getElementById('map').map.querySourceFeatures('hits').map(each => each.id)).size === count", arg=12
    )
    assert in_address(page)["like"] == [chip.id]


def test_marks_refine_and_the_way_back_is_open(page: Page, site: str, chips: list[Chip]) -> None:
    open_page(page, f"{site}/?year=2020&like={chips[0].id}")
    expect(hits(page)).to_have_count(12)
    first, _, third = before = ids(page)[:3]
    hits(page).nth(0).get_by_role("button", name="Like (L)").click()
    hits(page).nth(2).locator(".face").focus()
    page.keyboard.press("u")
    expect(page.locator("#pending")).to_contain_text("2 marks not searched with yet")
    expect(hits(page).nth(0).locator(".like")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Search again").click()
    expect(page.locator("#tokens .token")).to_have_count(3)
    expect(page.locator(f"#hits [data-id={first}]")).to_have_count(0)
    expect(hits(page)).to_have_count(min(12, len(chips) - 3))
    assert third not in ids(page)
    assert (in_address(page)["like"], in_address(page)["unlike"]) == ([chips[0].id, first], [third])
    page.go_back()
    expect(page.locator("#tokens .token")).to_have_count(0)
    expect(hits(page).first).to_have_attribute("data-id", first)
    assert ids(page)[:3] == before


def test_change_shows_both_years_side_by_side(page: Page, site: str) -> None:
    open_page(page, f"{site}/?year=2021")
    page.get_by_role("button", name="Change").click()
    expect(hits(page)).to_have_count(12)
    expect(page.locator("#note")).to_contain_text("2020 is composite v100 and 2021 is v200")
    expect(page.locator("#legend")).to_have_text("change: long is more")
    assert ids(page) == [hit["id"] for hit in ask(site, "change?years=2020,2021&k=12")["features"]]
    sources = hits(page).first.locator("img").evaluate_all("images => images.map(image => image.getAttribute('src'))")
    assert sources == [
        f"api/picture/{year}/{ids(page)[0]}.jpg?missing=empty&beside={other}" for year, other in ((2020, 2021), (2021, 2020))
    ]
    wait_for_pictures(page, "#hits .hit:first-child")
    assert in_address(page)["view"] == ["change"]
    hits(page).first.locator(".face").focus()
    page.keyboard.press("l")
    page.keyboard.press("u")
    expect(page.locator("#pending")).to_be_hidden()  # there is nothing to be like
    page.keyboard.press("y")
    page.wait_for_url("**year=2020**")
    assert "like" not in in_address(page)


def test_the_year_can_be_switched(page: Page, site: str, chips: list[Chip]) -> None:
    open_page(page, f"{site}/?year=2020&like={chips[3].id}")
    expect(hits(page)).to_have_count(12)
    page.get_by_role("button", name="2021").click()
    expect(page.get_by_role("button", name="2021")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#question img")).to_have_attribute("src", f"api/picture/2021/{chips[3].id}.jpg?missing=empty")
    expect(page.locator("#attribution")).to_contain_text("2021")
    expect(hits(page)).to_have_count(12)
    assert ids(page) == [hit["id"] for hit in ask(site, f"search?year=2021&like={chips[3].id}&k=12")["features"]]


def test_hits_can_be_downloaded(page: Page, site: str, chips: list[Chip], tmp_path: Path) -> None:
    open_page(page, f"{site}/?year=2020&like={chips[0].id}&unlike={chips[9].id}&k=7")
    expect(hits(page)).to_have_count(7)
    readers: dict[str, Callable[[Path], list[str]]] = {
        "GeoJSON": lambda path: [feature["id"] for feature in json.loads(path.read_text())["features"]],
        "CSV": lambda path: [row["chip_id"] for row in csv.DictReader(path.open())],
        "GeoParquet": lambda path: list(pq.read_table(path)["chip_id"].to_pylist()),
    }
    for name, read in readers.items():
        page.locator("#download summary").click()
        with page.expect_download() as started:
            page.get_by_role("link", name=name, exact=True).click()
        path = tmp_path / started.value.suggested_filename
        started.value.save_as(path)
        assert path.suffix in {".geojson", ".csv", ".parquet"}
        assert read(path) == ids(page)


def test_the_keyboard_is_enough(page: Page, site: str, chips: list[Chip]) -> None:
    open_page(page, f"{site}/?year=2020")
    page.keyboard.press("/")
    lon, lat = chips[0].bounds.center
    page.keyboard.type(f"{lon:.5f}, {lat:.5f}\n")
    expect(page.locator("#question h2")).to_have_text(chips[0].id)
    expect(hits(page)).to_have_count(12)
    expect(hits(page).first.locator(".face")).to_be_focused()
    for key in ("ArrowDown", "ArrowRight", "l"):
        page.keyboard.press(key)
    expect(hits(page).nth(4).locator(".face")).to_be_focused()
    expect(hits(page).nth(4).locator(".like")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("s")
    expect(page.locator("#tokens .token")).to_have_count(2)
    expect(hits(page).first.locator(".face")).to_be_focused()
    first = ids(page)[0]
    page.keyboard.press("Enter")
    expect(page.locator("#question h2")).to_have_text(first)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("dialog")).to_contain_text("Esc")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.locator("#map canvas").focus()
    page.evaluate("place => document.getElementById('map').map.jumpTo({center: place})", list(chips[7].bounds.center))
    page.keyboard.press("Enter")
    expect(page.locator("#question h2")).to_have_text(chips[7].id)


def test_hits_can_be_kept_to_the_view(page: Page, site: str, chips: list[Chip]) -> None:
    open_page(page, f"{site}/?year=2020&like={chips[0].id}&k=24")
    expect(hits(page).nth(12)).to_be_attached()
    page.evaluate("place => document.getElementById('map').map.jumpTo({center: place, zoom: 13})", list(chips[9].bounds.center))
    page.get_by_label("In this view only").check()
    expect(hits(page).nth(12)).not_to_be_attached()
    expect(hits(page).first).to_be_attached()
    bbox = in_address(page)["bbox"][0]
    assert ids(page) == [hit["id"] for hit in ask(site, f"search?year=2020&like={chips[0].id}&k=24&bbox={bbox}")["features"]]
    page.evaluate("place => document.getElementById('map').map.jumpTo({center: place, zoom: 13})", list(chips[-1].bounds.center))
    page.get_by_role("button", name="Search this view").click()
    expect(page.locator(f"#hits [data-id={chips[-1].id}]")).to_be_attached()


def test_pictures_come_from_the_wms_and_from_the_tile_while_it_is_down(
    page: Page, explorer: Explorer, chips: list[Chip], tmp_path: Path
) -> None:
    tiles = explorer.pictures(PictureOptions(wms="none"))._from_tile
    address = f"/?year=2020&like={chips[0].id}"
    with ExitStack() as stack:
        wms, asked = stack.enter_context(fake_wms(body=picture(200)))
        site = stack.enter_context(served(explorer, Pictures(tmp_path / "up", Wms(wms, "TRUE_{year}"), tiles)))
        open_page(page, site + address)
        wait_for_pictures(page, "#question .photo")
        assert {tuple(request[name][0] for name in ("CRS", "LAYERS")) for request in asked} == {("EPSG:3857", "TRUE_2020")}
        down, refused = stack.enter_context(fake_wms(status=503))
        site = stack.enter_context(served(explorer, Pictures(tmp_path / "down", Wms(down, "any"), tiles)))
        open_page(page, site + address)
        wait_for_pictures(page, "#question .photo")
        wait_for_pictures(page, "#hits")
        assert 1 <= len(refused) <= 8  # then it is left alone
        neither = Pictures(tmp_path / "none", None, lambda _chip, _year: None)
        site = stack.enter_context(served(explorer, neither))
        open_page(page, site + address)
        expect(page.locator("#question")).to_contain_text("No picture")
        expect(hits(page)).to_have_count(12)


def test_an_empty_database_says_what_to_do(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    output = write_output(tmp_path / "out", {5: ("", np.empty((0, 768), np.float32))})
    empty = open_explorer(str(output), "clay-v0.1", [], Progress())
    with served(empty, Pictures(tmp_path / "pictures", None, lambda _chip, _year: None)) as site:
        open_page(page, site)
        expect(page.locator("#message")).to_contain_text("Nothing is embedded yet")
        expect(page.locator("#message")).to_contain_text("make demo")
        expect(page.locator("#modes")).to_be_hidden()


def test_newly_published_columns_are_offered_and_loaded(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    output = str(write_output(tmp_path / "out", some(range(2))))
    explorer = open_explorer(output, "clay-v0.1", [], Progress())
    news = News(
        explorer=explorer, count=lambda: unread(explorer, output, []), reopen=lambda: open_explorer(output, "clay-v0.1", [], Progress())
    )
    with served(explorer, Pictures(tmp_path / "pictures", None, lambda _chip, _year: None), news=news) as site:
        open_page(page, site)
        write_output(tmp_path / "out", some(range(3)))
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        expect(page.locator("#news")).to_contain_text("1 column is newly published.")
        page.get_by_role("button", name="Load them").click()
        expect(page.locator("#about")).to_contain_text("60 chips in 2020")
        expect(page.locator("#news")).to_be_hidden()


def test_a_chip_without_an_embedding_leads_to_the_nearest(page: Page, site: str, chips: list[Chip]) -> None:
    open_page(page, f"{site}/?year=2020&like=c0003r0003")
    expect(page.get_by_role("alert")).to_contain_text("not embedded yet")
    expect(page.get_by_role("button", name="Look in 2021")).to_have_count(0)  # nor is it there
    page.get_by_role("button", name="Go to c").click()
    expect(hits(page)).to_have_count(12)
    assert page.locator("#question h2").inner_text() in {chip.id for chip in chips}


def test_a_chip_of_the_other_year_leads_there(page: Page, site: str, chips: list[Chip]) -> None:
    missing = {"detail": "that chip has no embedding in 2020"}
    page.route("**/api/search?year=2020*", lambda route: route.fulfill(status=404, json=missing))
    open_page(page, f"{site}/?year=2020&like={chips[0].id}")
    page.get_by_role("button", name="Look in 2021").click()
    expect(hits(page)).to_have_count(12)


def test_marks_are_not_lost_by_a_stray_click(page: Page, site: str, chips: list[Chip]) -> None:
    open_page(page, f"{site}/?year=2020&like={chips[0].id}")
    for index, kind in ((2, "Like"), (4, "Unlike")):
        hits(page).nth(index).get_by_role("button", name=kind, exact=False).first.click()
    marked, unmarked = (ids(page)[index] for index in (2, 4))
    pending = page.locator("#pending")
    expect(pending).to_contain_text("2 marks not searched with yet")
    click_on_map(page, chips[-1])
    expect(page.locator("#question h2")).to_have_text(chips[-1].id)
    expect(page.locator("#told")).to_have_text("Your marks are kept: go back to return to them.")
    expect(pending).to_be_hidden()
    page.go_back()
    expect(pending).to_contain_text("2 marks not searched with yet")
    chips_of = {chip.id: chip for chip in chips}
    marks = {"like": [chips[0], chips_of[marked]], "unlike": [chips_of[unmarked]]}
    assert in_address(page)["mark"] == [f"{name}~{pack_chips(those).removeprefix('~')}" for name, those in marks.items()]
    page.get_by_role("button", name="Search again").click()
    expect(page.locator(".token.unlike")).to_contain_text(unmarked)


def test_marks_are_labels_that_classify_reads_and_the_page_opens_again(page: Page, site: str, chips: list[Chip], tmp_path: Path) -> None:
    like, unlike = [chip.id for chip in chips[:2]], [chip.id for chip in chips[3:5]]
    query = "".join(f"&{name}={chip}" for name, chosen in (("like", like), ("unlike", unlike)) for chip in chosen)
    open_page(page, f"{site}/?year=2020{query}")
    expect(hits(page)).not_to_have_count(0)
    page.locator("#download summary").click()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save marks").click()
    saving.value.save_as(tmp_path / "marks.geojson")
    labels = read_labels(tmp_path / "marks.geojson", chips[0].pixels)
    found = {
        f"c{column:04d}r{row:04d}": labels.classes[code] for (column, row), code in zip(labels.chips.tolist(), labels.codes, strict=True)
    }
    assert found == dict.fromkeys(like, "like") | dict.fromkeys(unlike, "unlike")
    write_labels(labels, tmp_path / "again.geojson")
    open_page(page, site)
    page.locator("#marks-file").set_input_files(tmp_path / "again.geojson")
    expect(page.locator("#tokens .token")).to_have_count(4)
    assert (set(in_address(page)["like"]), set(in_address(page)["unlike"])) == (set(like), set(unlike))
    (tmp_path / "none.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    page.locator("#marks-file").set_input_files(tmp_path / "none.geojson")
    expect(page.locator("#told")).to_contain_text("no chip with a class")


def test_an_address_that_cannot_be_is_mended(page: Page, site: str) -> None:
    open_page(page, f"{site}/?year=1999&at=99/95/-200")
    expect(page.locator("#told")).to_have_text("There is nothing of 1999 here: this is 2021.")
    expect(page.locator("#no-map")).to_be_hidden()
    assert in_address(page)["year"] == ["2021"]


def test_an_answer_begins_at_its_top(page: Page, site: str, chips: list[Chip]) -> None:
    open_page(page, f"{site}/?year=2020&like={chips[0].id}")
    last = hits(page).nth(11)
    last.scroll_into_view_if_needed()
    assert page.locator("#scroll").evaluate("panel => panel.scrollTop") > 0
    found = ids(page)[11]
    last.get_by_role("button", name="Search from here").click()
    expect(page.locator("#question h2")).to_have_text(found)
    expect(hits(page)).to_have_count(12)
    assert page.locator("#scroll").evaluate("panel => panel.scrollTop") == 0


def test_a_picture_that_cannot_be_had_is_asked_for_once(page: Page, explorer: Explorer, chips: list[Chip], tmp_path: Path) -> None:
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")  # the map asks for them too
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/picture/" in request.url else None)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    with served(explorer, Pictures(tmp_path, None, lambda _chip, _year: None)) as site:
        open_page(page, f"{site}/?year=2020&like={chips[0].id}", ready="#no-map")
        expect(hits(page)).to_have_count(12)
        page.locator("#hits img").evaluate_all("images => images.forEach(image => image.loading = 'eager')")
        expect(page.locator(".photo.missing")).to_have_count(13)
    assert len(asked) == len(set(asked)) == 13
    assert [text for text in complaints if "load resource" in text] == []


def test_what_is_no_place_is_answered_at_the_box(page: Page, site: str) -> None:
    open_page(page, site)
    for text, answer in (("nonsense", "Type a chip id"), ("60, -75.6", "Off the grid"), ("c99r1", "Type a chip id")):
        page.locator("#place").fill(text)
        page.locator("#place").press("Enter")
        assert answer in page.locator("#place").evaluate("input => input.validationMessage")
    assert "like" not in in_address(page)


def test_a_server_that_is_gone_is_said_and_can_come_back(page: Page, explorer: Explorer, chips: list[Chip], tmp_path: Path) -> None:
    with served(explorer, Pictures(tmp_path, None, lambda _chip, _year: None)) as site:
        open_page(page, f"{site}/?year=2020&like={chips[0].id}")
        expect(hits(page)).to_have_count(12)
        page.route("**/api/search*", lambda route: route.abort())
        page.get_by_role("button", name="2021").click()
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
        page.unroute("**/api/search*")
        page.get_by_role("button", name="Try again").click()
        expect(hits(page)).to_have_count(12)


def test_light_and_dark_follow_the_system_until_one_is_chosen(page: Page, site: str) -> None:
    page.emulate_media(color_scheme="dark")
    open_page(page, site)
    assert lightness(page) < 150
    page.get_by_role("button", name="Light or dark").click()
    assert lightness(page) > 600
    page.reload()
    assert lightness(page) > 600


def test_without_webgl_the_search_still_works(page: Page, site: str, chips: list[Chip]) -> None:
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    open_page(page, f"{site}/?year=2020&like={chips[0].id}", ready="#no-map")
    expect(page.locator("#no-map")).to_contain_text("WebGL")
    expect(hits(page)).to_have_count(12)
    expect(page.get_by_label("In this view only (needs the map)")).to_be_disabled()


def test_the_base_map_is_asked_for_where_one_is_configured(page: Page, explorer: Explorer, tmp_path: Path) -> None:
    headers: dict[str, Any] = {"Access-Control-Allow-Origin": "*"}
    pictures = Pictures(tmp_path, None, lambda _chip, _year: None)
    with (
        fake_wms(body=picture(90), **headers) as (tiles, asked),
        served(
            explorer, pictures, basemap=Basemap(tiles=f"{tiles}/{{z}}/{{x}}/{{y}}.png", attribution="Maps by a neighbour, ODbL")
        ) as site,
    ):
        open_page(page, site)
        page.wait_for_selector("#map[data-idle]")
        expect(page.locator("#attribution")).to_contain_text("Base map: Maps by a neighbour, ODbL")
        assert asked
        expect(page.locator("#told")).to_contain_text("like colour")
        assert page.evaluate(OPACITIES) == [0.18, 0.6]  # the base map is seen below what is embedded, and below its colours
        page.get_by_label("Over the base map").fill("0.2")
        assert page.evaluate(OPACITIES) == [0.06, 0.2]


@pytest.mark.parametrize("width", [320, 390])
def test_a_narrow_page_fits_and_every_control_has_a_name(page: Page, site: str, chips: list[Chip], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    open_page(page, f"{site}/?year=2020&like={chips[0].id}&like={chips[1].id}")
    expect(hits(page)).to_have_count(12)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.locator("#scroll").evaluate("panel => panel.scrollWidth <= panel.clientWidth")
    nameless = (
        "all => all.filter(one => !(one.textContent.trim() || one.ariaLabel || one.title || one.labels?.length)).map(one => one.outerHTML)"
    )
    assert page.locator("button, a, input, select").evaluate_all(nameless) == []
    if width == 390:  # a phone
        expect(hits(page).first.locator(".photo")).to_be_in_viewport(ratio=0.5)


@pytest.mark.parametrize("width", [390, 1024])
def test_nothing_on_the_map_covers_anything_else(page: Page, site: str, chips: list[Chip], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_page(page, f"{site}/?year=2020&like={chips[0].id}")
    fit = page.get_by_role("button", name="Show all")
    expect(fit).to_be_visible()
    button = fit.bounding_box()
    assert button
    page.evaluate(UNDER_A_MERIDIAN, button["x"] + button["width"] / 2)
    parts = ".maplibregl-ctrl-scale", "#attribution", "#fit", "#map-tools", ".maplibregl-ctrl-group"
    for part in parts:
        others = ", ".join({*parts, "#graticule span"} - {part})
        assert page.locator(part).evaluate(COVERED, others) == []


def test_far_away_the_badges_stand_over_their_chips(page: Page, site: str, chips: list[Chip]) -> None:
    lon, lat = chips[0].bounds.center
    open_page(page, f"{site}/?year=2020&like={chips[0].id}&at=6/{lat}/{lon}")
    expect(hits(page)).to_have_count(12)
    page.wait_for_function(BADGES_AT, arg=[lon, lat])
