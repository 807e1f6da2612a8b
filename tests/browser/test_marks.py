"""Marks on the map: clicks, boxes, classes with names, undo, and the map of classes that is learnt from them."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import rasterio
from playwright.sync_api import Locator, Page, expect

from embedder.explore.labels import read_labels
from embedder.explore.places import pack_chips
from embedder.grid import Chip
from tests.browser.conftest import PATIENCE_MS
from tests.browser.test_page import ask, click_on_map, hits, ids, in_address, open_page

expect.set_options(timeout=PATIENCE_MS)

MARKED = "() => document.getElementById('map').map.getSource('marks').serialize().data.features.map(each => each.properties.colour)"
HAS_LAYER = "map => Boolean(map.map.getLayer('layer'))"


def add_class(page: Page, name: str) -> None:
    page.get_by_label("Name of a new class").fill(name)
    page.get_by_role("button", name="Add class").click()


def choose(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name).check()


def use(page: Page, tool: str) -> None:
    page.locator(f"#map-tools [data-tool={tool}]").click()


def marked(page: Page, name: str) -> Locator:
    """How many chips of a class are marked."""
    return page.locator(".class").filter(has=page.get_by_role("radio", name=name)).locator(".numbers")


def drag(page: Page, first: Chip, last: Chip, *, shift: bool = False, escape: bool = False) -> None:
    """Draw a box from a little outside of one chip to a little outside of another, south-east of it."""
    edge = 0.1 * (first.bounds.east - first.bounds.west)
    corners = [[first.bounds.west - edge, first.bounds.north + edge], [last.bounds.east + edge, last.bounds.south - edge]]
    box = page.locator("#map canvas").bounding_box()
    assert box
    points = [page.evaluate("place => document.getElementById('map').map.project(place)", corner) for corner in corners]
    (left, top), (right, bottom) = ((box["x"] + point["x"], box["y"] + point["y"]) for point in points)
    if shift:
        page.keyboard.down("Shift")
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move((left + right) / 2, (top + bottom) / 2)
    page.mouse.move(right, bottom)
    if escape:
        page.keyboard.press("Escape")
    page.mouse.up()
    if shift:
        page.keyboard.up("Shift")


def within(chips: Sequence[Chip], first: Chip, last: Chip) -> list[Chip]:
    return [chip for chip in chips if first.column <= chip.column <= last.column and first.row <= chip.row <= last.row]


def corners(chips: Sequence[Chip]) -> tuple[Chip, Chip]:
    """Two chips, one above the other."""
    return next((one, other) for one in chips for other in chips if one.column == other.column and other.row == one.row + 1)


def packed(name: str, chips: Sequence[Chip]) -> str:
    return f"{name}~{pack_chips(chips).removeprefix('~')}"


def test_clicks_and_boxes_mark_classes_and_undo_leads_back(page: Page, site: str, chips: list[Chip]) -> None:
    first, last = corners(chips[4:])
    boxed = within(chips, first, last)
    water = [chip for chip in chips if chip not in boxed][:3]
    open_page(page, f"{site}/?year=2020&view=classes")
    add_class(page, "water")
    for chip in water[:2]:
        click_on_map(page, chip)
    add_class(page, "dry land")
    use(page, "box")
    drag(page, first, last, escape=True)
    expect(marked(page, "dry land")).to_have_text("0")
    drag(page, first, last)
    expect(marked(page, "dry land")).to_have_text(str(len(boxed)))
    assert in_address(page)["mark"] == [packed("water", water[:2]), packed("dry land", boxed)]
    use(page, "search")
    choose(page, "water")
    canvas = page.locator("#map canvas")
    place = page.evaluate("place => document.getElementById('map').map.project(place)", list(water[2].bounds.center))
    canvas.click(position={"x": place["x"], "y": place["y"]}, modifiers=["Shift"])
    expect(marked(page, "water")).to_have_text("3")
    drag(page, first, last, shift=True)
    expect(marked(page, "water")).to_have_text(str(3 + len(boxed)))  # a chip has one class
    expect(marked(page, "dry land")).to_have_text("0")
    canvas.focus()
    page.keyboard.press("Control+z")
    expect(marked(page, "dry land")).to_have_text(str(len(boxed)))
    page.reload()
    expect(marked(page, "water")).to_have_text("3")
    page.wait_for_selector("#map[data-ready]")
    colours: list[str] = page.evaluate(MARKED)
    assert [colours.count(colour) for colour in dict.fromkeys(colours)] == [3, len(boxed)]
    click_on_map(page, water[0])
    expect(marked(page, "water")).to_have_text("2")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Remove water").click()
    expect(page.get_by_role("radio", name="water")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(marked(page, "water")).to_have_text("3")


def test_a_click_beside_classes_searches_and_leaves_them(page: Page, site: str, chips: list[Chip]) -> None:
    marks = [packed("water", chips[:2]), packed("land", chips[3:5])]
    open_page(page, f"{site}/?year=2020&{'&'.join(f'mark={mark}' for mark in marks)}")
    page.wait_for_selector("#map[data-idle]")
    click_on_map(page, chips[0])  # of a class: it stays there
    expect(page.locator("#question h2")).to_have_text(chips[0].id)
    expect(marked(page, "water")).to_have_text("2")
    assert in_address(page)["mark"] == marks
    choose(page, "land")
    named = {chip.id for chip in [*chips[:2], *chips[3:5]]}
    free = [index for index, each in enumerate(ids(page)) if each not in named]
    hits(page).nth(free[0]).get_by_role("button", name="Mark as land").click()
    expect(marked(page, "land")).to_have_text("3")
    hits(page).nth(free[1]).locator(".like").click()
    expect(page.locator("#to-do")).to_have_text("1 mark not searched with yet")
    page.get_by_role("button", name="Search again").click()
    expect(page.locator("#again")).to_be_hidden()
    assert in_address(page)["like"][0] == chips[0].id
    assert len(in_address(page)["like"]) == 2


def test_a_thousand_marks_stand_in_an_address(page: Page, site: str, chips: list[Chip]) -> None:
    many = [Chip(column=2000 + index // 40, row=100 + index % 40, pixels=chips[0].pixels) for index in range(999)]
    open_page(page, f"{site}/?year=2020&view=classes&mark={packed('forest', many)}")
    expect(page.locator("#to-do")).to_contain_text("Mark two chips or more of two classes")
    expect(marked(page, "forest")).to_have_text("999")
    click_on_map(page, chips[0])
    expect(marked(page, "forest")).to_have_text("1000")
    click_on_map(page, chips[1])
    expect(page.locator("#told")).to_have_text("These would be 1,001 marked chips: 1,000 are the most.")
    assert in_address(page)["mark"] == [packed("forest", [*many, chips[0]])]
    assert len(page.url) < 4_200


def test_many_likes_are_asked_with_in_one_pack(page: Page, site: str, chips: list[Chip]) -> None:
    likes = chips[:10]
    open_page(page, f"{site}/?year=2020&like={pack_chips(likes)}")
    expect(hits(page)).to_have_count(min(12, len(chips) - 10))
    expect(page.locator("#tokens .token")).to_have_count(10)
    query = "&".join(f"like={chip.id}" for chip in likes)
    assert hits(page).first.get_attribute("data-id") == ask(site, f"search?year=2020&{query}")["features"][0]["id"]
    page.locator("#download summary").click()
    with page.expect_download() as saving:
        page.get_by_role("link", name="CSV").first.click()
    assert saving.value.suggested_filename == f"similar-{likes[0].id}-2020.csv"


def test_marked_classes_give_every_chip_a_class(page: Page, site: str, chips: list[Chip], tmp_path: Path) -> None:
    marks = [packed("water", chips[:3]), packed("land", chips[-3:])]
    query = "&".join(f"mark={mark}" for mark in marks)
    open_page(page, f"{site}/?year=2020&{query}")
    page.get_by_role("button", name="Classify").click()
    rows = page.locator("#class-map tbody tr")
    expect(rows).to_have_count(2)
    assert in_address(page)["view"] == ["classes"]
    names = rows.locator("th").all_inner_texts()
    assert sorted(names) == ["land", "water"]
    counts = [int(row.locator("td").nth(1).inner_text()) for row in rows.all()]
    assert sum(counts) == len(chips)
    expect(page.locator("#class-map p").first).to_contain_text("Learnt from 6 chips; not tested: 6 chips")
    assert page.locator("#map").evaluate(HAS_LAYER)
    expect(page.locator("#classify")).to_be_disabled()
    with page.expect_download() as saving:
        page.locator("#class-map").get_by_role("link", name="GeoTIFF").click()
    saving.value.save_as(tmp_path / "classes.zip")
    with zipfile.ZipFile(tmp_path / "classes.zip") as archive:
        archive.extractall(tmp_path)
    with rasterio.open(tmp_path / "classes-2020.tif") as tiff:
        band = tiff.read(1)
    assert [int((band == code).sum()) for code in range(2)] == [counts[names.index(name)] for name in ("land", "water")]
    click_on_map(page, chips[4])
    expect(page.locator("#to-do")).to_have_text("1 mark not learnt from yet")
    page.keyboard.press("s")
    expect(rows.first.locator("td").first).to_be_visible()
    expect(page.locator("#classify")).to_be_disabled()
    page.get_by_role("button", name="Similar").click()
    expect(page.locator("#class-map")).to_be_hidden()


def test_classes_are_saved_as_labels_and_opened_again(page: Page, site: str, chips: list[Chip], tmp_path: Path) -> None:
    marks = {"wa~ter": chips[:2], "__proto__": chips[3:5], "1": chips[6:7]}
    query = "&".join(f"mark={packed(name, those)}" for name, those in marks.items())
    open_page(page, f"{site}/?year=2020&view=classes")
    page.get_by_role("button", name="Save marks").click()
    expect(page.locator("#told")).to_contain_text("Nothing is marked yet")
    open_page(page, f"{site}/?year=2020&view=classes&{query}")
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save marks").click()
    saving.value.save_as(tmp_path / "marks.geojson")
    labels = read_labels(tmp_path / "marks.geojson", chips[0].pixels)
    found = {(column, row): labels.classes[code] for (column, row), code in zip(labels.chips.tolist(), labels.codes, strict=True)}
    assert found == {(chip.column, chip.row): name for name, those in marks.items() for chip in those}
    open_page(page, site)
    page.locator("#marks-file").set_input_files(tmp_path / "marks.geojson")
    expect(marked(page, "wa~ter")).to_have_text("2")
    assert set(in_address(page)["mark"]) == {packed(name, those) for name, those in marks.items()}
    page.go_back()
    expect(page.locator("#pending")).to_be_hidden()
    expect(page.locator("#message")).to_contain_text("Click a place on the map")


def test_classes_with_long_names_fit_a_narrow_page(page: Page, site: str, chips: list[Chip]) -> None:
    page.set_viewport_size({"width": 320, "height": 700})
    names = [f"a class with quite a long name {index}" for index in range(8)]
    open_page(page, f"{site}/?year=2020&view=classes&{'&'.join(f'mark={packed(name, chips[i : i + 1])}' for i, name in enumerate(names))}")
    expect(page.get_by_role("radio")).to_have_count(10)
    expect(page.get_by_role("button", name="Add class")).to_be_disabled()  # there are ten
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 320
    assert page.locator("#pending").evaluate("marks => marks.scrollWidth <= marks.clientWidth")
    page.get_by_role("radio", name=names[7]).check()
    expect(page.get_by_role("radio", name=names[7])).to_be_in_viewport()


def test_the_map_keeps_the_classes_colours_where_a_system_forces_its_own(page: Page, site: str, chips: list[Chip]) -> None:
    page.emulate_media(forced_colors="active")
    open_page(page, f"{site}/?year=2020&view=classes&mark={packed('water', chips[:1])}&mark={packed('land', chips[1:2])}")
    expect(marked(page, "land")).to_have_text("1")
    page.wait_for_selector("#map[data-idle]")
    assert len(set(page.evaluate(MARKED))) == 2
