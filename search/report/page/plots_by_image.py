"""Pictures of what a network answers image by image."""

from search.analysis.by_image import Reliability
from search.report.page.figures import BLUE, GREY, INK, new_figure, svg_of


def reliability_svg(found: Reliability) -> str:
    """The share of right answers over their confidence, with intervals; the larger a dot, the more
    images.
    """
    figure, axes = new_figure(2.8, 3.4)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    most = max(each.images for each in found.bins)
    for each in found.bins:
        at = [each.confidence]
        axes.plot(at * 2, [each.interval.low, each.interval.high], color=GREY, linewidth=1.5)
        size = 3 + 6 * (each.images / most) ** 0.5
        axes.plot(at, [each.share], "o", color=BLUE, markersize=size)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.05)
    axes.set_xlabel("confidence")
    axes.set_ylabel("share of right answers")
    return svg_of(figure)


def refusal_svg(found: Reliability) -> str:
    """The accuracy on what is answered over the share that is refused."""
    figure, axes = new_figure(2.8, 3.4)
    total = found.curve[0].answered
    shares = [100 * each.refused / total for each in found.curve]
    axes.plot(shares, [each.accuracy for each in found.curve], color=BLUE)
    axes.set_xlabel("% of the images refused")
    axes.set_ylabel("accuracy on the others")
    return svg_of(figure)
