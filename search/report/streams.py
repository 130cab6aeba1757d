"""Standard output and standard error: whatever they can encode, and whether anybody reads them."""

import io
import os
import sys
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast


class OutputGone(Exception):
    """Nobody reads standard output any more, as behind `| head`: what is left to print is for
    nobody.
    """


class OutputFailed(Exception):
    """Standard output takes nothing."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"standard output cannot be written ({error.strerror}): make room there, or write"
            " elsewhere"
        )


class _Stream(io.TextIOBase):
    """Text for another stream: what that cannot encode is escaped, and its failures end in one
    place.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @abstractmethod
    def _fail(self, error: OSError) -> None:
        """Called with each failure of the stream."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        # A StringIO has no encoding and takes everything.
        if self.encoding is not None:
            text = text.encode(self.encoding, self.errors).decode(self.encoding)
        try:
            self._stream.write(text)
        except OSError as error:
            self._fail(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._fail(error)

    def end(self) -> None:
        """Throws away what cannot be written: Python would try it again when it ends, and
        complain.
        """
        try:
            self._stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)


class _Output(_Stream):
    # A result that is lost is told: nobody shall take half of it for the whole.

    def _fail(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            raise OutputGone from None
        raise OutputFailed(error) from error


class _Progress(_Stream):
    # Lines that nobody reads, or that there is no room for, end no work.

    def _fail(self, error: OSError) -> None:
        pass


def progress_stream(stream: TextIO | None) -> TextIO:
    """For progress, logs and errors on `stream`: what cannot be written is lost, and nothing else
    is.
    """
    return cast("TextIO", _Progress(io.StringIO() if stream is None or stream.closed else stream))


@contextmanager
def standard_streams() -> Iterator[None]:
    """Inside, printing on standard output raises OutputGone or OutputFailed, and on standard error
    nothing.

    Those that were closed when the process began lead nowhere, as /dev/null does.
    """
    _open_closed_ones()
    before = sys.stdout, sys.stderr
    output, progress = _Output(sys.stdout), _Progress(sys.stderr)
    sys.stdout, sys.stderr = cast("TextIO", output), cast("TextIO", progress)
    try:
        yield
    finally:
        output.end()
        progress.end()
        sys.stdout, sys.stderr = before


def _open_closed_ones() -> None:
    # Without that the next file to be opened, a database say, would get the number of a closed one,
    # and what is printed.
    nowhere = os.open(os.devnull, os.O_RDWR)
    while nowhere <= 2:
        os.set_inheritable(nowhere, True)
        nowhere = os.open(os.devnull, os.O_RDWR)
    os.close(nowhere)
    sys.stdin = sys.stdin or io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = sys.stdout or io.TextIOWrapper(io.FileIO(1, "w", closefd=False))
    sys.stderr = sys.stderr or io.TextIOWrapper(io.FileIO(2, "w", closefd=False))
