"""Durations as a person writes and reads them."""

import re
from collections.abc import Iterable


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, the two largest that are not zero."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    parts: Iterable[tuple[int, str]] = ((hours, "h"), (minute, "m"), (second, "s"))
    present = [f"{count}{unit}" for count, unit in parts if count]
    return "".join(present[:2]) or "0s"


_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII)


def parse_duration(text: str) -> float | None:
    """Seconds of "90s", "30m", "1h30m"; `None` where it is no duration."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds = (float(group or 0) for group in match.groups())
    return hours * 3600 + minutes * 60 + seconds
