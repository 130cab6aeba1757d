"""Changes of images' colours, each image by its own factor: what torchvision.transforms.v2's
functions of these names do to one picture at a time.

Images are (B, C, H, W) in 0..1, of one channel or of red, green and blue; factors are (B,). A grey
image has no saturation and no hue: what changes those leaves it as it is.
"""

import torch
from torch import Tensor, nn

# Brightness has these shares of red, green and blue (ITU-R BT.601).
LUMA = (0.2989, 0.587, 0.114)
# A pixel as it is stored has so many levels above 0.
LEVELS = 255


def per_image(values: Tensor) -> Tensor:
    """(B,) as what is multiplied with images."""
    return values.view(-1, 1, 1, 1)


def luma(images: Tensor) -> Tensor:
    """How bright each pixel is (B, 1, H, W)."""
    if images.shape[1] != 3:
        return images
    red, green, blue = (weight * images[:, channel] for channel, weight in enumerate(LUMA))
    return (red + green + blue).unsqueeze(1)


def blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    """factor * image + (1 - factor) * other, within 0..1."""
    own = per_image(factors)
    return (images * own + others * (1 - own)).clamp(0, 1)


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Blended with black."""
    return (images * per_image(factors)).clamp(0, 1)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Blended with the image's mean brightness."""
    return blend(images, luma(images).mean((1, 2, 3), keepdim=True), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Blended with what is left without colours."""
    return blend(images, luma(images), factors) if images.shape[1] == 3 else images


def adjust_hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Hues turned by so much of the circle (B,), -0.5 to 0.5; brightest channel and saturation stay
    (Smith 1978, "Color gamut transform pairs").
    """
    if images.shape[1] != 3:
        return images
    red, green, blue = images.unbind(1)
    high, low = images.amax(1), images.amin(1)
    chroma = high - low
    divisor = torch.where(chroma > 0, chroma, 1.0)
    sixths = torch.where(
        high == red,
        (green - blue) / divisor,
        torch.where(high == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    turned = sixths + 6 * shifts.view(-1, 1, 1)
    channels = []
    for offset in (5, 3, 1):
        place = torch.remainder(turned + offset, 6)
        channels.append(high - chroma * torch.minimum(place, 4 - place).clamp(0, 1))
    return torch.stack(channels, 1)


def without_colours(images: Tensor, are_grey: Tensor) -> Tensor:
    """Those that `are_grey` (B,) with their brightness in every channel."""
    return torch.where(per_image(are_grey), luma(images), images)


def smoothed(images: Tensor) -> Tensor:
    """Each pixel but those at the border as the mean of its neighbours and five times itself."""
    height, width = images.shape[-2:]
    if height < 3 or width < 3:
        return images
    sums = 9 * nn.functional.avg_pool2d(images, 3, stride=1)
    found = images.clone()
    found[..., 1:-1, 1:-1] = (sums + 4 * images[..., 1:-1, 1:-1]) / 13
    return found


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """The first `bits` (B,) of the eight of each pixel, the others zero."""
    steps = torch.exp2(8 - per_image(bits))
    return torch.floor((images * LEVELS).round() / steps) * steps / LEVELS


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Pixels from the threshold (B,) on as their negative."""
    return torch.where(images >= per_image(thresholds), 1 - images, images)


def autocontrast(images: Tensor) -> Tensor:
    """Each channel stretched to 0..1; a constant one stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    is_constant = high == low
    floor = torch.where(is_constant, 0.0, low)
    return ((images - floor) / torch.where(is_constant, 1.0, high - low)).clamp(0, 1)


def equalize(images: Tensor) -> Tensor:
    """Each channel with about as many pixels of each level, by Pillow's ImageOps.equalize; one with
    too few pixels beside its brightest stays.
    """
    # The levels have shape (B, C, H * W).
    levels = (images * LEVELS).round().long().flatten(2)
    counts = levels.new_zeros((*levels.shape[:2], LEVELS + 1))
    counts.scatter_add_(2, levels, torch.ones_like(levels))
    up_to = counts.cumsum(2)
    brightest = counts.gather(2, up_to.argmax(2, keepdim=True))
    steps = (levels.shape[2] - brightest) // LEVELS
    divisors = steps.clamp(min=1)
    before = up_to - counts
    table = ((before + divisors // 2) // divisors).clamp(max=LEVELS)
    equalized = table.gather(2, levels).view(images.shape) / LEVELS
    return torch.where((steps > 0).unsqueeze(3), equalized, images)
