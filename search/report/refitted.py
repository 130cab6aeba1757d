"""What is about to be trained on all images, for people."""

from search.analysis.refitted import Refitted


def refitted_opening(found: Refitted, epochs: int, expected: str | None) -> str:
    """What is about to be trained."""
    time = "" if expected is None else f", about {expected}"
    trainings = "1 training" if found.planned == 1 else f"{found.planned} trainings"
    beside = (
        ""
        if found.planned == 1
        else "; and on the training images alone, as its network was not kept, to calibrate by"
    )
    return (
        f"{found.study}: trial {found.plan.trial.trial} again, on training and validation images"
        f" together{beside}: {trainings} x {epochs} epochs{time}."
    )
