"""config.json of an exported folder: all that turns a file into an answer, written and read."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from objectives.data.image_file import CROP, PAD, STRETCH
from objectives.data.pixels import PixelScale
from search.export.calibration import Calibration
from search.export.errors import ModelFolderError
from search.export.formats import CONFIG
from storage.text import on_one_line

# Version 1 knows no other way than to crop: what is cropped is written so that it can read it.
FORMAT_VERSION = 2
# The config's own checksum has this key.
_CHECKSUM = "sha256"
# No config is larger: not even one with a million classes.
_LARGEST_BYTES = 2**24

_RESIZED = {
    CROP: "bilinear, antialiased; the largest centred part of that aspect ratio",
    PAD: "bilinear, antialiased; all of the image, in the middle of black",
    STRETCH: "bilinear, antialiased; all of the image, in that aspect ratio",
}

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True)
class Pixels:
    """How a file becomes pixels: see objectives.data.image_file.decode."""

    # The shape is (C, H, W); images are grey where C is 1, else RGB.
    shape: tuple[int, int, int]
    # The scales are those of kinds of pixels that are not 8 bits.
    scales: tuple[PixelScale, ...]
    resize: str = CROP


@dataclass(frozen=True)
class Answering:
    """The part of a config that predictions are made by."""

    class_names: tuple[str, ...]
    pixels: Pixels
    calibration: Calibration
    # The SHA-256 of each file stands under its name.
    files: Mapping[str, str]


def config_bytes(answering: Answering, facts: Mapping[str, Json]) -> bytes:
    """The content of config.json; `facts` is what else there is to say of the model."""
    (channels, height, width), resize = answering.pixels.shape, answering.pixels.resize
    calibration = answering.calibration
    document: dict[str, Json] = {
        "format_version": 1 if resize == CROP else FORMAT_VERSION,
        "classes": list(answering.class_names),
        "pixels": {
            "layout": "N, C, H, W",
            "dtype": "uint8",
            "channels": channels,
            "height": height,
            "width": width,
            "mode": "L" if channels == 1 else "RGB",
            "orientation": "as EXIF says",
            "transparent": "on white",
            "frame": "the first",
            "resize": _RESIZED[resize],
            "scales": {scale.kind: [scale.low, scale.high] for scale in answering.pixels.scales},
        },
        "calibration": {
            "temperature": calibration.temperature,
            "fitted_on": "the validation images that the errors are of, too",
            "expected_calibration_error_before": calibration.error_before,
            "expected_calibration_error_after": calibration.error_after,
            "confidences": [list(each) for each in calibration.confidences],
            "confidences_are": "thousandths of confidence, validation images, right ones",
        },
        "files": dict(answering.files),
        **facts,
    }
    document[_CHECKSUM] = checksum(document)
    return _text(document).encode()


def labels_bytes(class_names: Iterable[str]) -> bytes:
    """The content of labels.txt: a line each, in the order of the outputs."""
    return "".join(f"{on_one_line(each)}\n" for each in class_names).encode()


def read_config(folder: Path) -> Answering:
    """Of an exported folder.

    Raises ModelFolderError: there is none, it was changed, or a later version wrote it.
    """
    try:
        with (folder / CONFIG).open("rb") as file:
            content = file.read(_LARGEST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelFolderError.missing(folder, CONFIG) from None
    except OSError as error:
        raise ModelFolderError.unreadable(folder, CONFIG, error.strerror or str(error)) from error
    try:
        document = json.loads(content)
        version = document["format_version"]
    except (ValueError, TypeError, LookupError, RecursionError):
        raise ModelFolderError.unreadable(folder, CONFIG, "it is no config of a model") from None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ModelFolderError.newer(folder, version)
    try:
        if document.pop(_CHECKSUM) != checksum(document):
            raise ModelFolderError.changed(folder, CONFIG)
        return _answering(document)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ModelFolderError.unreadable(
            folder, CONFIG, f"{type(error).__name__}: {error}"
        ) from error


def _text(document: Mapping[str, Json]) -> str:
    """A line for each key, and for each key of its tables."""
    return (
        _braced(
            (key, _braced(_lines(value), "  ") if isinstance(value, Mapping) else _on_a_line(value))
            for key, value in document.items()
        )
        + "\n"
    )


def _lines(table: Mapping[str, Json]) -> Iterable[tuple[str, str]]:
    return ((key, _on_a_line(value)) for key, value in table.items())


def _braced(lines: Iterable[tuple[str, str]], indent: str = "") -> str:
    inside = ",\n".join(f"{indent}  {_on_a_line(key)}: {value}" for key, value in lines)
    return f"{{\n{inside}\n{indent}}}" if inside else "{}"


def _on_a_line(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def checksum(document: Mapping[str, Json]) -> str:
    """SHA-256, in hex, of a config without its own: whether it was changed, not who wrote it."""
    canonical = json.dumps(document, sort_keys=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _answering(document: Mapping[str, Json]) -> Answering:
    """Raises ValueError, TypeError or LookupError for what no export wrote."""
    pixels, calibration = _table(document["pixels"]), _table(document["calibration"])
    channels, height, width = (_whole(pixels[name]) for name in ("channels", "height", "width"))
    if channels not in (1, 3) or height < 1 or width < 1:
        raise ValueError(f"pixels of {channels} x {height} x {width}")
    classes = tuple(_string(name) for name in _list(document["classes"]))
    if len(classes) < 2:
        raise ValueError(f"{len(classes)} classes")
    scales = tuple(
        PixelScale(kind, *_pair(ends)) for kind, ends in _table(pixels["scales"]).items()
    )
    temperature = _number(calibration["temperature"])
    if temperature <= 0:
        raise ValueError(f"temperature {temperature}")
    return Answering(
        classes,
        Pixels((channels, height, width), scales, _resize(_string(pixels["resize"]))),
        Calibration(
            temperature,
            _number(calibration["expected_calibration_error_before"]),
            _number(calibration["expected_calibration_error_after"]),
            tuple(_triple(each) for each in _list(calibration["confidences"])),
        ),
        {name: _string(digest) for name, digest in _table(document["files"]).items()},
    )


def _resize(said: str) -> str:
    for resize, sentence in _RESIZED.items():
        if said == sentence:
            return resize
    raise ValueError(f"images that are resized so: {said!r:.80}")


def _table(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r:.40} is no table")
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.40} is no list")
    return value


def _string(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _whole(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r:.40} is no whole number")
    return value


def _number(value: Json) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError(f"{value!r:.40} is no number")
    return float(value)


def _pair(value: Json) -> tuple[float, float]:
    low, high = _list(value)
    return _number(low), _number(high)


def _triple(value: Json) -> tuple[int, int, int]:
    step, count, right = (_whole(each) for each in _list(value))
    if not (0 <= step <= 1000 and 0 <= right <= count and count > 0):
        raise ValueError(f"confidences of {value!r}")
    return step, count, right


def as_json(value: object) -> Json:
    """A frozen dataclass of numbers and tuples, as JSON has it."""
    return cast("Json", json.loads(json.dumps(asdict(value))))  # type: ignore[call-overload]
