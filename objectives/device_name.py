"""How devices are named; no torch, so that a wrong name is told before it is loaded."""

import re

from objectives.errors import DeviceError

_NAME = re.compile(r"auto|cpu|mps|cuda(:\d{1,4})?", re.ASCII)


def check_device_name(name: str) -> None:
    """Raises DeviceError for what is no name of a device: auto, cpu, cuda, cuda:1, mps."""
    if _NAME.fullmatch(name) is None:
        raise DeviceError(
            f'device "{name}" is unknown: choose auto, cpu, cuda, cuda:1 (any number) or mps'
        )
