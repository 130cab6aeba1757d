"""The report page: every section in every state of a study, nothing asked for outside, nothing of a
user's taken for HTML.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.analysis.comparison import Comparison
from search.report.page.facts import (
    Missing,
    StudyFacts,
)
from search.report.page.figures import BLUE, GREY, ORANGE
from search.report.page.render import report_page
from tests.search.report.made_up import failed, made_up
from tests.search.report.made_up_page import (
    ABLATION,
    CONFIRMATION,
    FEW,
    ONE,
    STUDY,
    all_failed,
    bare,
    facts,
    none_complete,
    with_costs,
)

TITLES = [
    "1. The answer",
    "2. Is it enough for me?",
    "3. Data",
    "4. Confirmation",
    "5. Effect of each technique",
    "6. Mistakes",
    "7. The search",
    "8. Hyperparameters",
    "9. Was pruning fair?",
    "10. The model",
    "11. Repeat it",
    "12. Limits and words",
]
VOID = {"meta", "img", "br", "link"}
AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


class Page(HTMLParser):
    """A page as a browser would take it: elements with their attributes, headings, text; it checks
    that every element ends where it should.
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.titles: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "h3":
            self.titles.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "h3":
            self.titles[-1] += data
        if "style" not in self._open:
            self.text += data


def page_of(*studies: StudyFacts) -> Page:
    return Page(report_page(studies, AT, "0.1"))


def test_every_section_stands_in_its_order_with_what_it_says() -> None:
    page = page_of(facts())
    assert page.titles == TITLES
    best = STUDY.incumbent
    assert best is not None
    for said in (
        f"The best of 22 complete trials, trial {best.number}, has a validation accuracy of 0.97",
        "NOT confirmed.",
        "hypersearch confirm demo",
        "Recall by class on validation images, the worst first",
        "Confusion matrix",
        "Expected calibration error",
        "1 of 4 validation images are missed by all of the best 3 complete trials",
        "Of 1 wrong answers the confidence is not recorded",
        "Images by class and split",
        "Not run: hypersearch ablate demo",
        "cat → dog (97%)",
        "The study has ended: its budget of trials is used up.",
        "Trials in order of rank",
        "20 more: hypersearch compare demo --all",
        "intervals by 50 resamples of 22 trials",
        "asha stopped 18 trials, which saved 36 of 160 epochs (22 %).",
        "Spearman's rho",
        "4,096 bytes (safetensors)",
        'dataset = "synthetic"',
        "Nothing here speaks of images unlike these.",
    ):
        assert said in page.text, said


def test_a_confirmed_and_ablated_study_fills_its_sections() -> None:
    page = page_of(replace(facts(), confirmation=CONFIRMATION, ablation=ABLATION))
    assert page.titles == TITLES
    assert "NOT confirmed" not in page.text
    assert "Not run" not in page.text
    for said in (
        "Trial 28 has a test accuracy of 0.9760 (0.9680 .. 0.9830, 95 %); baseline: 0.9680.",
        "reading 1 of this split",
        "Lucky seed: 0.27 points.",
        "Effects do not add up.",
        "0 (baseline)",
        "+1.60 .. +3.20",
    ):
        assert said in page.text, said


@pytest.mark.parametrize(
    ("study", "said"),
    [
        (all_failed(), "Every trial failed, 3 in all; the first reason: out of memory"),
        (none_complete(), "No trial has run all epochs yet: 18 were stopped early, 0 failed."),
        (made_up(0), "No trial has begun yet."),
        (with_costs(), "Pareto front: the complete trials that no other beats in everything"),
        (FEW, "importances say nothing"),
    ],
    ids=["all failed", "none complete", "empty", "several objectives", "few"],
)
def test_every_state_of_a_study_gives_a_sensible_page(study: Comparison, said: str) -> None:
    page = page_of(bare(study))
    assert page.titles == TITLES
    assert said in page.text
    assert "the images are away" in page.text
    assert ("nothing to confirm" in page.text) == (study.incumbent is None)
    assert ("hypersearch confirm demo" in page.text) == (study.incumbent is not None)
    for word in ("None", "nan", "inf ", "Undefined", "<bound", "()"):
        assert word not in page.text, word


def test_several_studies_stand_in_one_page() -> None:
    other = replace(FEW, spec=replace(FEW.spec, name="other"))
    page = page_of(facts(), bare(other))
    assert page.titles == TITLES * 2
    assert "hypersearch compare demo other" in page.text
    assert_whole(page)


def assert_whole(page: Page) -> None:
    """What holds of every page, whoever named what."""
    tags = [tag for tag, _ in page.elements]
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(tags)
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    for tag, found in page.elements:
        assert not [name for name in found if name.startswith("on")]
        for name, value in found.items():
            assert value is not None or name in ("open",), (tag, name)
            if name in ("src", "href", "xlink:href"):
                assert (value or "").startswith(("data:image/png;base64,", "#")), value
            if name == "style":
                assert not re.findall(r"url\((?!#)", value or "")
            if name in ("href", "xlink:href", "aria-labelledby"):
                assert (value or "").removeprefix("#") in ids
        if tag == "img":
            assert found["alt"]
    assert tags.count("main") == tags.count("h1") == 1


def test_nothing_is_asked_for_outside_the_page_and_all_is_named() -> None:
    source = report_page(
        [replace(facts(), confirmation=CONFIRMATION, ablation=ABLATION)], AT, "0.1"
    )
    assert not re.findall(r"https?://|@import|url\((?!#)", source)
    page = Page(source)
    assert_whole(page)
    for tag, found in page.elements:
        assert tag != "svg" or "viewBox".lower() in {name.lower() for name in found}
        assert "role" not in found or found["role"] == "note" or found.get("aria-label")
    figures, svgs = (sum(tag == wanted for tag, _ in page.elements) for wanted in ("figure", "svg"))
    assert figures == svgs > 10


HOSTILE = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "' onmouseover='alert(1)",
            "</td></table></section><script src=//evil>",
            "{{ 7 * 7 }}{% raw %}",
            "-->]]>&amp;&#60;",
            "a\u202eb\u2066c\u200f",
            "line\nline\r\u2028\x00\x1b[2J",
            "\udcff",
            "https://evil.example/x.png",
        ]
    ),
)


@pytest.mark.long
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HOSTILE, min_size=2, max_size=2), HOSTILE, HOSTILE, HOSTILE)
def test_nothing_of_a_users_is_taken_for_html(
    names: list[str], reason: str, device: str, folder: str
) -> None:
    # One trial without epochs has few pictures to draw.
    trials = [
        replace(trial, reason=reason, device=device, epochs=(), data_fingerprint=device or None)
        for trial in ONE.trials
    ]
    data = replace(ONE.spec.data, dataset=f"images:{folder}")
    trials.append(replace(failed(trials[0], reason), number=1))
    study = replace(ONE, spec=replace(ONE.spec, data=data), trials=tuple(trials))
    shown = replace(facts(study, names), data=facts(study, names).data)
    away = replace(
        bare(study), data=Missing(folder), examined=Missing(reason), by_image=Missing(device)
    )
    with pytest.MonkeyPatch.context() as patch:
        # These pictures hold no name, and drawing them takes longer than all else.
        for drawn in ("reliability_svg", "refusal_svg"):
            patch.setattr(f"search.report.page.reliability.{drawn}", lambda found: "<svg></svg>")
        for each in (shown, away):
            page = page_of(each)
            assert page.titles == TITLES
            assert_whole(page)
            assert page.text.replace("\n", "").isprintable()


def test_a_page_of_many_trials_is_small() -> None:
    few, many = (len(report_page([bare(made_up(count))], AT, "0.1")) for count in (40, 500))
    assert few < 2e6
    assert many < 2e6


def test_the_same_facts_give_the_same_page() -> None:
    assert report_page([facts()], AT, "0.1") == report_page([facts()], AT, "0.1")


# --- colours


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_and_pictures_have_contrast_in_light_and_in_dark() -> None:
    template = files("search.report.page").joinpath("page.html.jinja").read_text(encoding="utf-8")
    themes = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", found))
        for found in re.findall(r":root \{([^}]*)\}", template)[:2]
    ]
    for theme in themes:
        for ink, paper in (
            ("ink", "paper"),
            ("soft", "paper"),
            ("link", "paper"),
            ("ink", "panel"),
            ("warn", "warn-paper"),
        ):
            assert contrast(theme[ink], theme[paper]) >= 4.5, (ink, paper)
        for colour in (BLUE, ORANGE, GREY):
            assert contrast(colour, theme["paper"]) >= 3, colour
