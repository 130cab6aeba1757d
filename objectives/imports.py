"""Packages imported on a caller's behalf, as if they had not been."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def imports_unnoticed() -> Iterator[None]:
    """What is imported inside leaves no variables in the environment and no filters of warnings.

    >>> with imports_unnoticed():
    ...     import sklearn  # which sets KMP_INIT_AT_FORK
    """
    callers = set(os.environ)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for name in set(os.environ) - callers:
            del os.environ[name]
