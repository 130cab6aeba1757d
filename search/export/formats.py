"""The formats that a model is exported in, by name; no torch."""

from search.export.config import FORMATS
from search.export.errors import ExportRefused


def read_formats(text: str) -> frozenset[str]:
    """Names with commas between. Raises ExportRefused.

    >>> sorted(read_formats("safetensors, onnx"))
    ['onnx', 'safetensors']
    """
    names = frozenset(name.strip() for name in text.split(","))
    if not names <= FORMATS.keys():
        raise ExportRefused.no_format(text, sorted(FORMATS))
    return names
