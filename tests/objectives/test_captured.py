"""A recorded step is the eager one: on a CPU by a recorder that repeats operators without Python,
on a GPU by CUDA.
"""

import gc
import io
import math
import subprocess
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

# PyTorch has no public way to see each operator.
from torch.utils._python_dispatch import TorchDispatchMode

from models.names import NORMALIZATIONS
from objectives import captured, names, one_epoch, training
from objectives.architecture import ModelConfig
from objectives.augmentation import Transforms, draw
from objectives.captured import WARM_UP_STEPS, Capture, CapturedStep, CUDAGraphs, Work, capture_of
from objectives.data.images import LabelledImages, ResidentData
from objectives.device import float32_products, full_float32
from objectives.errors import CaptureFailed, ProcessSpent
from objectives.hyperparameters import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Augmentation,
    ClassWeights,
    Constant,
    Cosine,
    Exponential,
    Hyperparameters,
    MultiStep,
    NAdam,
    OneCycle,
    Optimizer,
    Plateau,
    RAdam,
    RMSprop,
    Scheduler,
    Step,
)
from objectives.measurement import Diverged, Measurement
from objectives.run import Run
from objectives.training import Training, train
from objectives.training_state import TrainingState
from tests.conftest import missing

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- a recorder for the CPU

HOST_READS = (
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "is_nonzero",
    "equal",
    "_unique2",
    "bincount",
)


def leaves(values: object) -> Iterator[Any]:
    """What lists, tuples and dicts within one another hold, in order."""
    if isinstance(values, list | tuple | dict):
        for value in values.values() if isinstance(values, dict) else values:
            yield from leaves(value)
    else:
        yield values


def tensors(values: object) -> list[Tensor]:
    return [value for value in leaves(values) if isinstance(value, Tensor)]


def memory(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()


class Recording(TorchDispatchMode):
    """The operators below autograd, in order, with the tensors and the numbers that they were
    called with.

    They are carried out, for their results; `undo` sets back what they found and have changed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[
            tuple[Callable[..., object], tuple[Any, ...], dict[str, Any], list[Tensor]]
        ] = []
        self._made: set[int] = set()
        self._found: dict[int, tuple[Tensor, torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        if func.overloadpacket.__name__ in HOST_READS:
            raise RuntimeError(f"the host reads the device: {func}")
        given = tensors([args, kwargs])
        for value in given:
            if memory(value) not in self._made and memory(value) not in self._found:
                self._found[memory(value)] = (value, value.untyped_storage().clone())
        results = func(*args, **kwargs)
        aliased = {memory(value) for value in given}
        fresh = [value for value in tensors(results) if memory(value) not in aliased]
        self._made.update(memory(value) for value in fresh)
        self.calls.append((func, args, kwargs, tensors(results)))
        return results

    def undo(self) -> None:
        for value, before in self._found.values():
            value.untyped_storage().copy_(before)


class Recorder:
    """What CUDA graphs are, on the CPU: operators are recorded once and repeated on the same
    memory.
    """

    def __init__(self) -> None:
        self.warm_ups = 0
        self.replays = 0
        self.is_replaying = False
        self.operators: list[str] = []
        self.recordings: list[weakref.ref[Recording]] = []

    def warming_up(self) -> AbstractContextManager[None]:
        self.warm_ups += 1
        return nullcontext()

    def record(self, work: Work, generators: Sequence[torch.Generator]) -> Work:
        numbers = [
            (generator, generator.get_state())
            for generator in (torch.default_generator, *generators)
        ]
        recording = Recording()
        try:
            with recording:
                work()
        finally:
            recording.undo()
            for generator, state in numbers:
                generator.set_state(state)
        self.operators = [str(func) for func, *_ in recording.calls]
        self.recordings.append(weakref.ref(recording))

        @torch.no_grad()
        def replay() -> None:
            self.replays += 1
            self.is_replaying = True
            for func, args, kwargs, results in recording.calls:
                aliased = {memory(value) for value in tensors([args, kwargs])}
                for old, new in zip(results, tensors(func(*args, **kwargs)), strict=True):
                    if memory(old) not in aliased:
                        old.copy_(new)
            self.is_replaying = False

        return replay


class Refusal:
    """A device that has no memory for a record: training goes on without."""

    def warming_up(self) -> AbstractContextManager[None]:
        return nullcontext()

    def record(self, work: Work, generators: Sequence[torch.Generator]) -> Work:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 MiB")


REFUSED = "eager: OutOfMemoryError: CUDA out of memory."


@pytest.fixture
def _capturable(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's optimizers that count on the device refuse to do so on a CPU, where it is of no
    use.
    """
    for name in ("rmsprop", "nadam", "radam"):
        module = import_module(f"torch.optim.{name}")
        monkeypatch.setattr(
            module, "_get_capturable_supported_devices", lambda supports_xla=True: ["cpu", "cuda"]
        )


# --- the step alone


def test_warm_ups_and_replays_each_do_the_work_once() -> None:
    total, capture = torch.zeros(()), Recorder()

    def work() -> None:
        total.add_(1)

    step = CapturedStep(work, [], capture)
    for number in range(1, 9):
        step()
        assert float(total) == number
        assert step.path == ("captured" if number > WARM_UP_STEPS else "eager: not captured yet")
    assert (capture.warm_ups, capture.replays) == (WARM_UP_STEPS, 8 - WARM_UP_STEPS)


def steps(
    work: Callable[[], Tensor], capture: Capture, count: int, *generators: torch.Generator
) -> list[Any]:
    """What so many steps of work leave in memory that stays."""
    left = torch.zeros_like(work().detach())

    def leave() -> None:
        left.copy_(work())

    step, found = CapturedStep(leave, generators, capture), []
    for _ in range(count):
        step()
        found.append(left.tolist())
    assert step.path == CAPTURED
    return found


def test_what_python_computes_is_recorded_as_it_was() -> None:
    """So that the tests below would see it: a number of Python in the step is that of the recording
    for ever.
    """
    numbers = iter(range(100))
    assert steps(lambda: torch.zeros(()) + next(numbers), Recorder(), 6) == [1, 2, 3, 4, 4, 4]


def test_recorded_draws_go_on_in_their_generators() -> None:
    own = torch.Generator()

    def draw() -> Tensor:
        return torch.rand(3, generator=own) + 10 * torch.rand(3)

    def seed() -> None:
        own.manual_seed(1)
        torch.manual_seed(2)

    seed()
    found = steps(draw, Recorder(), 7, own)
    seed()
    assert [draw().tolist() for _ in range(8)][1:] == found


def test_without_memory_for_a_record_work_is_done_at_once_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # The command line sets the parent's level in other tests.
    caplog.set_level("INFO", logger="objectives.captured")
    done: list[int] = []
    step = CapturedStep(lambda: done.append(1), [], Refusal())
    for number in range(1, 7):
        step()
        assert len(done) == number
    assert step.path == REFUSED
    assert caplog.messages == ["steps are not captured: OutOfMemoryError: CUDA out of memory."]


class Failing(Refusal):
    """A device whose record raises what it is made with, or calls it."""

    def __init__(self, record: Callable[[], None]) -> None:
        self._record = record

    def record(self, work: Work, generators: Sequence[torch.Generator]) -> Work:
        self._record()
        raise AssertionError("it has not failed")


def break_off(capture: Capture) -> None:
    """By the record, which follows the warm-up."""
    step = CapturedStep(lambda: None, [], capture)
    for _ in range(WARM_UP_STEPS + 1):
        step()


def in_the_work_and_in_its_end() -> None:
    """As torch.cuda.graph reports it: the end of a capture that broke off fails too."""
    try:
        raise RuntimeError("operation not permitted\nwhen stream is capturing")
    finally:
        raise RuntimeError("operation failed due to a previous error during capture")


def on_purpose() -> None:
    try:
        raise ValueError("no kernel image")
    except ValueError as error:
        raise RuntimeError("capture failed") from error


def without_its_context() -> None:
    try:
        raise KeyError("kernel")
    except KeyError:
        raise RuntimeError("no kernel image") from None


def without_words() -> None:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("fails", "named"),
    [
        (in_the_work_and_in_its_end, "RuntimeError: operation not permitted"),
        (on_purpose, "ValueError: no kernel image"),
        (without_its_context, "RuntimeError: no kernel image"),
        (without_words, "NotImplementedError"),
    ],
)
@pytest.mark.parametrize("is_handling", [False, True])
def test_work_that_cannot_be_recorded_spends_the_process_and_says_why(
    fails: Callable[[], None], named: str, is_handling: bool
) -> None:
    """The innermost cause, of the record's own: not what its caller was dealing with when it
    began.
    """

    def while_handling() -> None:
        try:
            raise OSError("of the caller")
        except OSError:
            break_off(Failing(fails))

    with pytest.raises(CaptureFailed) as failed:
        while_handling() if is_handling else break_off(Failing(fails))
    assert (
        str(failed.value)
        == f"steps cannot be captured in this process ({named}): train without captures"
    )
    assert (isinstance(failed.value, ProcessSpent), failed.value.captures) == (True, False)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation'"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
    ids=repr,
)
def test_want_of_memory_is_known_by_what_pytorch_and_its_libraries_say(error: Exception) -> None:
    def fails() -> None:
        try:
            raise error
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    done: list[int] = []
    step = CapturedStep(lambda: done.append(1), [], Failing(fails))
    for _ in range(6):
        step()
    assert len(done) == 6
    assert step.path == f"eager: {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def test_a_step_in_which_the_host_reads_cannot_be_recorded() -> None:
    with pytest.raises(CaptureFailed) as failed:
        steps(lambda: torch.ones(3) * torch.ones(3).sum().item(), Recorder(), 6)
    named = "RuntimeError: the host reads the device: aten._local_scalar_dense.default"
    assert (
        str(failed.value)
        == f"steps cannot be captured in this process ({named}): train without captures"
    )


def interrupted() -> None:
    raise KeyboardInterrupt


def interrupted_so_that_its_end_fails() -> None:
    try:
        raise KeyboardInterrupt
    finally:
        raise RuntimeError("operation failed due to a previous error during capture")


@pytest.mark.parametrize("fails", [interrupted, interrupted_so_that_its_end_fails])
def test_a_signal_while_recording_is_passed_on(fails: Callable[[], None]) -> None:
    with pytest.raises(KeyboardInterrupt):
        break_off(Failing(fails))


# --- recording as torch 2.11 does, by a stand-in for its CUDA


class Stream:
    def __init__(self, device: object = None) -> None:
        self.device_index = 0

    def wait_stream(self, other: "Stream") -> None:
        pass


class Generator:
    """One that waits for the end of a capture until its state is another's."""

    device = CPU

    def __init__(self) -> None:
        self.waits = False
        self.numbers = 7

    def get_state(self) -> int:
        return self.numbers

    def set_state(self, numbers: int) -> None:
        self.numbers = numbers

    def graphsafe_set_state(self, other: torch.Generator) -> None:
        self.waits, self.numbers = False, 0


class StandIn:
    """The parts of torch.cuda that record: the end of a capture may fail, and then sets no stream
    back.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.default = self.current = Stream()
        self.generator = Generator()
        self.ends = lambda: None
        self.recordings: list[dict[str, object]] = []
        self.pools = iter(range(1, 100))
        for name in ("CUDAGraph", "graph", "current_stream", "set_stream", "graph_pool_handle"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "default_generators", [self.generator])
        monkeypatch.setattr(CUDAGraphs, "have_failed", False)

    def CUDAGraph(self) -> object:  # noqa: N802
        return SimpleNamespace(register_generator_state=lambda generator: None, replay=lambda: None)

    def current_stream(self, device: object = None) -> Stream:
        return self.current

    def set_stream(self, stream: Stream) -> None:
        self.current = stream

    def graph_pool_handle(self) -> tuple[int, int]:
        return (0, next(self.pools))

    @contextmanager
    def graph(self, graph: object, **options: object) -> Iterator[None]:
        self.recordings.append(options)
        before, self.current = self.current, options["stream"]  # type: ignore[assignment]
        self.generator.waits = True
        try:
            yield
        finally:
            self.ends()
            self.generator.waits = False
            self.current = before


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn(monkeypatch)


CUDA = torch.device("cuda")


def raising(error: BaseException) -> Callable[[], Any]:
    def fails() -> None:
        raise error

    return fails


def test_a_recording_has_its_own_pool_and_minds_its_own_thread_alone(stand_in: StandIn) -> None:
    graphs = CUDAGraphs(CUDA)
    for _ in range(2):
        graphs.record(lambda: None, [])
    streams = {id(options.pop("stream")) for options in stand_in.recordings}
    assert stand_in.recordings == [
        {"pool": (0, pool), "capture_error_mode": "thread_local"} for pool in (1, 2)
    ]
    assert len(streams) == 1
    assert streams != {id(stand_in.default)}


@pytest.mark.parametrize("is_on", [True, False])
@pytest.mark.parametrize(
    "error", [None, RuntimeError("operation not permitted"), KeyboardInterrupt()], ids=repr
)
def test_garbage_is_not_collected_while_recording_and_as_before_after_it(
    stand_in: StandIn, error: BaseException | None, is_on: bool
) -> None:
    inside: list[bool] = []

    def work() -> None:
        inside.append(gc.isenabled())
        if error is not None:
            raise error

    (gc.enable if is_on else gc.disable)()
    try:
        with nullcontext() if error is None else pytest.raises(type(error)):
            CUDAGraphs(CUDA).record(work, [])
        after = gc.isenabled()
    finally:
        gc.enable()
    assert (inside, after) == ([False], is_on)


def test_the_garbage_collector_is_left_alone_without_cuda() -> None:
    found: list[bool] = []
    step = CapturedStep(lambda: found.append(gc.isenabled()), [], Recorder())
    for _ in range(WARM_UP_STEPS + 1):
        step()
    assert found == [True] * (WARM_UP_STEPS + 1)


@pytest.mark.parametrize(
    ("in_work", "in_end", "captures_on"),
    [
        (
            RuntimeError("operation not permitted"),
            RuntimeError("previous error during capture"),
            False,
        ),
        (RuntimeError("no kernel image"), None, False),
        (None, RuntimeError("no nodes"), False),
        (KeyboardInterrupt(), RuntimeError("previous error during capture"), False),
        (KeyboardInterrupt(), None, True),
        (torch.OutOfMemoryError("CUDA out of memory."), None, True),
        (
            torch.OutOfMemoryError("CUDA out of memory."),
            RuntimeError("previous error during capture"),
            True,
        ),
        (None, RuntimeError("CUDA error: out of memory"), True),
    ],
    ids=repr,
)
def test_a_recording_that_breaks_off_gives_all_back_and_is_the_last_but_for_want_of_memory(
    stand_in: StandIn,
    in_work: BaseException | None,
    in_end: BaseException | None,
    captures_on: bool,
) -> None:
    """The last of the process, whatever the GPU."""
    captured._cuda_graphs.cache_clear()
    try:
        capture = capture_of(CUDA)
        assert capture is not None
        stand_in.ends = (lambda: None) if in_end is None else raising(in_end)
        work = (lambda: None) if in_work is None else raising(in_work)
        with pytest.raises((RuntimeError, KeyboardInterrupt)):
            capture.record(work, [])
        assert stand_in.current is stand_in.default
        assert (stand_in.generator.waits, stand_in.generator.numbers) == (False, 7)
        assert capture_of(CUDA) is (capture if captures_on else None)
        assert (capture_of(torch.device("cuda:1")) is not None) == captures_on
    finally:
        captured._cuda_graphs.cache_clear()


def test_only_cuda_captures() -> None:
    assert capture_of(CPU) is None
    assert capture_of(torch.device("mps")) is None


# --- whole trainings

PLAIN = Hyperparameters(SGD(0.05, momentum=0.9), batch_size=16)
OPTIMIZERS: list[Optimizer] = [
    SGD(0.1),
    SGD(0.1, 0.9, 1e-3, nesterov=True),
    *(kind(0.01, 1e-3) for kind in (Adagrad, RMSprop, Adam, AdamW, NAdam, RAdam)),
    RMSprop(0.01, alpha=0.9, momentum=0.5, centered=True),
    *(kind(0.01, 1e-3, beta1=0.8, beta2=0.9999) for kind in (Adam, AdamW, NAdam, RAdam)),
    *(kind(0.01, amsgrad=True) for kind in (Adam, AdamW)),
]
SCHEDULERS: list[Scheduler] = [
    Constant(),
    Step(0.5, 0.1),
    MultiStep(0.4, 0.6, 0.2),
    Exponential(0.2),
    Plateau(0.0, 0.5),
    Cosine(),
    OneCycle(),
]
# These draw no random numbers: they are the same on every device.
SAME_EVERYWHERE = [
    *(replace(PLAIN, optimizer=optimizer) for optimizer in OPTIMIZERS),
    *(replace(PLAIN, scheduler=scheduler) for scheduler in SCHEDULERS),
    *(replace(PLAIN, optimizer=SGD(0.01, 0.9), normalization=name) for name in NORMALIZATIONS),
    *(replace(PLAIN, input_normalization=name) for name in names.INPUT_NORMALIZATIONS),
    replace(PLAIN, l1=1e-3),
    replace(PLAIN, warmup=0.5),
    replace(PLAIN, label_smoothing=0.1),
    replace(PLAIN, gradient_clipping=0.1),
    replace(PLAIN, class_weights=ClassWeights("effective_number", 0.9)),
    replace(PLAIN, balanced_sampling=1.0),
    Hyperparameters(
        AdamW(0.003, 1e-3),
        OneCycle(),
        l1=1e-4,
        initializer="he_normal",
        input_normalization="minmax",
        normalization="layer",
        batch_size=16,
        warmup=0.3,
        label_smoothing=0.1,
        gradient_clipping=1.0,
        class_weights=ClassWeights("inverse"),
        balanced_sampling=0.5,
    ),
]
ALL = replace(
    SAME_EVERYWHERE[-1],
    dropout=0.3,
    augmentation=Augmentation(names.AUGMENTATIONS, 0.5),
    normalization="batch",
)
DRAWN = [
    replace(PLAIN, dropout=0.3),
    *(replace(PLAIN, augmentation=Augmentation((name,), 0.5)) for name in names.AUGMENTATIONS),
    ALL,
    replace(ALL, optimizer=NAdam(0.003)),
]
CAPTURED = "captured"


def images(count: int, seed: int) -> LabelledImages:
    """Noise (3, 12, 12) with a bright quarter that tells the class."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    pixels = torch.randint(0, 100, (count, 3, 12, 12), dtype=torch.uint8, generator=random)
    for image, label in zip(pixels, labels.tolist(), strict=True):
        row, column = divmod(label, 2)
        image[:, row * 6 : row * 6 + 6, column * 6 : column * 6 + 6] += 120
    return LabelledImages(pixels, labels)


def data(device: torch.device = CPU, count: int = 70) -> ResidentData:
    train_split, validation = images(count, 0), images(32, 1)
    pixels = train_split.images / 255
    return ResidentData(
        LabelledImages(train_split.images.to(device), train_split.labels.to(device)),
        LabelledImages(validation.images.to(device), validation.labels.to(device)),
        tuple("abcd"),
        pixels.mean((0, 2, 3)).to(device),
        pixels.std((0, 2, 3), correction=0).to(device),
    )


def a_run(
    options: Hyperparameters, epochs: int = 3, device: torch.device = CPU, count: int = 70
) -> Run:
    """Of batches that are full but for the last."""
    return Run(options, data(device, count), epochs, seed=0, model=ModelConfig((4, 12), 8))


def scores(measurements: Sequence[Measurement]) -> list[Measurement]:
    return [
        replace(measurement, seconds=0.0, images_per_second=0.0) for measurement in measurements
    ]


def state(trained: Training) -> list[bytes | float | str]:
    """Everything of a checkpoint, bit for bit."""
    saved = torch.load(io.BytesIO(trained.checkpoint()), weights_only=True)
    return [
        value.flatten().contiguous().numpy().tobytes() if isinstance(value, Tensor) else value
        for value in leaves(saved)
    ]


def test_the_options_that_are_tried_are_all_there_are() -> None:
    assert {options.optimizer.name for options in SAME_EVERYWHERE} == set(names.OPTIMIZERS)
    assert {options.scheduler.name for options in SAME_EVERYWHERE} == set(names.SCHEDULERS)


@pytest.mark.usefixtures("_capturable")
@pytest.mark.parametrize("decay_scope", names.DECAY_SCOPES)
@pytest.mark.parametrize("options", [*SAME_EVERYWHERE, *DRAWN], ids=repr)
def test_replayed_steps_are_eager_ones_bit_for_bit(
    options: Hyperparameters, decay_scope: str
) -> None:
    """Curves, weights, optimizer, statistics and generators; nothing is left of warm-up and
    recording.
    """
    run = replace(a_run(options), decay_scope=decay_scope)
    capture = Recorder()
    replayed, eager = train(run, capture=capture), train(run, capture=Refusal())
    assert scores(list(replayed)) == scores(list(eager))
    assert state(replayed) == state(eager)
    assert (replayed.path, eager.path) == (CAPTURED, REFUSED)
    assert (capture.warm_ups, capture.replays) == (WARM_UP_STEPS, 3 * 4 - WARM_UP_STEPS)


@pytest.mark.usefixtures("_capturable")
def test_nothing_is_captured_where_that_is_off() -> None:
    run = a_run(ALL)
    off = train(run, capture=Recorder(), captures=False)
    assert scores(list(off)) == scores(list(train(run)))
    assert off.path == "eager: capture is off"


def test_the_whole_step_is_recorded() -> None:
    capture = Recorder()
    next(train(a_run(ALL), capture=capture))
    recorded = " ".join(capture.operators)
    parts = (
        "index.Tensor",
        "grid_sampler_2d",
        "bernoulli_",
        "native_batch_norm",
        "convolution_backward",
        "_fused_adamw_",
        "index_copy_",
    )
    assert [part for part in parts if part not in recorded] == []
    # Augmentation is drawn before the epoch.
    assert "rand." not in recorded


class Counting(TorchDispatchMode):
    """How many operators are asked of the device, replays aside."""

    def __init__(self, capture: Recorder) -> None:
        super().__init__()
        self._capture = capture
        self.outside = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        self.outside += not self._capture.is_replaying
        return func(*args, **kwargs or {})


@pytest.mark.usefixtures("_capturable")
@pytest.mark.parametrize("options", [PLAIN, ALL, replace(ALL, optimizer=NAdam(0.003))], ids=repr)
def test_an_epoch_is_replays_of_one_record_and_nothing_more_a_step(
    options: Hyperparameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the number of steps, as many operators beside the replays: a GPU is asked for one
    thing a step.
    """

    def at_once(lengths: Sequence[int], *others: Any) -> Transforms:
        # A GPU draws for all batches at once, too.
        return draw(sum(lengths), *others)

    monkeypatch.setattr(one_epoch, "draw_in_batches", at_once)
    found = []
    for count in (64, 320):
        capture = Recorder()
        running = train(a_run(options, count=count), capture=capture)
        next(running)
        before = capture.replays
        with Counting(capture) as counting:
            one_epoch._pass(running._run, running._state, running._pass, lambda: None)
        assert capture.replays - before == count // 16
        found.append(counting.outside)
    assert found[0] == found[1] > 0


def operators(optimizer: Optimizer, channels: tuple[int, ...]) -> int:
    """How many of one step do something on the device: all but views."""
    capture = Recorder()
    next(
        train(
            replace(a_run(replace(PLAIN, optimizer=optimizer)), model=ModelConfig(channels, 8)),
            capture=capture,
        )
    )
    views = (
        "as_strided",
        "detach",
        "expand",
        "slice",
        "t",
        "unsqueeze",
        "view",
        "_unsafe_view",
        "unbind",
        "select",
    )
    return sum(name.split(".")[1] not in views for name in capture.operators)


@pytest.mark.usefixtures("_capturable")
@pytest.mark.parametrize("optimizer", [NAdam(0.01, 1e-3), RAdam(0.01, 1e-3)])
def test_long_formulas_cost_the_same_few_operators_whatever_the_network(
    optimizer: Optimizer,
) -> None:
    beside = [
        operators(optimizer, channels) - operators(SGD(0.1), channels)
        for channels in ((4, 12), (4, 6, 6, 12))
    ]
    assert beside[0] == beside[1] < 40


@pytest.mark.usefixtures("_capturable")
@pytest.mark.parametrize("options", SAME_EVERYWHERE, ids=repr)
def test_optimizers_that_can_be_captured_take_the_steps_of_the_ordinary_ones(
    options: Hyperparameters,
) -> None:
    """Their learning rate is of float32, and they count on the device."""
    run = replace(a_run(options), data=data(count=64))
    replayed, ordinary = (list(train(run, capture=capture)) for capture in (Recorder(), None))
    assert_close(replayed, ordinary)


def assert_close(
    found: Sequence[Measurement], expected: Sequence[Measurement], tolerance: float = 1e-3
) -> None:
    """The same curves but for rounding, which may turn a single image."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert [one.train_loss, one.validation_loss] == pytest.approx(
            [other.train_loss, other.validation_loss], rel=tolerance, abs=tolerance
        )
        assert one.train_accuracy == pytest.approx(other.train_accuracy, abs=1.5 / 64)
        assert one.validation_accuracy == pytest.approx(other.validation_accuracy, abs=1.5 / 32)
        assert one.learning_rate == other.learning_rate


def test_a_learning_rate_of_python_in_a_recorded_step_would_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float | Tensor) -> None:
        for group in optimizer.param_groups:
            group["lr"] = float(rate.detach().numpy()) if isinstance(rate, Tensor) else rate

    run = a_run(replace(PLAIN, scheduler=Cosine()))
    monkeypatch.setattr(one_epoch, "set_learning_rate", set_learning_rate)
    replayed, eager = (
        scores(list(train(run, capture=capture))) for capture in (Recorder(), Refusal())
    )
    # The step that is recorded is the first to be replayed.
    assert replayed[0] == eager[0]
    assert replayed[1] != eager[1]


def test_indices_of_python_in_a_recorded_step_would_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recordable = training.take_step

    def step(
        run: Run,
        state: TrainingState,
        chosen: Tensor,
        transforms: Transforms,
        rate: float | Tensor,
    ) -> Tensor:
        return recordable(run, state, torch.tensor([*chosen.detach().numpy()]), transforms, rate)

    run = a_run(PLAIN)
    monkeypatch.setattr(training, "take_step", step)
    replayed, eager = (
        scores(list(train(run, capture=capture))) for capture in (Recorder(), Refusal())
    )
    # The step that is recorded is the first to be replayed.
    assert replayed[0] == eager[0]
    assert replayed[1] != eager[1]


def test_a_batch_that_is_all_of_the_data_is_captured_too() -> None:
    run = a_run(replace(PLAIN, batch_size=100), epochs=6)
    replayed, eager = train(run, capture=Recorder()), train(run, capture=Refusal())
    assert scores(list(replayed)) == scores(list(eager))
    assert replayed.path == CAPTURED


@pytest.mark.usefixtures("_capturable")
def test_batches_in_pieces_are_captured_whole() -> None:
    run = replace(a_run(replace(ALL, normalization="group")), piece=5)
    replayed, eager = (
        scores(list(train(run, capture=capture))) for capture in (Recorder(), Refusal())
    )
    assert replayed == eager
    assert_close(replayed, list(train(replace(run, piece=None), capture=Recorder())))


@pytest.mark.usefixtures("_capturable")
@pytest.mark.parametrize(
    "optimizer", [SGD(0.1, 0.9), Adagrad(0.1), RMSprop(0.01), Adam(0.01), NAdam(0.01), RAdam(0.01)]
)
def test_a_resumed_training_captures_again_and_is_the_uninterrupted_one(
    optimizer: Optimizer,
) -> None:
    run = a_run(replace(ALL, optimizer=optimizer), epochs=4)
    running = train(run, capture=Recorder())
    measurements, checkpoints = [], [running.checkpoint()]
    for measurement in running:
        measurements.append(measurement)
        checkpoints.append(running.checkpoint())
    for epoch in range(4):
        resumed = train(run, resume=checkpoints[epoch], capture=Recorder())
        assert scores(list(resumed)) == scores(measurements)[epoch:]
        assert state(resumed) == state(running)
        assert resumed.path == CAPTURED


@pytest.mark.usefixtures("_capturable")
@pytest.mark.parametrize(
    "optimizer", [SGD(0.1, 0.9), Adagrad(0.1), RMSprop(0.01), Adam(0.01), NAdam(0.01), RAdam(0.01)]
)
def test_an_epoch_of_replays_that_is_broken_off_leaves_the_state_before_it(
    optimizer: Optimizer,
) -> None:
    """Replays write to the memory that the epochs before it wrote to."""
    broken: list[bool] = []

    def pulse() -> None:
        if broken:
            raise KeyboardInterrupt

    run = a_run(replace(ALL, optimizer=optimizer), epochs=4)
    running = train(run, capture=Recorder(), pulse=pulse)
    measurements = [next(running), next(running)]
    before = state(running)
    broken.append(True)
    with pytest.raises(KeyboardInterrupt):
        next(running)
    assert (running.path, running.epoch) == (CAPTURED, 2)
    assert state(running) == before
    resumed = train(run, resume=running.checkpoint(), capture=Recorder())
    assert scores([*measurements, *resumed]) == scores(list(train(run, capture=Recorder())))


@pytest.mark.usefixtures("_capturable")
@pytest.mark.parametrize("options", SAME_EVERYWHERE[: len(OPTIMIZERS)], ids=repr)
@pytest.mark.parametrize("captures_first", [True, False])
def test_a_checkpoint_goes_from_captured_steps_to_ordinary_ones_and_back(
    options: Hyperparameters, captures_first: bool
) -> None:
    run = a_run(replace(options, scheduler=Cosine()))
    ways = [Recorder(), None] if captures_first else [None, Recorder()]
    first = train(run, capture=ways[0])
    before = next(first)
    resumed = train(run, resume=first.checkpoint(), capture=ways[1])
    assert_close([before, *resumed], list(train(run)))
    assert resumed.path == ("eager: cpu" if captures_first else CAPTURED)


def test_two_captured_trainings_in_turns_are_as_each_alone() -> None:
    runs = [a_run(replace(ALL, optimizer=Adam(0.003))), a_run(replace(ALL, optimizer=SGD(0.1)))]
    alone = [scores(list(train(run, capture=Recorder()))) for run in runs]
    in_turns = list(zip(*(train(run, capture=Recorder()) for run in runs), strict=True))
    assert [scores(list(run)) for run in zip(*in_turns, strict=True)] == alone


def test_a_record_is_freed_with_its_training_at_once() -> None:
    capture = Recorder()
    running = train(a_run(PLAIN), capture=capture)
    list(running)
    (recording,) = capture.recordings
    gc.disable()
    try:
        assert recording() is not None
        del running
        assert recording() is None
    finally:
        gc.enable()


def test_a_training_on_a_cpu_is_eager_and_its_rate_a_number() -> None:
    running = train(a_run(PLAIN))
    list(running)
    assert running.path == "eager: cpu"
    saved = torch.load(io.BytesIO(running.checkpoint()), weights_only=True)
    assert [type(group["lr"]) for group in saved["optimizer"]["param_groups"]] == [float, float]


@pytest.mark.parametrize("capture", [None, Recorder()])
def test_with_captures_off_a_training_is_the_ordinary_one(capture: Recorder | None) -> None:
    run = a_run(PLAIN)
    off, ordinary = train(run, capture=capture, captures=False), train(run)
    assert scores(list(off)) == scores(list(ordinary))
    assert state(off) == state(ordinary)
    assert (off.path, ordinary.path) == ("eager: capture is off", "eager: cpu")


def test_a_loss_that_is_not_finite_ends_a_captured_run() -> None:
    with pytest.raises(Diverged):
        list(train(a_run(replace(PLAIN, optimizer=SGD(1e30)), epochs=2), capture=Recorder()))


# --- on a GPU

on_gpu = pytest.mark.gpu


@pytest.fixture
def cuda() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device())


def set_sync_debug_mode(mode: str) -> None:
    """What PyTorch does where the host waits for the GPU. It warns once a process that it does not
    see all of it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Synchronization debug mode is a prototype feature"
        )
        torch.cuda.set_sync_debug_mode(mode)


def test_pytorchs_only_warning_of_waiting_for_the_gpu_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a GPU, by what PyTorch calls with one: the first call in a process warns."""
    missing("PyTorch built with CUDA", hasattr(torch._C, "_cuda_set_sync_debug_mode"))
    monkeypatch.setattr(
        torch.cuda, "set_sync_debug_mode", lambda mode: torch._C._cuda_set_sync_debug_mode(0)
    )
    set_sync_debug_mode("default")


class EagerCUDA(CUDAGraphs):
    """The same streams and optimizers without a record."""

    def record(self, work: Work, generators: Sequence[torch.Generator]) -> Work:
        raise torch.OutOfMemoryError("CUDA out of memory.")


@on_gpu
@pytest.mark.parametrize("options", SAME_EVERYWHERE, ids=repr)
def test_cpu_eager_gpu_and_captured_gpu_give_the_same_curves(
    options: Hyperparameters, cuda: torch.device
) -> None:
    expected = list(train(a_run(options)))
    run = a_run(options, device=cuda)
    eager, captured = train(run, capture=EagerCUDA(cuda)), train(run)
    on_eager, on_captured = list(eager), list(captured)
    assert (eager.path, captured.path) == (REFUSED, CAPTURED)
    assert_close(on_eager, expected, 1e-2)
    assert_close(on_captured, expected, 1e-2)
    # AMSGrad keeps the largest second moment there ever was, and with it any rounding: gradients
    # that were disturbed by 1e-6 on a CPU took its curves 4.8e-3 apart, and those of no other
    # optimizer 1e-3.
    keeps_rounding = isinstance(options.optimizer, Adam | AdamW) and options.optimizer.amsgrad
    assert_close(on_captured, on_eager, 1e-2 if keeps_rounding else 1e-3)


@on_gpu
@pytest.mark.parametrize("options", DRAWN, ids=repr)
def test_captured_draws_are_the_eager_ones(options: Hyperparameters, cuda: torch.device) -> None:
    """The same masks and transforms: other ones would make other curves altogether."""
    run = a_run(options, device=cuda)
    eager, captured = train(run, capture=EagerCUDA(cuda)), train(run)
    assert_close(list(captured), list(eager), 1e-2)
    assert captured.path == CAPTURED
    for name in ("random", "augmentation"):
        saved = [
            torch.load(io.BytesIO(each.checkpoint()), weights_only=True)[name]
            for each in (eager, captured)
        ]
        assert [each.tolist() for each in tensors(saved[0])] == [
            each.tolist() for each in tensors(saved[1])
        ]


@on_gpu
def test_a_resumed_capture_goes_on(cuda: torch.device) -> None:
    run = a_run(ALL, epochs=4, device=cuda)
    first = train(run)
    measurements = [next(first), next(first)]
    resumed = train(run, resume=first.checkpoint())
    assert_close([*measurements, *resumed], list(train(run)), 1e-2)
    assert resumed.path == CAPTURED


@on_gpu
@pytest.mark.parametrize("options", [*SAME_EVERYWHERE, *DRAWN], ids=repr)
@pytest.mark.parametrize("captured", [True, False], ids=["captured", "eager"])
def test_the_host_waits_for_no_step(
    options: Hyperparameters, captured: bool, cuda: torch.device
) -> None:
    """From the first step of the second epoch to its last: before it steps are captured, after it
    waiting is right.
    """
    beats = 0

    def pulse() -> None:
        nonlocal beats
        beats += 1
        # Five steps and an evaluation an epoch.
        set_sync_debug_mode("error" if 7 <= beats < 11 else "default")

    try:
        running = train(
            a_run(options, device=cuda), pulse=pulse, capture=None if captured else EagerCUDA(cuda)
        )
        next(running)
        next(running)
    finally:
        set_sync_debug_mode("default")
    assert beats == 12
    assert running.path == (CAPTURED if captured else REFUSED)


def break_a_capture_off_on_the_gpu() -> None:
    """The host reads in the middle of a step: that is not permitted in a capture, and right outside
    of one.
    """
    device = torch.device("cuda", torch.cuda.current_device())
    run = a_run(ALL, device=device)
    expected = list(train(run, capture=EagerCUDA(device)))
    recordable = one_epoch.l1_penalty

    def reads(parameters: Sequence[Tensor], strength: float) -> Tensor:
        penalty = recordable(parameters, strength)
        assert math.isfinite(penalty.item())
        return penalty

    one_epoch.l1_penalty = reads
    # The text has its own word for it, and CUDA's.
    with pytest.raises(CaptureFailed, match=r"captur.*captur"):
        list(train(run))
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    again = train(run)
    assert_close(list(again), expected, 1e-2)
    assert again.path == "eager: capture is off"


@on_gpu
def test_a_capture_that_breaks_off_is_the_last_and_leaves_no_trace() -> None:
    """In a process of its own, which captures no more after it."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_captured as t;"
        " t.break_a_capture_off_on_the_gpu()"
    )
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], check=True)


@on_gpu
def test_a_captured_training_gives_its_memory_back(cuda: torch.device) -> None:
    def used_bytes() -> int:
        running = train(a_run(ALL, device=cuda))
        list(running)
        assert running.path == CAPTURED
        del running
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved(cuda)

    first = used_bytes()
    assert [used_bytes() for _ in range(3)] == [first] * 3


@on_gpu
def test_capturing_warns_of_nothing(cuda: torch.device, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        running = train(a_run(ALL, device=cuda))
        list(running)
    assert running.path == CAPTURED
    # Some of PyTorch's warnings are not Python's.
    assert capfd.readouterr().err == ""


@on_gpu
def test_float32_convolutions_are_not_rounded_to_tf32(cuda: torch.device) -> None:
    model = nn.Conv2d(64, 64, 3).to(cuda)
    pixels = torch.rand(8, 64, 16, 16, device=cuda)
    exact = model.double()(pixels.double()).float()
    model.float()
    with full_float32(), torch.no_grad():
        torch.testing.assert_close(model(pixels), exact, rtol=1e-5, atol=1e-5)


@on_gpu
def test_tf32_rounds_convolutions_and_products_in_training_captured_or_not(
    cuda: torch.device,
) -> None:
    """It is near float32, and another curve; a captured step was recorded in it."""
    run = a_run(replace(PLAIN, optimizer=SGD(0.01, 0.9)), device=cuda)
    rounded = replace(run, precision="tf32")
    eager, captured = list(train(rounded, capture=EagerCUDA(cuda))), list(train(rounded))
    assert_close(captured, eager)
    assert_close(captured, list(train(run)), 2e-2)
    left = nn.Linear(256, 256).to(cuda)
    inputs = torch.rand(64, 256, device=cuda)
    with torch.no_grad():
        with full_float32():
            exact = left(inputs)
        with float32_products("tf32"):
            assert not torch.equal(left(inputs), exact)
