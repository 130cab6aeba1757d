"""Networks that others have trained: what they see, and which files are refused."""

import io
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as save_safetensors
from torchvision.models import get_model, get_model_weights
from torchvision.models.feature_extraction import create_feature_extractor

from objectives.backbone import HEADS, WEIGHTS, open_backbone, torchvisions_weights
from objectives.data.images import LabelledImages, ResidentData
from objectives.errors import CheckpointError, DataError, DataUnavailable
from objectives.names import BACKBONES
from objectives.pretrained import Reference

CPU = torch.device("cpu")
SMALL = "mobilenet_v3_small"


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """With weights that nobody has trained."""
    torch.manual_seed(0)
    found: torch.nn.Module = get_model(SMALL, weights=None)
    return found.eval()


def test_every_backbone_has_a_head_and_weights_of_torchvision() -> None:
    assert tuple(HEADS) == BACKBONES
    for name in BACKBONES:
        assert get_model_weights(name)[WEIGHTS].transforms().crop_size == [224]


def test_features_are_those_of_the_network_on_images_as_its_weights_expect_them(
    network: torch.nn.Module,
) -> None:
    images = torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8)
    backbone = open_backbone(SMALL, saved(network.state_dict()), "here", CPU)
    pulses: list[None] = []
    found = backbone.features(images, lambda: pulses.append(None))
    transforms = get_model_weights(SMALL)[WEIGHTS].transforms(resize_size=224)
    pooled = create_feature_extractor(network, ["flatten"])
    with torch.no_grad():
        expected = pooled(transforms(images))["flatten"]
    assert found.shape == (3, 576)
    assert torch.allclose(found, expected, atol=1e-4)
    assert len(pulses) == 1
    # A grey image is the same as one of three equal channels, and any shape goes through.
    grey = torch.randint(0, 256, (2, 1, 17, 40), dtype=torch.uint8)
    repeated = backbone.features(grey.expand(-1, 3, -1, -1))
    assert torch.allclose(backbone.features(grey), repeated, atol=1e-5)
    # A file of safetensors, and one without a head, say the same.
    bare = {k: v for k, v in network.state_dict().items() if not k.startswith("classifier")}
    for content in (saved(bare), save_safetensors(bare)):
        again = open_backbone(SMALL, content, "here", CPU)
        assert torch.equal(again.features(images), found)


class Evil:
    """Code that a pickle would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("it was run",)


def test_a_file_of_other_things_is_refused_and_its_code_is_not_run(
    network: torch.nn.Module, capsys: pytest.CaptureFixture[str]
) -> None:
    state = network.state_dict()
    other = get_model("resnet18", weights=None).state_dict()
    first = next(iter(state))
    broken = {**state, first: torch.full_like(state[first], float("nan"))}
    unreadable = (
        "x.pth: it holds no weights that can be read without running its code ({}): write them by"
        " torch.save(model.state_dict(), FILE)"
    )
    for content, expected in (
        (b"", unreadable.format("EOFError")),
        (pickle.dumps(Evil()), unreadable.format("UnpicklingError")),
        (saved(Evil()), unreadable.format("UnpicklingError")),
        (saved(network), unreadable.format("UnpicklingError")),
        (b"\xff" * 8 + b"{}", unreadable.format("SafetensorError")),
        (
            saved({"epoch": 3, "state_dict": state}),
            "x.pth: it holds other things than weights by their names: write them by"
            " torch.save(model.state_dict(), FILE)",
        ),
        (
            saved(other),
            "x.pth: these are no weights of torchvision's mobilenet_v3_small (it has no"
            " 'features.0.0.weight'): name their network with --backbone",
        ),
        (
            saved({**state, "more": torch.zeros(1)}),
            "x.pth: these are no weights of torchvision's mobilenet_v3_small (that network has no"
            " 'more'): name their network with --backbone",
        ),
        (
            saved({**state, first: torch.zeros(1)}),
            "x.pth: these are no weights of torchvision's mobilenet_v3_small (it has another shape"
            f" of '{first}'): name their network with --backbone",
        ),
        (
            saved(broken),
            "x.pth: some of its weights are no finite numbers: take another file",
        ),
    ):
        with pytest.raises(DataError) as refused:
            open_backbone(SMALL, content, "x.pth", CPU)
        assert str(refused.value) == expected
    assert capsys.readouterr().out == ""


def test_torchvisions_weights_are_taken_from_its_folder_or_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    # Nobody listens there.
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(DataUnavailable) as refused:
        torchvisions_weights(SMALL)
    url = "https://download.pytorch.org/models/mobilenet_v3_small-047dcff4.pth"
    said = str(refused.value)
    assert said.startswith(f"the weights of {SMALL} are not in {folder}, and cannot be downloaded")
    assert said.endswith(f": get {url} elsewhere, and name the file with --weights FILE")
    assert list(folder.iterdir()) == []
    (folder / "mobilenet_v3_small-047dcff4.pth").write_bytes(b"weights")
    assert torchvisions_weights(SMALL) == b"weights"


def test_a_fit_is_one_epoch_that_any_process_can_go_on_from(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    labels = torch.arange(24) % 3
    random = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 60, (24, 3, 8, 8), generator=random)
    images = (noise + 60 * labels.view(-1, 1, 1, 1)).to(torch.uint8)
    split = LabelledImages(images[:15], labels[:15]), LabelledImages(images[15:], labels[15:])
    data = ResidentData(*split, ("a", "b", "c"), torch.zeros(3), torch.ones(3))
    content = saved(network.state_dict())
    reference = Reference(SMALL, content, data, tmp_path / "features")
    training = reference.train(seed=3)
    before = training.checkpoint()
    (measured,) = list(training)
    assert (measured.epoch, training.epoch, next(training, None)) == (1, 1, None)
    answered = training.predictions()
    right = (answered.classes == answered.labels).mean()
    assert measured.validation_accuracy == right
    assert measured.train_eval_loss == measured.train_loss
    # In another process, from before it and from after it; its features are there already.
    elsewhere = Reference(SMALL, content, data, tmp_path / "features")
    for saved_there, left in ((before, 1), (training.checkpoint(), 0)):
        again = elsewhere.train(seed=3, resume=saved_there)
        assert len(list(again)) == left
        same = again.predictions()
        assert (same.true_probabilities == answered.true_probabilities).all()
    assert len(list((tmp_path / "features").glob("*.npy"))) == 2
    with pytest.raises(CheckpointError, match="of another run"):
        elsewhere.train(seed=4, resume=before)
    with pytest.raises(CheckpointError, match="not kept"):
        training.checkpoint(2)
    # What is kept answers any split alike.
    kept = elsewhere.answers(reference.model_of(training), data.validation, "sha")
    assert (kept.split_sha256, kept.classes.tolist()) == ("sha", answered.classes.tolist())
    assert training.costs().parameters == 576 * 3 + 3
