"""The intervals hold the truth as often as they say, and the tests are wrong as rarely; in small.

`python -m benchmarks.inference` does the same with enough draws for a figure.
"""

from collections.abc import Iterable

import numpy as np

from lab.made_up_runs import Networks, Numbers, recorded_spreads
from search.analysis.inference.ablation import LOOKS, AblationJudgement, Arm, Look, judge
from search.analysis.inference.best_set import best_set
from search.analysis.inference.differences import difference
from search.analysis.inference.intervals import estimate
from search.analysis.inference.luck import seed_luck, split_luck
from search.analysis.inference.runs import Runs, accuracy, loss

IMAGES, DRAWS = 800, 400


def share(found: Iterable[bool]) -> float:
    return float(np.mean(list(found)))


def of_values(values: Numbers) -> Runs:
    """Runs of which nothing is known but their values; less is better."""
    return loss(np.repeat(values[:, None], 2, axis=1))


def test_intervals_cover_what_they_say() -> None:
    random, networks = np.random.default_rng(1), Networks(0.98, 0.0015)
    these, new, apart, seeds_alone = [], [], [], []
    for _ in range(DRAWS):
        common = random.standard_normal(IMAGES)
        margins, others = networks.margins(random, common), networks.margins(random, common)
        runs = accuracy(networks.runs(random, margins, 5))
        found = estimate(runs)
        assert found.these_images is not None
        assert found.new_images is not None
        these.append(found.these_images.holds(networks.worth(margins).mean()))
        new.append(found.new_images.holds(0.98))
        other = accuracy(networks.runs(random, others, 5))
        apart.append(difference(runs, other).new_images.holds(0.0))
        seeds_alone.append(found.these_images.holds(0.98))
    assert 0.925 <= share(these) <= 0.975
    assert 0.935 <= share(new) <= 0.99
    assert 0.94 <= share(apart) <= 0.99
    # Read as one for new images, the interval over seeds would be wrong five times as often.
    assert share(seeds_alone) < 0.85


def test_the_true_best_is_thrown_out_in_one_case_of_twenty() -> None:
    random = np.random.default_rng(2)
    kept = []
    for _ in range(1000):
        spreads = recorded_spreads(random, 5)
        runs = [of_values(10 + spread * random.standard_normal(3)) for spread in spreads]
        kept.append(best_set(runs, images="these").may_be_best[0])
    assert 0.94 <= share(kept) < 1


def test_a_clear_best_is_named() -> None:
    random = np.random.default_rng(3)
    named = []
    for _ in range(200):
        runs = [of_values(10 + random.standard_normal(5) + 3 * (place > 0)) for place in range(5)]
        named.append(best_set(runs, images="these").may_be_best == (True, *[False] * 4))
    assert share(named) > 0.85


def test_nil_techniques_are_told_in_one_ablation_of_twenty_at_most() -> None:
    random = np.random.default_rng(4)
    wrong = []
    for _ in range(400):
        spreads = recorded_spreads(random, 12)
        reference = of_values(10 + spreads[0] * random.standard_normal(10))
        arms = [
            Arm(str(place), of_values(10 + spread * random.standard_normal(5)))
            for place, spread in enumerate(spreads[1:])
        ]
        effects = judge(reference, arms, Look(5, 0.05), images="these").effects
        wrong.append(any(effect.verdict != "not told" for effect in effects))
    assert share(wrong) <= 0.06


def test_looks_are_wrong_as_rarely_as_one_and_find_what_is_there() -> None:
    random = np.random.default_rng(5)
    wrong, found = [], []
    for _ in range(150):
        worths = np.where(np.arange(11) == 0, 3.0, 0.0)
        runs = random.standard_normal((12, 20))
        runs[1:] += worths[:, None]
        effects = looked_at(10 + runs).effects
        found.append(effects[0].verdict == "helps")
        wrong.append(any(effect.verdict != "not told" for effect in effects[1:]))
    assert share(wrong) <= 0.07
    assert share(found) > 0.9


def looked_at(values: Numbers) -> AblationJudgement:
    """The last of the looks at arms 1.. of (arms, 20) losses, of which 0 is the reference."""
    seeds = dict.fromkeys(map(str, range(1, len(values))), LOOKS[0].seeds)
    judgement: AblationJudgement | None = None
    for look in LOOKS:
        if judgement is not None:
            seeds |= dict.fromkeys(judgement.goes_on, look.seeds)
        effects = judgement.effects if judgement is not None else ()
        judgement = judge(
            of_values(values[0, : 2 * look.seeds]),
            [Arm(name, of_values(values[int(name), :count])) for name, count in seeds.items()],
            look,
            told={each.name: each.verdict for each in effects if each.verdict != "not told"},
            images="these",
        )
    assert judgement is not None
    return judgement


def test_luck_is_told_without_bias() -> None:
    random, networks = np.random.default_rng(6), Networks(0.98, 0.0015)
    of_seeds, of_images, errors = [], [], []
    for _ in range(150):
        common, drawn = random.standard_normal(IMAGES), random.standard_normal(1000)
        searched = [networks.margins(random, common) for _ in range(15)]
        scores = [networks.runs(random, margins, 1).mean() for margins in searched]
        winner = int(np.argmax(scores))
        own = networks.margins(random, drawn)
        both = networks.runs(random, np.concatenate([searched[winner], own]), 5)
        validation, test = accuracy(both[:, :IMAGES]), accuracy(both[:, IMAGES:])
        worth = networks.worth(searched[winner]).mean()
        seeds = seed_luck(float(scores[winner]), validation)
        images = split_luck(validation, test)
        assert seeds.interval is not None
        assert images.interval is not None
        of_seeds.append(seeds.interval.holds(scores[winner] - worth))
        of_images.append(images.interval.holds(worth - 0.98))
        errors.append(seeds.value - (scores[winner] - worth))
    assert 0.9 <= share(of_seeds) <= 0.99
    assert 0.9 <= share(of_images) <= 0.99
    assert abs(np.mean(errors)) < 0.0005
