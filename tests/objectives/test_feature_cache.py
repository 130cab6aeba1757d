"""Features that one process has computed are there for the others of the machine."""

from pathlib import Path
from threading import Thread

import pytest
import torch
from filelock import FileLock

from objectives.feature_cache import MOST_KEPT, kept_features

FEATURES = torch.arange(6.0).reshape(3, 2)


def never() -> torch.Tensor:
    raise AssertionError("it is there already")


def test_what_is_kept_is_not_computed_again_unless_it_is_damaged_or_of_something_else(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "not" / "there"
    pulse = int
    assert torch.equal(kept_features(folder, ("a",), lambda: FEATURES, pulse), FEATURES)
    assert torch.equal(kept_features(folder, ("a",), never, pulse), FEATURES)
    with pytest.raises(AssertionError):
        kept_features(folder, ("b",), never, pulse)
    (kept,) = folder.glob("*.npy")
    kept.write_bytes(kept.read_bytes()[:-4])
    assert torch.equal(kept_features(folder, ("a",), lambda: FEATURES, pulse), FEATURES)
    for number in range(MOST_KEPT + 2):
        kept_features(folder, (str(number),), lambda: FEATURES, pulse)
    assert len(list(folder.glob("*.npy"))) == MOST_KEPT
    # Where nothing can be kept it is computed.
    (tmp_path / "file").touch()
    for place in (None, tmp_path / "file"):
        assert torch.equal(kept_features(place, ("a",), lambda: FEATURES, pulse), FEATURES)


def test_whoever_waits_for_another_process_gives_signs_of_life(tmp_path: Path) -> None:
    other = FileLock(tmp_path / "features.lock", thread_local=False)
    other.acquire()
    pulses: list[None] = []

    def pulse() -> None:
        pulses.append(None)
        if len(pulses) == 3:
            Thread(target=other.release).start()

    found = kept_features(tmp_path, ("a",), lambda: FEATURES, pulse, wait_seconds=0.01)
    assert torch.equal(found, FEATURES)
    assert len(pulses) >= 3
