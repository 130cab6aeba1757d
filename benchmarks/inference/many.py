"""How often answers on many configurations are wrong, and how often they find what is there: the
best set and ablation. Runs are values alone, so that the truth is exact.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from benchmarks.inference.cell import Cell, Figure
from lab.made_up_runs import Networks, Numbers, recorded_spreads
from search.analysis.inference.ablation import (
    LOOKS,
    AblationEffect,
    Arm,
    Look,
    judge,
    visible_effect,
)
from search.analysis.inference.best_set import best_set, visible_difference
from search.analysis.inference.runs import Runs, accuracy, loss

Spreads = Callable[[np.random.Generator, int], Numbers]

# Losses are not negative; nothing depends on how high they are.
ARMS, LEVEL = 11, 100.0
WRONG = "family-wise error"


def of_values(values: Numbers) -> Runs:
    """Runs of which nothing is known but their values; less is better."""
    return loss(np.repeat(LEVEL + values[:, None], 2, axis=1))


def equal(random: np.random.Generator, count: int) -> Numbers:
    """Spreads that are all the same."""
    return np.ones(count)


def one_wild(spreads: Spreads, factor: float = 4.0) -> Spreads:
    """The second configuration (the first arm) varies so many times as much as the others."""

    def drawn(random: np.random.Generator, count: int) -> Numbers:
        found = spreads(random, count)
        found[1] = factor * np.median(found)
        return found

    return drawn


@cache
def greatest_quantile(arms: int, freedom: int, ratio: float, error: float, both: bool) -> float:
    """Dunnett's critical value by simulation: of the greatest of `arms` t statistics that share a
    reference whose mean has `ratio` times the variance of an arm's.
    """
    random, draws = np.random.default_rng(0), 400_000
    shared = np.sqrt(ratio) * random.standard_normal((draws, 1))
    apart = (random.standard_normal((draws, arms)) - shared) / np.sqrt(1 + ratio)
    found = (abs(apart) if both else apart).max(axis=1)
    found /= np.sqrt(random.chisquare(freedom, draws) / freedom)
    return float(np.quantile(found, 1 - error))


def thrown_out(name: str, count: int, runs: int, spreads: Spreads, limit: float) -> Cell:
    """The share of true bests that are not in the set, all being equal; and what pooled variances
    would have thrown out.
    """

    def draw(random: np.random.Generator) -> Sequence[float]:
        values = spreads(random, count)[:, None] * random.standard_normal((count, runs))
        kept = best_set([of_values(each) for each in values], images="these").may_be_best
        pooled = values.var(axis=1, ddof=1).mean()
        critical = greatest_quantile(count - 1, count * (runs - 1), 1.0, 0.05, both=False)
        leads = values.mean(axis=1) - values.mean(axis=1).min()
        out = leads > critical * np.sqrt(2 * pooled / runs)
        place = 1 if spreads not in (equal, recorded_spreads) else slice(None)
        return 1 - float(np.mean(np.array(kept)[place])), float(np.mean(out[place]))

    figures = (Figure("true best thrown out", high=limit), Figure("the same, variances pooled"))
    return Cell(f"best of {count}, {name}, n {runs}", 4000, figures, draw)


def named(count: int, runs: int, limit: float) -> Cell:
    """How often a best that is 3 deviations ahead is the only one in the set."""

    def draw(random: np.random.Generator) -> Sequence[float]:
        values = random.standard_normal((count, runs)) + 3.0 * (np.arange(count) > 0)[:, None]
        found = best_set([of_values(each) for each in values], images="these")
        return (found.may_be_best == (True, *[False] * (count - 1)),)

    figures = (Figure("a best 3 deviations ahead is named", low=limit),)
    return Cell(f"best of {count}, equal spread, n {runs}", 2000, figures, draw)


def seen(lead: float) -> Cell:
    """What is said to be visible, for 5 networks of 98 %, and how often such a lead is seen."""
    ahead, behind = Networks(0.98 + lead / 2, 0.00125), Networks(0.98 - lead / 2, 0.00125)

    def draw(random: np.random.Generator) -> Sequence[float]:
        common = random.standard_normal(800)
        configurations = [
            accuracy(networks.runs(random, networks.margins(random, common), 5))
            for networks in [ahead, *[behind] * 4]
        ]
        kept, visible = best_set(configurations).may_be_best, visible_difference(configurations)
        assert visible is not None
        return 1 - sum(kept[1:]) / 4, visible.now, visible.more_seeds

    figures = (
        Figure("others thrown out by the best", 75, 85),
        Figure("said to be visible", unit="points"),
        Figure("said to be visible with more seeds", unit="points"),
    )
    return Cell(f"a lead of {100 * lead:.2f} points, m 800, n 5", 1000, figures, draw)


def one_look(name: str, runs: int, spreads: Spreads, limit: float) -> Cell:
    """Eleven techniques that do nothing, and Dunnett's test of the same runs."""

    def draw(random: np.random.Generator) -> Sequence[float]:
        spread = spreads(random, ARMS + 1)[:, None]
        values = spread * random.standard_normal((ARMS + 1, 2 * runs))
        values[1:, runs:] = np.nan
        effects = judge(*arms_of(values), Look(runs, 0.05), images="these").effects
        freedoms = np.array([2 * runs - 1, *[runs - 1] * ARMS])
        pooled = (freedoms * np.nanvar(values, axis=1, ddof=1)).sum() / freedoms.sum()
        means = np.nanmean(values, axis=1)
        critical = greatest_quantile(ARMS, int(freedoms.sum()), 0.5, 0.05, both=True)
        dunnett = abs(means[1:] - means[0]).max() > critical * np.sqrt(1.5 * pooled / runs)
        return any(each.verdict != "not told" for each in effects), dunnett

    figures = (Figure(WRONG, high=limit), Figure("the same, pooled Dunnett"))
    return Cell(f"ablation, one look, {name}, n {runs}", 2000, figures, draw)


def worth_found(runs: int, effect: float, limits: tuple[float, float]) -> Cell:
    """One technique that is worth so many deviations, ten that are worth nothing; and what is said
    to be visible.
    """

    def draw(random: np.random.Generator) -> Sequence[float]:
        values = random.standard_normal((ARMS + 1, 2 * runs))
        values[1] += effect
        values[1:, runs:] = np.nan
        reference, arms = arms_of(values)
        found = judge(reference, arms, Look(runs, 0.05), images="these").effects
        visible = visible_effect(reference, arms, Look(runs, 0.05), images="these")
        return found[0].verdict == "helps", visible / 100

    figures = (Figure("found", *limits), Figure("said to be visible", unit="deviations"))
    return Cell(f"ablation, one of {effect:g} deviations, n {runs}", 1000, figures, draw)


def looks(name: str, spreads: Spreads, effect: float, *limits: tuple[float, float]) -> Cell:
    """Three looks; the first technique is worth so many deviations, the others nothing."""

    def draw(random: np.random.Generator) -> Sequence[float]:
        spread = spreads(random, ARMS + 1)[:, None]
        values = spread * random.standard_normal((ARMS + 1, 2 * LOOKS[-1].seeds))
        values[1] += effect
        effects, trainings = looked_at(values, LOOKS)
        unsplit, _ = looked_at(values, [Look(look.seeds, 0.05) for look in LOOKS])
        nil = slice(1, None) if effect else slice(None)
        return (
            any(each.verdict != "not told" for each in effects[nil]),
            any(each.verdict != "not told" for each in unsplit[nil]),
            effects[0].verdict == "helps" if effect else np.nan,
            trainings / 100,
        )

    names = (WRONG, "the same, 5 % at each look", "found", "trainings")
    figures = [
        Figure(each, *pair, unit="trainings" if each == "trainings" else "%")
        for each, pair in zip(names, limits, strict=True)
    ]
    return Cell(f"ablation, looks, {name}", 1000 if effect else 2000, tuple(figures), draw)


def arms_of(values: Numbers) -> tuple[Runs, list[Arm]]:
    """Reference and arms of (1 + arms, runs), those that were not run NaN."""
    reference, *others = (of_values(each[np.isfinite(each)]) for each in values)
    return reference, [Arm(f"{place:02}", runs) for place, runs in enumerate(others)]


def looked_at(values: Numbers, plan: Sequence[Look]) -> tuple[tuple[AblationEffect, ...], int]:
    """The effects at the last look, and how many trainings they took."""
    seeds = np.full(len(values) - 1, plan[0].seeds)
    effects: tuple[AblationEffect, ...] = ()
    for look in plan:
        run = np.where(
            np.arange(values.shape[1]) < np.array([2 * look.seeds, *seeds])[:, None], values, np.nan
        )
        told = {each.name: each.verdict for each in effects if each.verdict != "not told"}
        judgement = judge(*arms_of(run), look, told=told, images="these")
        effects = judgement.effects
        if look is not plan[-1]:
            following = plan[list(plan).index(look) + 1].seeds
            seeds[[int(name) for name in judgement.goes_on]] = following
        if not judgement.goes_on:
            break
    return effects, int(2 * look.seeds + seeds.sum())


def cells() -> list[Cell]:
    """Best sets, then ablations of one look, then those of three."""
    anything = (-np.inf, np.inf)
    return [
        *(thrown_out("recorded spread", 5, runs, recorded_spreads, 4.5) for runs in (3, 5)),
        *(thrown_out("one 4 x unstable", 5, runs, one_wild(equal), 6.0) for runs in (3, 5)),
        *(thrown_out("equal spread", 5, runs, equal, 6.0) for runs in (3, 5)),
        *(thrown_out("recorded spread", count, 5, recorded_spreads, 6.0) for count in (3, 8)),
        *(named(count, 5, limit) for count, limit in ((3, 96), (5, 90), (8, 78))),
        seen(0.0108),
        *(one_look("recorded spread", runs, recorded_spreads, 4.5) for runs in (3, 5, 10)),
        one_look("equal spread", 5, equal, 5.0),
        one_look("one arm 4 x", 5, one_wild(equal), 5.0),
        worth_found(3, 3.75, (75, 90)),
        worth_found(5, 2.5, (75, 90)),
        worth_found(10, 1.75, (75, 92)),
        looks("recorded spread", recorded_spreads, 0.0, (0, 5), anything, anything, (70, 76)),
        looks("equal spread", equal, 0.0, (0, 5), anything, anything, (70, 76)),
        looks("one of 1 deviation", equal, 1.0, (0, 5), anything, (14, np.inf), anything),
        looks("one of 2 deviations", equal, 2.0, (0, 5), anything, (84, np.inf), anything),
        looks("one of 3 deviations", equal, 3.0, (0, 5), anything, (98, np.inf), anything),
    ]
