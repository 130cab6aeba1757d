"""Which network a spec and a configuration come to, by the size of the images."""

import pytest

from objectives.architecture import Architecture, ModelConfig, architecture, with_depth

TUTORIAL = Architecture((16, 32, 64), 100, "plain", "flatten")


@pytest.mark.parametrize("image_size", [(1, 1), (8, 8), (28, 28), (32, 32), (17, 64)])
def test_up_to_64_pixels_the_network_is_the_tutorials(image_size: tuple[int, int]) -> None:
    assert architecture(ModelConfig(), image_size) == TUTORIAL


@pytest.mark.parametrize(
    ("image_size", "channels"),
    [
        ((65, 10), (16, 32, 64, 128)),
        ((128, 128), (16, 32, 64, 128)),
        ((224, 224), (16, 32, 64, 128, 256)),
        ((512, 512), (16, 32, 64, 128, 256, 256)),
    ],
)
def test_above_64_pixels_each_doubling_brings_a_block_and_maps_are_averaged(
    image_size: tuple[int, int], channels: tuple[int, ...]
) -> None:
    assert architecture(ModelConfig(), image_size) == Architecture(
        channels, 100, "plain", "average"
    )


def test_what_a_spec_names_holds_at_any_size_and_a_configuration_goes_before_it() -> None:
    model = ModelConfig((8, 6), 20, "residual", "flatten")
    for image_size in ((8, 8), (224, 224)):
        assert architecture(model, image_size) == Architecture((8, 6), 20, "residual", "flatten")
        assert architecture(
            model, image_size, width=0.5, depth=3, block="plain", head="average"
        ) == Architecture((4, 3, 6), 10, "plain", "average")


def test_further_blocks_have_twice_the_channels_and_never_fewer_than_the_last() -> None:
    assert with_depth((16, 32, 64), 1) == (16,)
    assert with_depth((100,), 4) == (100, 200, 256, 256)
    assert with_depth((300,), 2) == (300, 300)
