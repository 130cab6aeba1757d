"""What a training that was done again is called."""

from dataclasses import replace

import numpy as np
import pytest

from search.analysis.inference.reproduction import Record, compare, explained_by_seeds
from search.analysis.inference.runs import accuracy, loss

IMAGES = 800
LABELS = np.arange(IMAGES) % 10


def record(wrong: int, first_loss: float = 0.5, skip: int = 0) -> Record:
    """A training that is wrong on so many images, after the first `skip`."""
    predicted = LABELS.copy()
    predicted[skip : skip + wrong] = (predicted[skip : skip + wrong] + 1) % 10
    value = 1 - wrong / IMAGES
    return Record(
        epochs=np.array([[first_loss, 0.8], [0.1, value]]),
        first_losses=(first_loss, first_loss),
        value=value,
        answers=accuracy((predicted == LABELS)[None]),
        predicted=predicted,
        images_hash="a",
    )


def test_equal_bits_are_identical_and_one_bit_is_not() -> None:
    found = compare(record(16), record(16))
    assert (found.verdict, found.difference, found.differing_images) == ("identical", 0.0, 0)
    epochs = record(16).epochs
    epochs[1, 0] = np.nextafter(epochs[1, 0], 1)
    assert compare(record(16), replace(record(16), epochs=epochs)).verdict == "rounding"
    # The same metrics, another image wrong.
    assert compare(record(16), record(16, skip=1)).verdict == "rounding"


@pytest.mark.parametrize(
    ("loss_again", "verdict"),
    [
        (0.5 * (1 + 0.00099), "rounding"),
        (0.5 * (1 - 0.00099), "rounding"),
        (0.5 * (1 + 0.00101), "not shown to differ"),
        (0.5 * (1 - 0.00101), "not shown to differ"),
    ],
)
def test_the_first_losses_decide_at_a_thousandth(loss_again: float, verdict: str) -> None:
    for first_losses in ((loss_again, 0.5), (0.5, loss_again)):
        again = replace(record(18), first_losses=first_losses)
        assert compare(record(16), again).verdict == verdict


def test_rounding_that_drifts_far_is_rounding_and_says_how_far() -> None:
    found = compare(record(16), record(80))
    assert (found.verdict, found.differing_images) == ("rounding", 64)
    assert found.difference == pytest.approx(0.08)


def test_what_seeds_do_not_explain_is_different() -> None:
    assert compare(record(16), record(80, 0.6)).verdict == "different"
    assert compare(record(80), record(16, 0.6)).verdict == "different"


def test_an_incumbent_may_have_been_luckier_but_not_unluckier() -> None:
    # 8 and 22 images wrong, none of them both: 14 fewer of 30 that differ.
    few, many = record(8), record(22, 0.6, skip=100)
    assert compare(few, many).verdict == "different"
    assert compare(few, many, incumbent_of=15).verdict == "not shown to differ"
    again = replace(few, first_losses=(0.6, 0.6))
    assert compare(replace(many, first_losses=(0.5, 0.5)), again, 15).verdict == "different"


def test_of_a_loss_luck_is_below() -> None:
    random = np.random.default_rng(0)
    one, other = loss(random.gamma(0.1, 1, (1, IMAGES))), loss(random.gamma(0.1, 1, (1, IMAGES)))
    apart = float(one.values[0] - other.values[0])
    usual, best_of = (explained_by_seeds(one, other, apart, count) for count in (1, 15))
    assert usual.low == -usual.high
    assert best_of.high == usual.high
    assert best_of.low < usual.low


def test_other_images_or_another_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^the two trainings were judged on other images"):
        compare(record(16), replace(record(16), images_hash="b"))


def test_without_predictions_the_epochs_are_compared() -> None:
    older = replace(record(16), answers=None, predicted=None, images_hash=None)
    found = compare(older, record(16))
    assert (found.verdict, found.differing_images) == ("identical", None)
    assert compare(older, record(18, 0.6)).verdict == "not shown to differ"
    assert compare(older, record(80, 0.6)).verdict == "different"
    with pytest.raises(ValueError, match=r"^the new training has no answers to compare$"):
        compare(record(16), older)
