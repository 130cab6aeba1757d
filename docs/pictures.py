"""Makes the README's pictures of a terminal and of the report: `python -m docs.pictures STUDY
--storage URL`. It needs Chromium and the development packages.

The study should be confirmed and ablated: `make demo-answers` makes one.
"""

import argparse
import io
import re
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

import hypersearch
from search.report.text import compare_text

FOLDER = Path(__file__).parent / "pictures"
# The terminal has so many columns and lines.
COLUMNS, LINES = 100, 27
# Each half of the report's picture has this size, in pixels.
WIDTH, HEIGHT = 760, 1150
# The second half begins with this section.
SECOND_HALF = 4
COLOURS = 48


def main() -> None:
    """Writes terminal.svg and report.png."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("study")
    parser.add_argument("--storage", required=True, metavar="URL")
    given = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    text = compare_text(hypersearch.compare(given.study, storage=given.storage), COLUMNS)
    (FOLDER / "terminal.svg").write_text(
        terminal(f"hypersearch compare {given.study}", text), encoding="utf-8"
    )
    with tempfile.TemporaryDirectory() as folder:
        page = hypersearch.report(
            given.study, storage=given.storage, output=Path(folder) / "report.html"
        )
        report(page, given.study).save(FOLDER / "report.png", optimize=True)


def terminal(command: str, text: str) -> str:
    """The first lines of what a command prints, as SVG that asks for no font."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text("\n".join(text.splitlines()[:LINES])))
    svg = console.export_svg(title=command)
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def report(page: Path, study: str) -> Image.Image:
    """The top of the page, and beside it what follows the heading of a later section."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        shown.goto(page.resolve().as_uri())
        section = shown.locator(f"[id='{study}-{SECOND_HALF}']").bounding_box()
        assert section is not None
        whole = Image.open(io.BytesIO(shown.screenshot(full_page=True))).convert("RGB")
        browser.close()
    halves = Image.new("RGB", (2 * WIDTH, HEIGHT), "white")
    for place, top in enumerate((0, round(section["y"]))):
        halves.paste(whole.crop((0, top, WIDTH, top + HEIGHT)), (place * WIDTH, 0))
    return halves.quantize(COLOURS)


if __name__ == "__main__":
    main()
