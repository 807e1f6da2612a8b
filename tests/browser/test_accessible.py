"""The page by the rules of axe-core, contrast among them, in each of its states."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from embedder.explore.places import pack_chips
from embedder.grid import Chip
from tests.browser.conftest import PATIENCE_MS
from tests.browser.test_page import hits, open_page

expect.set_options(timeout=PATIENCE_MS)

RULES = {"rules": {"label-content-name-mismatch": {"enabled": True}, "target-size": {"enabled": True}}}
"""Beside those that axe has on: what a button says is in its name, and is large enough to be hit."""


@pytest.fixture(params=["light", "dark"])
def tab(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that takes axe's script in beside its own."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme=request.param, reduced_motion="reduce", bypass_csp=True
    )
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def test_the_page_breaks_no_rule_in_any_state(tab: Page, site: str, chips: list[Chip]) -> None:
    broken: dict[str, list[str]] = {}

    def check(state: str) -> None:
        found = Axe().run(tab, options=RULES).response["violations"]
        broken[state] = [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]

    open_page(tab, site)
    expect(tab.locator("#told")).to_contain_text("like colour")
    check("opened")
    tab.locator("#show-help").click()
    check("help")
    open_page(tab, f"{site}/?year=2020&like={chips[0].id}&like={chips[1].id}&unlike={chips[2].id}")
    expect(hits(tab)).not_to_have_count(0)
    hits(tab).first.get_by_role("button", name="Like (L)").click()
    tab.locator("#whole summary").click()
    expect(tab.locator("#covers")).to_contain_text("km²")
    check("found")
    tab.get_by_role("button", name="Change").click()
    expect(tab.locator("#note")).to_contain_text("2020 is composite")
    check("change")
    tab.get_by_role("button", name="Classes").click()
    expect(tab.get_by_role("alert")).to_contain_text("Mark what is to be told apart")
    check("classes to be marked")
    packs = [pack_chips(those).removeprefix("~") for those in (chips[:3], chips[-3:])]
    open_page(tab, f"{site}/?year=2020&view=classes&mark=water~{packs[0]}&mark=land~{packs[1]}")
    expect(tab.locator("#class-map tbody tr")).to_have_count(2)
    check("classified")
    tab.get_by_role("button", name="Similar").click()
    check("classes beside a search")
    open_page(tab, f"{site}/?year=2020&like=c0003r0003")
    expect(tab.get_by_role("alert")).to_contain_text("not embedded yet")
    check("not there")
    assert not any(broken.values()), broken
