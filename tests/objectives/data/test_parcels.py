"""Data that is sent to other machines goes by a name."""

from dataclasses import replace

from objectives.data.config import DataConfig
from objectives.data.parcels import parcel_name


def test_what_makes_other_images_of_the_same_files_has_another_name() -> None:
    config = DataConfig("images:photos", image_size=32, split_version=2)
    others = [
        replace(config, image_size=64),
        replace(config, resize="pad"),
        replace(config, groups=r"(\d+)"),
        replace(config, labels="labels.csv"),
    ]
    names = [parcel_name(each, "f" * 64, "train") for each in (config, *others)]
    names += [parcel_name(config, "0" * 64, "train"), parcel_name(config, "f" * 64, "test")]
    assert len(set(names)) == len(names)
    # Which part of it is for validation is decided where it arrives.
    for divided in (replace(config, folds=5), replace(config, split_seed=7)):
        assert parcel_name(divided, "f" * 64, "train") == names[0]
