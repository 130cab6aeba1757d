"""A figure of the report page as inline SVG: no text of a user's stands in it, it asks for nothing
outside, and what is black in it takes the colour of the page's text.
"""

import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Each has a contrast of 3:1 and more with white and with #16181d.
BLUE, ORANGE, GREY = "#3b82d6", "#d9730d", "#7f8691"
# This colour stands for currentColor.
INK = "#010203"


def whole_ticks(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def new_figure(
    height_inches: float,
    width_inches: float = 4.8,
    *,
    left_inches: float = 0.68,
    bottom_inches: float = 0.5,
) -> tuple["Figure", "Axes"]:
    # Computing the room takes as long as drawing; the longest names are known.
    from matplotlib.figure import Figure

    figure = Figure((width_inches, height_inches))
    figure.patch.set_alpha(0.0)
    figure.subplots_adjust(
        left=left_inches / width_inches,
        right=1 - 0.12 / width_inches,
        bottom=bottom_inches / height_inches,
        top=1 - 0.1 / height_inches,
    )
    return figure, figure.add_subplot(facecolor="none")


_ID = re.compile(r'(\bid="|url\(#|href="#)')


# An <svg> inside HTML does without these: names of schemas, comments, ids that nothing refers to,
# fonts and joins that the page says once.
_NEEDLESS = [
    (re.compile(pattern, re.DOTALL), instead)
    for pattern, instead in (
        (r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>|<defs>\s*</defs>", ""),
        (r' xmlns(:xlink)?="[^"]*"', ""),
        (r'<g id="[^"]*"', "<g"),
        (r"font-family: [^;\"]*; ", ""),
        (r"\n\s*", "\n"),
    )
]


def with_own_ids(svg: str, prefix: str) -> str:
    """The picture with ids that begin so: of all in one page no two may be alike."""
    return _ID.sub(rf"\g<1>{prefix}-", svg)


def svg_of(figure: "Figure") -> str:
    """The figure's <svg>, without what is not drawn."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for axes in figure.axes:
        axes.grid(color=GREY, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(INK)
        axes.tick_params(which="both", colors=INK, labelsize=8)
        axes.xaxis.label.set(color=INK, size=9)
        axes.yaxis.label.set(color=INK, size=9)
    content = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hypersearch"}):
        # savefig would draw it twice.
        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})  # type: ignore[no-untyped-call]
    text = content.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    for needless, instead in _NEEDLESS:
        text = needless.sub(instead, text)
    return text
