"""The report page in a real browser: it asks for nothing, complains of nothing, fits a phone, and
an accessibility checker finds no fault with it.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from search.report.page.facts import StudyFacts
from search.report.page.render import report_page
from tests.conftest import missing
from tests.search.report.made_up_page import ABLATION, CONFIRMATION, all_failed, bare, facts
from tests.search.report.made_up_page import with_costs as several_objectives
from tests.search.report.test_page import AT, TITLES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

STUDIES = {
    "everything there": replace(facts(), confirmation=CONFIRMATION, ablation=ABLATION),
    "several objectives": bare(several_objectives()),
    "all failed": bare(all_failed()),
}
LIMIT_MILLISECONDS = 180_000
# The widths are in CSS pixels.
PHONE, DESK = 360, 1400
BOXES = """[...document.querySelectorAll('main h3, svg, img')].map(each => {
    const box = each.getBoundingClientRect();
    return [box.left, box.right, Math.min(box.width, box.height)];
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One browser for all tests."""
    program = shutil.which("chromium")
    missing("chromium (apt-get install chromium)", program is not None)
    parts = [find_spec(each) is not None for each in ("playwright", "axe_playwright_python")]
    missing("playwright and axe-playwright-python", all(parts))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            timeout=LIMIT_MILLISECONDS,
            # Root may not have Chromium's sandbox.
            args=["--no-sandbox"],
        )
        yield browser
        browser.close()


class Shown:
    """A page as a browser shows it, with what it asked for and what it complained of."""

    def __init__(
        self, browser: "Browser", file: Path, width: int, scheme: Literal["light", "dark"]
    ) -> None:
        self.asked: list[str] = []
        self.complaints: list[str] = []
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        # A machine may have much else to do.
        context.set_default_timeout(LIMIT_MILLISECONDS)
        self.page: Page = context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(file.as_uri())

    def close(self) -> None:
        self.page.context.close()

    def violations(self) -> list[tuple[str, list[str]]]:
        """What the checker finds, and where: all its rules, best practices too. The inside of a
        picture counts as one image, which is named.
        """
        from axe_playwright_python.sync_playwright import Axe

        whole: dict[str, object] = {"exclude": [[".picture svg"]]}
        found = Axe().run(self.page, context=whole).response["violations"]
        return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]


@pytest.fixture(scope="module", params=STUDIES)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page on one of the studies."""
    study: StudyFacts = STUDIES[request.param]
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(report_page([study], AT, "0.1"), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("width", "scheme"),
    [(PHONE, "dark"), pytest.param(DESK, "light", marks=pytest.mark.long)],
)
def test_a_browser_shows_the_page_without_a_request_a_complaint_or_a_sideways_scroll(
    browser: "Browser", file: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    shown = Shown(browser, file, width, scheme)
    page = shown.page
    titles = page.locator("main h3")
    assert titles.all_text_contents() == TITLES
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for left, right, least in page.evaluate(BOXES):
        assert 0 <= left < right <= width
        assert least > 8
    assert shown.violations() == []
    assert [url for url in shown.asked if not url.startswith("data:")] == [file.as_uri()]
    assert shown.complaints == []
    shown.close()


def test_it_is_read_without_scripts_and_prints_without_what_is_for_screens(
    browser: "Browser", file: Path
) -> None:
    shown = Shown(browser, file, DESK, "dark")
    shown.page.emulate_media(media="print")
    assert not shown.page.locator("nav").is_visible()
    background = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    assert shown.page.pdf().startswith(b"%PDF")
    shown.close()
