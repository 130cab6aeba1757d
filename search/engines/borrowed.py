"""A process that is its caller's: what work changes there is put back."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from search.studies.joining import JoinedStudy

# Optuna's level is set by search.engines.launch, Alembic's by Optuna.
LOGGERS = ("optuna", "alembic")


@contextmanager
def borrowed_process() -> Iterator[Callable[[JoinedStudy], None]]:
    """After it, the settings that work changes are the caller's again; inside,
    `work_begins(joined)` precedes work.

    PyTorch's are looked at no sooner, and only where something is trained: it may never be loaded.

    >>> with borrowed_process() as work_begins:   # doctest: +SKIP
    ...     run_study(url, request, machine, host=host, on_joined=work_begins)
    """
    with ExitStack() as back:
        for name in LOGGERS:
            logger = logging.getLogger(name)
            back.callback(logger.setLevel, logger.level)

        def work_begins(joined: JoinedStudy) -> None:
            if joined.stored.state == "ended" or joined.spec.data.dataset == "synthetic":
                return
            from objectives.device import settings_put_back

            back.enter_context(settings_put_back())

        yield work_begins
