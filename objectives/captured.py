"""Steps that are recorded once on their device and then repeated without Python: CUDA graphs."""

import gc
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import ClassVar, Protocol

import torch

from objectives.errors import CaptureFailed, is_out_of_memory

_log = logging.getLogger(__name__)

# PyTorch's example of capturing a whole step takes as many: libraries and optimizers set themselves
# up.
WARM_UP_STEPS = 3

Work = Callable[[], None]


class Capture(Protocol):
    """How a device records work."""

    def warming_up(self) -> AbstractContextManager[None]:
        """Inside, work is done as it will be recorded, but at once."""

    def record(self, work: Work, generators: Sequence[torch.Generator]) -> Work:
        """Records `work` and does nothing of it. What is returned does it.

        The work reads and writes the same memory each time; its numbers of Python are those of the
        recording. It may draw from `generators` and from its device's default one. Raises whatever
        stands in the way.
        """


class CapturedStep:
    """Does its work at once for the first times, and then by a record.

    What it records is freed with it. Where there is no memory for a record the work is done at
    once, and `path` says so; where anything else stands in the way, CaptureFailed is raised.
    """

    def __init__(self, work: Work, generators: Sequence[torch.Generator], capture: Capture) -> None:
        self._work = work
        self._generators = generators
        self._capture = capture
        self._warm_ups = 0
        # The rest replays the record, or does the work itself where there is none.
        self._rest: Work | None = None
        self.path = "eager: not captured yet"

    def __call__(self) -> None:
        """Does the work once more."""
        if self._warm_ups < WARM_UP_STEPS:
            self._warm_ups += 1
            with self._capture.warming_up():
                self._work()
            return
        if self._rest is None:
            self._rest = self._recorded()
        self._rest()

    def _recorded(self) -> Work:
        before = sys.exception()
        try:
            replay = self._capture.record(self._work, self._generators)
        # There is no end to what a device, its driver and its libraries may object to.
        except Exception as error:
            cause = _innermost(error, before)
            # The cause is Ctrl-C, on which the end of the capture has failed.
            if not isinstance(cause, Exception):
                raise cause from None
            if not is_out_of_memory(cause):
                raise CaptureFailed.because_of(cause) from error
            said = str(cause).strip().partition("\n")[0]
            self.path = f"eager: {type(cause).__name__}: {said}"
            _log.info("steps are not captured: %s: %s", type(cause).__name__, said)
            return self._work
        self.path = "captured"
        _log.info("steps are captured")
        return replay


def _innermost(error: BaseException, before: BaseException | None) -> BaseException:
    # Where a capture breaks off, PyTorch's own end of it fails too: what is caught says no more
    # than that. `before` is what the caller was dealing with already, which is no cause.
    while (
        inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    ) is not None:
        if inner is before:
            break
        error = inner
    return error


def capture_of(device: torch.device) -> Capture | None:
    """How `device` records steps; None where it does not, and in a process in which it has failed
    to.
    """
    return _cuda_graphs(device) if device.type == "cuda" and not CUDAGraphs.have_failed else None


@cache
def _cuda_graphs(device: torch.device) -> "CUDAGraphs":
    # All trainings share one: libraries keep memory to work in for each stream that they have seen.
    return CUDAGraphs(device)


class CUDAGraphs:
    """Records on a stream of its own: the default one cannot be captured.

    A capture that has failed, unless for memory, leaves the process's allocator in a state that
    torch 2.11 does not mend: `have_failed` says so from then on, for all of its GPUs.
    """

    have_failed: ClassVar[bool] = False

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextmanager
    def warming_up(self) -> Iterator[None]:
        """See Capture."""
        callers = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(callers)
        with torch.cuda.stream(self._stream), warnings.catch_warnings():
            # Optimizers that can be captured say once, where they are not being captured, that this
            # costs time.
            warnings.filterwarnings(
                "ignore", message="This instance was constructed with capturable=True"
            )
            try:
                yield
            # What is freed on that stream may be used again here.
            finally:
                callers.wait_stream(self._stream)

    def record(self, work: Work, generators: Sequence[torch.Generator]) -> Work:
        """See Capture."""
        # The graph registers the default generator by itself, and since torch 2.14 every other.
        graph = torch.cuda.CUDAGraph()
        if torch.__version__ < "2.14":
            for generator in generators:
                graph.register_generator_state(generator)
        before = sys.exception()
        try:
            with self._recording(graph):
                work()
        # Ctrl-C counts too: the default generator is the caller's.
        except BaseException as error:
            for generator in (
                torch.cuda.default_generators[self._stream.device_index],
                *generators,
            ):
                _renew(generator)
            if isinstance(error, Exception) and not is_out_of_memory(_innermost(error, before)):
                CUDAGraphs.have_failed = True
            raise
        return graph.replay

    @contextmanager
    def _recording(self, graph: torch.cuda.CUDAGraph) -> Iterator[None]:
        # "thread_local": what other threads ask of the GPU meanwhile, a notebook's say, breaks
        # nothing off.
        recording = torch.cuda.graph(
            graph,
            pool=torch.cuda.graph_pool_handle(),
            stream=self._stream,
            capture_error_mode="thread_local",
        )
        # Where a capture breaks off, torch 2.11 leaves its stream the current one, and its GPU.
        callers = torch.cuda.current_stream(self._device), torch.cuda.current_stream()
        try:
            with _no_garbage_collection(), recording:
                yield
        except BaseException:
            for stream in callers:
                torch.cuda.set_stream(stream)
            raise


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    # A collection frees whatever of the GPU's memory is in cycles, or a graph of an earlier
    # training: in the middle of a recording either is a fault.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _renew(generator: torch.Generator) -> None:
    # A capture that broke off leaves its generators waiting for its end: they would draw no more.
    # The same numbers follow from a new state.
    numbers = generator.get_state()
    generator.graphsafe_set_state(torch.Generator(generator.device))
    generator.set_state(numbers)
