"""What the embeddings cost, on the page."""

from playwright.sync_api import Page, expect

from tests.browser.test_page import ask, open_page


def test_the_cost_is_shown_when_the_line_with_the_chips_is_opened(page: Page, site: str) -> None:
    open_page(page, site)
    cost = page.locator("#cost")
    expect(cost).to_be_hidden()
    page.locator("#about").click()
    expect(cost).to_be_visible()
    (lines,) = (year["cost"] for year in ask(site, "info")["years"] if year["year"] == 2021)
    expect(cost.locator("li")).to_have_text(lines)
