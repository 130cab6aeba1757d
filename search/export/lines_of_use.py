"""The model card's lines of Python that turn files into classes without this package."""

from objectives.data.image_file import CROP, PAD, STRETCH
from objectives.data.pixels import BITS_16, BITS_32, FLOATS, WHOLE_RANGES, scale_for
from search.export.config import Answering

_RESIZED_BY = {
    CROP: "ImageOps.fit(image, size, way)",
    PAD: 'ImageOps.pad(image, size, way, color="black")',
    STRETCH: "image.resize(size, way)",
}


def code(answering: Answering) -> str:
    """The lines from image files to classes, by Pillow, NumPy and ONNX Runtime alone.

    They open files themselves: Pillow 13 maps an uncompressed TIFF that is opened by its name into
    memory, and does not turn it.
    """
    channels, height, width = answering.pixels.shape
    mode = "L" if channels == 1 else "RGB"
    before, colours = ("", "")
    if has_colours_of_16_bits(answering):
        before, colours = _NUMBERS, _colours(answering)
    return f'''\
import sys, numpy as np, onnxruntime
from PIL import Image, ImageOps
{before}
def pixels(file):  # -> (C, H, W) uint8
    image = ImageOps.exif_transpose(Image.open(open(file, "rb")))
    if ends := {{{_ends_of_scales(answering)}}}.get(image.mode[:4]):
        numbers = np.nan_to_num(np.asarray(image, np.float64), nan=ends[0])
        shares = (numbers - ends[0]) / (ends[1] - ends[0])
        image = Image.fromarray(np.rint(255 * shares.clip(0, 1)).astype(np.uint8))
{colours}\
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    image, size, way = image.convert("{mode}"), ({width}, {height}), Image.Resampling.BILINEAR
    image = {_RESIZED_BY[answering.pixels.resize]}
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)

labels = open("labels.txt", encoding="utf-8").read().splitlines()
session = onnxruntime.InferenceSession("model.onnx")
for file in sys.argv[1:]:
    [[found]] = session.run(["probabilities"], {{"images": pixels(file)[None]}})
    print(file, labels[found.argmax()], found.max(), sep="\\t")
'''


def has_colours_of_16_bits(answering: Answering) -> bool:
    """Whether the lines read colours of 16 bits, or grey with opacity, number by number: where the
    training images of 16 bits fill a part of their range alone. Else their upper halves, which
    Pillow reads, are what they are scaled to.
    """
    return any(
        scale.kind == BITS_16 and (scale.low, scale.high) != WHOLE_RANGES[BITS_16]
        for scale in answering.pixels.scales
    )


# Pillow keeps the upper bytes of such numbers; told that they lie otherwise, it keeps the lower
# ones. See objectives.data.image_file.
_NUMBERS = """
OTHER = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B", "RGB;16N": "RGB;16B", "LA;16B": "RGBA",
         "RGBA;16B": "RGBA;16L", "RGBA;16L": "RGBA;16B", "RGBA;16N": "RGBA;16B"}

def numbers_of_16_bits(file):  # -> (H, W, 3 or 4), or None of other files: Pillow halves these
    images = [Image.open(open(file, "rb")) for _ in range(2)]
    kinds = [each.args if isinstance(each.args, str) else each.args[0] for each in images[0].tile]
    if not kinds or kinds[0] not in OTHER:
        return None
    images[1].tile = [
        each._replace(args=OTHER[kinds[0]] if isinstance(each.args, str)
                      else (OTHER[kinds[0]], *each.args[1:])) for each in images[1].tile]
    upper, lower = (np.asarray(ImageOps.exif_transpose(each)).astype(int) for each in images)
    return upper << 8 | (lower[..., [1, 1, 1, 3]] if kinds[0] == "LA;16B" else lower)
"""


def _colours(answering: Answering) -> str:
    scale = scale_for(BITS_16, {each.kind: each for each in answering.pixels.scales})
    return f"""\
    if (numbers := numbers_of_16_bits(file)) is not None:
        shares = (numbers[..., :3] - {scale.low}) / {scale.high - scale.low}
        levels = np.rint(255 * shares.clip(0, 1)), numbers[..., 3:] >> 8
        image = Image.fromarray(np.concatenate(levels, -1).astype(np.uint8))
"""


def _ends_of_scales(answering: Answering) -> str:
    """By the mode of what Pillow reads as one band of more than 8 bits: what becomes 0, and 255."""
    known = {scale.kind: scale for scale in answering.pixels.scales}
    scales = [
        (mode, scale_for(kind, known))
        for mode, kind in (("I;16", BITS_16), ("I", BITS_32), ("F", FLOATS))
    ]
    return ", ".join(
        f'"{mode}": ({scale.low}, {scale.high if scale.high > scale.low else scale.low + 1})'
        for mode, scale in scales
    )
