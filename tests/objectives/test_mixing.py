"""mixup and cutmix: what is mixed, by which shares, and what loss and accuracy then are."""

import pytest
import torch
from scipy.stats import beta
from torch import nn
from torchvision.transforms.v2 import MixUp

from objectives.augmentation import Transforms, draw
from objectives.hyperparameters import Augmentation
from objectives.mixing import Truth, draw_cuts, draw_shares, mixed
from objectives.rectangles import inside

IMAGES = torch.rand((5, 3, 17, 40), generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 2, 1, 1, 3])
LOGITS = torch.randn((5, 4), generator=torch.Generator().manual_seed(1))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0])
def test_shares_are_the_larger_ones_of_the_papers_distribution(alpha: float) -> None:
    shares = draw_shares(20_000, alpha, generator())
    for bound in (0.55, 0.7, 0.9, 0.999):
        expected = beta.cdf(bound, alpha, alpha) - beta.cdf(1 - bound, alpha, alpha)
        # Three standard errors are 0.011 at most.
        assert float((shares <= bound).float().mean()) == pytest.approx(expected, abs=0.011)
    assert 0.5 <= float(shares.min()) <= float(shares.max()) <= 1.0


def test_an_image_keeps_its_share_and_has_the_rest_of_the_one_before_it() -> None:
    shares = torch.tensor([1.0, 0.75, 0.5, 0.9, 0.6])
    images, truth = mixed(IMAGES, LABELS, shares, None)
    for place, share in enumerate(shares.tolist()):
        expected = share * IMAGES[place] + (1 - share) * IMAGES[place - 1]
        torch.testing.assert_close(images[place], expected)
    assert torch.equal(images[0], IMAGES[0])
    assert truth.others is not None
    assert truth.others.tolist() == [3, 0, 2, 1, 1]
    assert truth.shares is shares


def test_one_share_for_all_is_torchvisions_mixup() -> None:
    torch.manual_seed(3)
    theirs, targets = MixUp(alpha=1.0, num_classes=4)(IMAGES, LABELS)
    torch.manual_seed(3)
    share = float(torch.distributions.Dirichlet(torch.tensor([1.0, 1.0])).sample()[0])
    images, truth = mixed(IMAGES, LABELS, torch.full((5,), share), None)
    torch.testing.assert_close(images, theirs)
    torch.testing.assert_close(
        truth.cross_entropy(LOGITS), nn.functional.cross_entropy(LOGITS, targets, reduction="sum")
    )


def test_a_cut_holds_the_other_image_and_counts_by_its_pixels() -> None:
    cuts = draw_cuts(5, 1.0, generator(4))
    images, truth = mixed(IMAGES, LABELS, None, cuts)
    is_cut = inside(IMAGES, cuts)
    assert torch.equal(images, torch.where(is_cut, IMAGES.roll(1, 0), IMAGES))
    assert truth.shares is not None
    pixels = is_cut.flatten(1).sum(1)
    torch.testing.assert_close(truth.shares, 1 - pixels / (17 * 40))
    assert pixels.any()


def test_cuts_have_uniform_areas_anywhere_in_the_documented_share_of_images() -> None:
    cuts = draw_cuts(40_000, 0.3, generator())
    wide, high = (cuts[:, axis, 1] - cuts[:, axis, 0] for axis in (0, 1))
    is_cut = wide > 0
    assert float(is_cut.float().mean()) == pytest.approx(0.3, abs=0.01)
    whole = is_cut & (cuts > 0).all(2).all(1) & (cuts < 1).all(2).all(1)
    # Those that no side cuts off are as wide as high; the paper's area is uniform before that.
    torch.testing.assert_close(wide[whole], high[whole], rtol=0, atol=1e-5)
    assert float(wide.max()) <= 1.0
    assert float((wide * high)[is_cut].mean()) == pytest.approx(0.5 * MEAN_INSIDE, abs=0.01)


# A rectangle with sides of share r = sqrt(u) around a uniform middle has on average this part of
# r^2 inside: the integral of (r - r^2 / 4)^2 over u, over that of u.
MEAN_INSIDE = (1 / 2 - 2 * 1 / 4 * 2 / 5 + 1 / 16 * 1 / 3) / (1 / 2)


def test_of_mixup_and_cutmix_each_image_has_one_evenly() -> None:
    both = draw(20_000, (8, 8), Augmentation(("mixup", "cutmix"), 1.0), generator())
    assert both.shares is not None
    assert both.cuts is not None
    is_cut = (both.cuts[:, 0, 1] - both.cuts[:, 0, 0]) > 0
    is_mixed = both.shares < 1
    assert not (is_cut & is_mixed).any()
    assert float(is_cut.float().mean()) == pytest.approx(0.5, abs=0.02)
    assert float(is_mixed.float().mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_mixed_images_is_that_of_mixed_targets(smoothing: float) -> None:
    shares = torch.tensor([1.0, 0.75, 0.5, 0.9, 0.6])
    others = LABELS.roll(1)
    own, other = (nn.functional.one_hot(labels, 4).float() for labels in (LABELS, others))
    targets = torch.lerp(other, own, shares[:, None])
    truth = Truth(LABELS, others, shares)
    torch.testing.assert_close(
        truth.cross_entropy(LOGITS, smoothing),
        nn.functional.cross_entropy(LOGITS, targets, reduction="sum", label_smoothing=smoothing),
    )
    answers = LOGITS.argmax(1)
    torch.testing.assert_close(truth.right(answers), targets[torch.arange(5), answers].sum())
    parts = truth.chunk(2)
    torch.testing.assert_close(
        sum(
            part.cross_entropy(logits) for part, logits in zip(parts, LOGITS.chunk(2), strict=True)
        ),
        truth.cross_entropy(LOGITS),
    )


def test_without_mixing_images_and_truth_are_as_they_are() -> None:
    images, truth = Transforms().mixed(IMAGES, LABELS)
    assert images is IMAGES
    assert truth.labels is LABELS
    assert truth.others is None
    expected = nn.functional.cross_entropy(LOGITS, LABELS, reduction="sum")
    assert torch.equal(truth.cross_entropy(LOGITS), expected)
    assert int(truth.right(LABELS)) == 5
