"""The README's pictures ask for nothing and are small."""

import re
from pathlib import Path
from xml.etree import ElementTree

from docs.pictures import FOLDER, terminal


def test_the_terminals_picture_asks_for_no_font_and_holds_what_was_printed() -> None:
    svg = terminal("hypersearch compare demo", "rank  trial\n   1     <7>")
    root = ElementTree.fromstring(svg)
    assert not re.findall(r"url\((?!#)|@font-face|@import|href=\"(?!#)", svg)
    assert "<7>" in "".join(root.itertext())


def test_the_pictures_are_there_and_small() -> None:
    files: list[Path] = [FOLDER / "terminal.svg", FOLDER / "report.png"]
    assert sum(file.stat().st_size for file in files) < 200_000
