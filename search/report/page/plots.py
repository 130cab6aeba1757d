"""Pictures of the report page: of the search as inline SVG, and images as PNG."""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from search.analysis.comparison import Comparison, parameters
from search.analysis.importance import Bounds, Importances
from search.analysis.progress import SearchProgress, metric_of
from search.report.page.facts import AblationFacts, ConfirmationFacts
from search.report.page.figures import BLUE, GREY, INK, ORANGE, new_figure, svg_of, whole_ticks
from search.report.ranking import column_name
from search.space.domains import Choice, Range, Value
from search.space.parameters import PARAMETERS
from storage.records import TrialRecord

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

MOST_CURVES = 150
MOST_DOTS = 400
MOST_IMPORTANCES = 15
# The longer side of an image has so many pixels.
THUMBNAIL_PIXELS = 56


def progress_svg(progress: SearchProgress, metric: str, unit: Literal["epochs", "hours"]) -> str:
    """The best so far over epochs trained, or over hours; where hours are not recorded, over
    epochs alone.
    """
    figure, axes = new_figure(2.4)
    found = progress.improvements
    values = [each.value for each in found]
    if unit == "epochs":
        _steps(axes, [each.epochs for each in found], values, progress.epochs)
        axes.set_xlabel("epochs trained, all trials")
    else:
        hours = progress.hours or 0.0
        scale, called = (1.0, "hours") if hours >= 2 else (60.0, "minutes")
        _steps(axes, [scale * (each.hours or 0.0) for each in found], values, scale * hours)
        axes.set_xlabel(f"{called} since the first trial began")
    axes.set_ylabel(f"best validation {metric}")
    return svg_of(figure)


def _steps(axes: "Axes", at: Sequence[float], values: Sequence[float], end: float) -> None:
    axes.step([*at, end], [*values, values[-1]], where="post", color=BLUE)
    axes.plot(at, values, "o", color=BLUE, markersize=3)


def curves_svg(comparison: Comparison) -> str:
    """Learning curves of MOST_CURVES trials or fewer, those that were stopped apart."""
    figure, axes = new_figure(2.8)
    spec = comparison.spec
    shown = _some([trial for trial in comparison.trials if trial.epochs], MOST_CURVES)
    for trial in reversed(shown):
        values = [metric_of(epoch, spec.metric) for epoch in trial.epochs]
        is_best = comparison.incumbent is not None and trial.number == comparison.incumbent.number
        is_whole = trial.state == "complete"
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=BLUE if is_whole else ORANGE,
            linewidth=2.2 if is_best else 0.8,
            alpha=1.0 if is_best else 0.6,
            linestyle="-" if is_whole else "--",
            marker="" if is_whole else "x",
            markevery=[len(values) - 1],
            markersize=4,
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation {spec.metric}")
    whole_ticks(axes)
    return svg_of(figure)


def importances_svg(found: Importances, intervals: dict[str, Bounds]) -> str:
    """Shares with their intervals, the largest on top."""
    shares = found.shares[:MOST_IMPORTANCES][::-1]
    figure, axes = new_figure(0.6 + 0.24 * len(shares), left_inches=1.75)
    for place, (name, share) in enumerate(shares):
        axes.plot([intervals[name].low, intervals[name].high], [place] * 2, color=GREY, linewidth=3)
        axes.plot([share], [place], "o", color=BLUE, markersize=5)
    axes.set_yticks(range(len(shares)), [name for name, _ in shares])
    axes.set_xlim(0, None)
    axes.set_xlabel("share, with its interval")
    return svg_of(figure)


def slice_svg(comparison: Comparison, column: str) -> str | None:
    """The value of each trial over a hyperparameter, branches together; `None` where there is
    nothing to tell apart.
    """
    dots = [
        (name, value, trial)
        for trial in _some([each for each in comparison.trials if _ended(each)], MOST_DOTS)
        for name, value in parameters(trial).items()
        if name in PARAMETERS and column_name(name) == column
    ]
    if len({value for _, value, _ in dots}) < 2:
        return None
    options = _options(comparison, [(name, value) for name, value, _ in dots])
    places = {option: place for place, option in enumerate(options)}
    bottom = 1.15 if max(len(str(each)) for each in [*options, ""]) > 4 else 0.5
    figure, axes = new_figure(1.7 + bottom, 3.4, bottom_inches=bottom)
    for state, colour, marker in (("pruned", ORANGE, "x"), ("complete", BLUE, "o")):
        of_state = [
            (value, trial.value)
            for _, value, trial in dots
            if trial.state == state and trial.value is not None
        ]
        axes.plot(
            [places.get(value, value) for value, _ in of_state],
            [value for _, value in of_state],
            marker,
            color=colour,
            markersize=3.5,
            alpha=0.75,
        )
    if places:
        upright = 30 if bottom > 1 else 0
        axes.set_xticks(range(len(options)), [_label(each) for each in options], rotation=upright)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right" if upright else "center")
    elif any(_is_log(comparison, name) for name, _, _ in dots):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
    axes.set_xlabel(column)
    axes.set_ylabel(comparison.spec.metric)
    return svg_of(figure)


def _label(option: Value) -> str:
    text = str(option)
    return text if len(text) <= 16 else f"{text[:8]}…{text[-7:]}"


def _options(comparison: Comparison, dots: Sequence[tuple[str, Value]]) -> list[Value]:
    """Of a choice, in their order; empty for numbers of a range."""
    domains = [comparison.spec.space.domain(name) for name, _ in dots]
    if all(isinstance(domain, Range) for domain in domains):
        return []
    known = [option for each in domains if isinstance(each, Choice) for option in each.options]
    return list(dict.fromkeys([*known, *(value for _, value in dots)]))


def _is_log(comparison: Comparison, name: str) -> bool:
    domain = comparison.spec.space.domain(name)
    return isinstance(domain, Range) and domain.log


def correlations_svg(found: Sequence[tuple[int, float]]) -> str:
    """Spearman's rho by epoch."""
    figure, axes = new_figure(2.2)
    axes.plot([epoch for epoch, _ in found], [rho for _, rho in found], "o-", color=BLUE)
    axes.set_ylim(min(0.0, *(rho for _, rho in found)) - 0.05, 1.05)
    axes.set_xlabel("epoch")
    axes.set_ylabel("rank correlation")
    whole_ticks(axes)
    return svg_of(figure)


def confirmation_svg(found: ConfirmationFacts) -> str:
    """Each seed's value as a dot, with both intervals of the mean."""
    figure, axes = new_figure(0.6 + 0.4 * len(found.trials), left_inches=0.8)
    for place, trial in enumerate(reversed(found.trials)):
        for interval, width, colour in ((trial.new_images, 2, GREY), (trial.these_images, 5, BLUE)):
            if interval is None:
                continue
            axes.plot([interval.low, interval.high], [place] * 2, color=colour, linewidth=width)
        axes.plot(trial.by_seed, [place + 0.18] * len(trial.by_seed), "o", color=ORANGE, ms=3)
    labels = [each.label for each in reversed(found.trials)]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(-0.5, len(labels) - 0.5)
    axes.set_xlabel("thick: these images; thin: new images; dots: seeds")
    return svg_of(figure)


def effects_svg(found: AblationFacts) -> str:
    """A forest plot: the effect of each technique with its interval."""
    figure, axes = new_figure(0.6 + 0.28 * len(found.effects), left_inches=1.6)
    for place, each in enumerate(reversed(found.effects)):
        axes.plot([each.interval.low, each.interval.high], [place] * 2, color=GREY, linewidth=3)
        axes.plot([each.effect], [place], "o" if each.is_used else "s", color=BLUE, markersize=5)
    names = [each.technique for each in reversed(found.effects)]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.5, len(names) - 0.5)
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_xlabel("effect, points (95 % interval)")
    return svg_of(figure)


def images_png(images: "NDArray[np.uint8]") -> tuple[str, int, int]:
    """Images (N, C, H, W) uint8 in a row as a data URI, with its width and height in pixels."""
    import numpy as np
    from PIL import Image

    # The rows have shape (N, H, W, C).
    rows = np.moveaxis(images, 1, -1)
    strip = np.concatenate(
        [np.pad(each, ((0, 0), (0, 1), (0, 0)), constant_values=255) for each in rows], axis=1
    )
    picture = Image.fromarray(strip[..., 0] if strip.shape[-1] == 1 else strip)
    scale = THUMBNAIL_PIXELS / max(images.shape[2:])
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    text = base64.b64encode(content.getvalue()).decode("ascii")
    larger = max(1.0, scale)
    width, height = round(picture.width * larger), round(picture.height * larger)
    return f"data:image/png;base64,{text}", width, height


def _ended(trial: TrialRecord) -> bool:
    return trial.state in ("complete", "pruned") and trial.value is not None


def _some(trials: Sequence[TrialRecord], most: int) -> list[TrialRecord]:
    """The best half of `most`, and others evenly over the rest."""
    if len(trials) <= most:
        return list(trials)
    best = most // 2
    rest = trials[best:]
    return [*trials[:best], *(rest[place * len(rest) // best] for place in range(most - best))]
