"""Luck of searches, the second look, tuned learning rates and reproduced trials."""

from collections.abc import Sequence

import numpy as np

from benchmarks.inference.cell import Cell, Figure
from benchmarks.recorded_curves import Recorded, read_true_scores
from lab.made_up_runs import Networks
from search.analysis.inference.intervals import estimate
from search.analysis.inference.learning_rates import OCTAVES, choose_rate
from search.analysis.inference.luck import seed_luck, split_luck
from search.analysis.inference.noise import accuracy_noise
from search.analysis.inference.reproduction import explained_by_seeds
from search.analysis.inference.runs import accuracy
from search.analysis.inference.second_look import second_look

IMAGES, TEST_IMAGES, SEED_SPREAD = 800, 1000, 0.0015
# The 160 configurations whose curves were recorded vary so about their best: in points.
SHARES = (0.975, 0.004)


def _drawn_luck(random: np.random.Generator) -> Sequence[float]:
    """One search, by the figures of `luck`."""
    common, drawn = random.standard_normal(IMAGES), random.standard_normal(TEST_IMAGES)
    shares = np.minimum(random.normal(*SHARES, 40), 0.995)
    networks = [Networks(share, SEED_SPREAD) for share in shares]
    margins = [each.margins(random, common) for each in networks]
    scores = [each.runs(random, own, 1).mean() for each, own in zip(networks, margins, strict=True)]
    best = np.argsort(scores)[::-1][:5]
    on_test = {place: networks[place].margins(random, drawn) for place in best}
    fresh = {
        place: networks[place].runs(random, np.append(margins[place], on_test[place]), 5)
        for place in best
    }
    top = best[0]
    validation, test = (
        accuracy(fresh[top][:, part]) for part in (slice(IMAGES), slice(IMAGES, None))
    )
    worth = networks[top].worth(margins[top]).mean()
    of_seed, of_images = seed_luck(scores[top], validation), split_luck(validation, test)
    assert of_seed.interval is not None
    assert of_images.interval is not None
    choice = max(best, key=lambda place: fresh[place][:, :IMAGES].mean())
    further = accuracy(networks[choice].runs(random, on_test[choice], 5))
    reading = estimate(further)
    assert reading.new_images is not None
    true_test = networks[choice].worth(on_test[choice]).mean()
    return (
        of_seed.value - (scores[top] - worth),
        of_seed.interval.holds(scores[top] - worth),
        of_images.value - (worth - shares[top]),
        of_images.interval.holds(worth - shares[top]),
        fresh[choice][:, :IMAGES].mean() - networks[choice].worth(margins[choice]).mean(),
        fresh[choice][:, IMAGES:].mean() - true_test,
        further.values.mean() - true_test,
        reading.new_images.holds(shares[choice]),
    )


def luck() -> Cell:
    """A search of 40 configurations; its incumbent and the four next are trained under fresh seeds,
    and the best of these five is chosen by their means.
    """
    figures = (
        Figure("seed luck, bias", -0.05, 0.05, "points"),
        Figure("seed luck covered", 93, 98),
        Figure("split luck, bias", -0.05, 0.05, "points"),
        Figure("split luck covered", 93, 98),
        Figure("the choice's fresh mean, bias", unit="points"),
        Figure("test reading of the seeds that chose, bias", unit="points"),
        Figure("test reading of further seeds, bias", -0.05, 0.05, "points"),
        Figure("test reading of further seeds covers", 93, 98),
    )
    return Cell("luck, 40 configurations", 1000, figures, _drawn_luck)


def retrained() -> Cell:
    """Studies of 40 of the 160 recorded curves, of which those whose true score is known may be
    named: first by the recorded value, then by the second look.

    A retraining's score is the true one, plus what the images favour (a share of recorded less true
    that the noise does not explain), plus noise.
    """
    true = {number: float(np.mean(each)) for number, each in read_true_scores().items()}
    values = {
        curve.number: curve.accuracy[-1] for curve in Recorded.read().curves if curve.number in true
    }
    everyone = [curve.number for curve in Recorded.read().curves]
    apart = np.array([values[number] - true[number] for number in true])
    noise = accuracy_noise(float(np.mean(list(values.values()))), IMAGES)
    of_truth = np.mean([np.var(each, ddof=1) / len(each) for each in read_true_scores().values()])
    favour = max(0.0, float(apart.var(ddof=1) - noise - of_truth))
    share = favour / (favour + noise)
    counts = (2, 4, 6, 12)

    def draw(random: np.random.Generator) -> Sequence[float]:
        taken = [number for number in random.permutation(everyone)[:40] if number in true]
        if len(taken) < 2:
            return [np.nan] * (len(counts) + 1)
        worth = np.array([true[number] for number in taken])
        scores = [[values[number]] for number in taken]
        favoured = share * (np.ravel(scores) - worth - apart.mean())
        favoured += random.normal(0, np.sqrt(share * noise), len(taken))
        centre = worth + apart.mean() + favoured
        first = worth[int(np.argmax(np.ravel(scores)))]
        s2 = accuracy_noise(float(np.max(scores)), IMAGES)
        gains = []
        for retraining in range(1, max(counts) + 1):
            place = second_look(scores, s2).retrain
            scores[place].append(centre[place] + random.normal(0, np.sqrt(noise)))
            if retraining in counts:
                gains.append(worth[second_look(scores, s2).named] - first)
        return (*gains, worth.max() - first)

    figures = [Figure(f"gain by {count} retrainings", unit="points") for count in counts]
    figures[2] = Figure("gain by 6 retrainings", 0.04, 0.065, "points")
    figures.append(Figure("gain that the best would be", unit="points"))
    return Cell("second look, recorded curves", 3000, tuple(figures), draw)


def rates(moved: float, limit: float) -> Cell:
    """An arm whose best rate is so many octaves from the old one; 0.2 points are lost an octave
    off, four times as many two octaves off.
    """
    networks = Networks(0.98, 0.00125)

    def draw(random: np.random.Generator) -> Sequence[float]:
        octaves = np.array(OCTAVES)
        noises = networks.runs(random, networks.margins(random, random.standard_normal(IMAGES)), 5)
        scores = noises.mean(axis=1) - 0.002 * (octaves - moved) ** 2
        found = choose_rate(OCTAVES, scores, accuracy_noise(0.98, IMAGES)).octaves
        by_score = octaves[int(np.argmax(scores))]
        return 0.002 * (found - moved) ** 2, 0.002 * (by_score - moved) ** 2

    figures = (
        Figure("lost by the parabola", high=limit, unit="points"),
        Figure("lost by the best score", unit="points"),
    )
    return Cell(f"learning rate, moved by {moved:g} octaves", 1000, figures, draw)


def reproduced(share: float, spread: float, trials: int, limit: float) -> Cell:
    """A trial, or the best of so many alike, trained again under another seed: called different,
    and by McNemar's test.
    """

    def draw(random: np.random.Generator) -> Sequence[float]:
        networks, common = Networks(share, spread), random.standard_normal(IMAGES)
        margins = [networks.margins(random, common) for _ in range(trials)]
        bits = [networks.runs(random, each, 1) for each in margins]
        best = int(np.argmax([each.mean() for each in bits]))
        recorded, new = accuracy(bits[best]), accuracy(networks.runs(random, margins[best], 1))
        apart = float(recorded.values[0] - new.values[0])
        explained = explained_by_seeds(recorded, new, apart, incumbent_of=trials)
        differing = np.count_nonzero(recorded.scores != new.scores)
        return not explained.holds(apart), abs(apart) * IMAGES > 1.96 * np.sqrt(differing)

    figures = (Figure("called different", high=limit), Figure("the same, McNemar"))
    name = f"reproduce, {share:.0%}, sd {100 * spread:.2f}, best of {trials}"
    return Cell(name, 4000, figures, draw)


def cells() -> list[Cell]:
    """All of them."""
    return [
        luck(),
        retrained(),
        rates(0, 0.05),
        rates(1, 0.03),
        rates(2, 0.14),
        reproduced(0.98, 0.0015, 1, 7.0),
        reproduced(0.75, 0.005, 1, 7.0),
        reproduced(0.98, 0.0015, 15, 4.0),
        reproduced(0.75, 0.005, 15, 4.0),
    ]
