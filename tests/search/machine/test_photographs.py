"""Who has decoded photographs is told what to compare a search on them with; nobody else is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectives.data.cache import cached_in
from objectives.data.config import DataConfig
from objectives.data.images import open_dataset
from search.machine.folders import FolderUnknown
from search.machine.photographs import photographs_finding
from search.report.text import summary_text
from tests.search.report.made_up import made_up


def test_photographs_are_named_with_the_command_and_where_its_weights_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    cache, folder = tmp_path / "cache", tmp_path / "birds"
    assert photographs_finding(cache) is None
    assert photographs_finding(FolderUnknown.cache()) is None
    random = np.random.RandomState(0)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for row in range(8):
            pixels = random.randint(0, 256, (9, 9, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{name}{row}.png")
    for dataset in ("digits", f"images:{folder}"):
        open_dataset(DataConfig(dataset), data_root=tmp_path / "data", cache_root=cache)
    finding = photographs_finding(cache)
    assert finding is not None
    assert (finding.part, finding.is_good) == ("pretrained reference", True)
    named, _, said = finding.found.partition(" holds photographs: ")
    # By the names under which the finding of the cache lists them.
    assert (named in cached_in(cache), named.startswith("images-")) == (True, True)
    assert said == (
        "'hypersearch confirm NAME --baseline pretrained' tells whether a network that others have"
        " trained beats a search on them; it downloads the weights of resnet18, or takes them from"
        " --weights FILE"
    )
    weights = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    weights.parent.mkdir(parents=True)
    weights.touch()
    finding = photographs_finding(cache)
    assert finding is not None
    assert finding.found.endswith(f"; the weights of resnet18 are in {weights.parent}")


def test_a_search_on_photographs_ends_with_what_to_compare_it_with() -> None:
    command = "hypersearch confirm demo --baseline pretrained"
    for data, is_said in (
        ({"dataset": "cifar10"}, True),
        ({"dataset": "mnist-5k"}, False),
        ({"dataset": "images:birds", "image_size": 64}, True),
        ({"dataset": "images:birds"}, False),
    ):
        assert (command in summary_text(made_up(12, data=data))) == is_said, data
