"""What people paste into the page's box."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MS
from tests.browser.test_page import open_page

expect.set_options(timeout=PATIENCE_MS)

PARSE = """async texts => {
    const { parsePlace } = await import("./js/places.js");
    const bounds = { west: -125, south: 24.9973333, east: -67.016, north: 50 };
    return texts.map(text => { const place = parsePlace(text, bounds); return place === undefined ? "off" : place; });
}"""
IN_DEGREES = (
    "37.69, -75.655",
    "-75.655 37.69",
    "-75.655,37.69",
    "37.69 75.655",
    "37.69° N, 75.655° W",
    "75.655W 37.69N",
    "N37.69 W75.655",
    "37°41.4'N 75°39.3'W",
    "37° 41\N{PRIME} 24\N{DOUBLE PRIME} N, 75° 39\N{PRIME} 18\N{DOUBLE PRIME} W",
    "N 37° 41.4 W 75° 39.3",
    "37 41 24 N 75 39 18 W",
    "37 41.4 75 39.3",
    "37,69; -75,655",
    "lat: 37.69, lon: -75.655",
    "latitude 37.69 longitude \N{MINUS SIGN}75.655",
    "POINT(-75.655 37.69)",
    "geo:37.69,-75.655",
    "(37.69, -75.655)",
)
NOT_PLACES = ("", "nonsense", "37.69", "37.69 40.2", "-75.6 -80.1", "37.7, -75.6, 3", "10 20", "c99r1", "12 Main St", "37.7 -75.6 N N")


def test_a_place_is_read_in_any_order_and_form(page: Page, site: str) -> None:
    open_page(page, site)
    found: list[Any] = page.evaluate(PARSE, [*IN_DEGREES, *NOT_PLACES, "60, -75.655", "37.69 N 75.655 E", "-37.69, -75.655"])
    for text, place in zip(IN_DEGREES, found, strict=False):
        assert place == pytest.approx([-75.655, 37.69], abs=1e-9), text
    assert dict(zip(NOT_PLACES, found[len(IN_DEGREES) :], strict=False)) == dict.fromkeys(NOT_PLACES)
    assert found[-3:] == ["off"] * 3


def test_a_town_is_found_suggested_and_named_on_the_map(page: Page, site: str) -> None:
    open_page(page, f"{site}/?at=7/36.9/-76.3")
    expect(page.locator("#names")).to_contain_text("Virginia Beach")
    box = page.locator("#place")
    box.fill("norfolk, v")
    expect(page.locator("#suggestions option").first).to_have_attribute("value", "Norfolk, VA")
    box.fill("Norfolk, VA")
    box.press("Enter")
    west, north = -125, 50
    pixels = page.evaluate("fetch('api/info').then(reply => reply.json()).then(info => info.chip_pixels)")
    size = pixels / 12_000
    chip = f"c{int((-76.285 - west) / size):04d}r{int((north - 36.847) / size):04d}"
    expect(page.locator("#question h2")).to_have_text(chip)
    box.fill("Nowhere, ZZ")
    box.press("Enter")
    assert "or a town" in box.evaluate("input => input.validationMessage")
