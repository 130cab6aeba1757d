"""The files of an exported folder, and the formats of its model, by name.

One more format is its file here, and what writes and checks it in `search.export.exporting`.
"""

from search.export.errors import ExportRefused

CONFIG, SAFETENSORS, ONNX = "config.json", "model.safetensors", "model.onnx"
LABELS, CARD = "labels.txt", "README.md"
FILES = (CONFIG, SAFETENSORS, ONNX, LABELS, CARD)
FORMATS = {"onnx": ONNX, "safetensors": SAFETENSORS}


def read_formats(text: str) -> frozenset[str]:
    """Names with commas between. Raises ExportRefused.

    >>> sorted(read_formats("safetensors, onnx"))
    ['onnx', 'safetensors']
    """
    names = frozenset(name.strip() for name in text.split(","))
    if not names <= FORMATS.keys():
        raise ExportRefused.no_format(text, sorted(FORMATS))
    return names
