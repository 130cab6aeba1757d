"""Trains one CNN under one set of hyperparameters and yields what each epoch gave."""

import time
from collections.abc import Callable
from functools import partial

from torch import nn

from objectives.captured import Capture, capture_of
from objectives.convolutions import Convolutions, memory_format_of
from objectives.cost_measurement import measure_costs
from objectives.costs import Costs
from objectives.device import full_float32
from objectives.errors import CheckpointError
from objectives.evaluation import normalizer
from objectives.examination import examine
from objectives.examined import Examination
from objectives.measurement import Measurement
from objectives.model_file import TrainedModel
from objectives.one_epoch import take_step, train_epoch
from objectives.passes import CapturedPass, EagerPass, Pass
from objectives.predicted import Predicted
from objectives.prediction import predict
from objectives.protocol import Pulse, unwatched
from objectives.run import Run, network_of
from objectives.training_state import TrainingState, copied_content, to_bytes

AS_THEY_COME = Convolutions()


class Training:
    """One run under way: a ResumableTraining, made by train()."""

    def __init__(
        self,
        run: Run,
        state: TrainingState,
        train_pass: Pass,
        convolutions: Convolutions,
        pulse: Pulse,
        clock: Callable[[], float],
    ) -> None:
        self._run = run
        self._state = state
        self._pass = train_pass
        self._convolutions = convolutions
        self._pulse = pulse
        self._clock = clock
        # The number of begun epochs is one more than that of finished ones in the middle of one, or
        # after it has raised.
        self._begun = state.epoch
        # The state before the epoch that was begun last, which trains in place, is kept under its
        # number.
        self._kept: dict[int, dict[str, object]] = {}

    @property
    def epoch(self) -> int:
        """How many epochs are finished, those before a resume included."""
        return self._state.epoch

    @property
    def path(self) -> str:
        """How optimizer steps are done, as far as is known: "captured" in a CUDA graph, or "eager:
        " and why.
        """
        return self._pass.path

    @property
    def model(self) -> nn.Module:
        """The network as it is now, in training mode, on the run's device."""
        return self._state.model

    def trained(self) -> TrainedModel:
        """The network with all that it takes to use it."""
        data = self._run.data
        return TrainedModel(
            self._state.model,
            network_of(self._run),
            data.class_names,
            self._run.hyperparameters.input_normalization,
            tuple(data.mean.tolist()),
            tuple(data.deviation.tolist()),
        )

    def examine(self) -> Examination:
        """What the network, as it is now, gets wrong on the validation split."""
        data, options = self._run.data, self._run.hyperparameters
        normalize = normalizer(options.input_normalization, data.mean, data.deviation)
        with full_float32():
            return examine(self._state.model, data.validation, normalize, self._run.images_at_once)

    def predictions(self) -> Predicted:
        """What the network, as it is now, answers on the validation split."""
        data, options = self._run.data, self._run.hyperparameters
        normalize = normalizer(options.input_normalization, data.mean, data.deviation)
        with full_float32():
            return predict(
                self._state.model,
                data.validation,
                data.validation_sha256,
                normalize,
                self._run.images_at_once,
            )

    def costs(self) -> Costs:
        """What the network costs to use on images of the run's shape and device."""
        image = self._run.data.validation.images[:1].float() / 255
        with full_float32():
            return measure_costs(
                self._state.model,
                image.contiguous(memory_format=self._state.memory_format),
                self._clock,
            )

    def __iter__(self) -> "Training":
        return self

    def __next__(self) -> Measurement:
        if self._begun > self.epoch or self.epoch >= self._run.epochs:
            raise StopIteration
        # A signal may come at any moment: what checkpoint() gives is whole at each.
        self._kept = {self.epoch: copied_content(self._state.content(self._run))}
        # If the epoch raises, it stays begun for good.
        self._begun += 1
        with full_float32(), self._convolutions.active():
            measurement = train_epoch(self._run, self._state, self._pass, self._pulse, self._clock)
        self._state.validation_losses.append(measurement.validation_loss)
        return measurement

    def checkpoint(self, epoch: int | None = None) -> bytes:
        """What train(run, resume=...) goes on from after that epoch: about three times the weights'
        bytes with Adam.

        By default the last finished one. The state before the epoch that was begun last is kept, on
        the device; raises CheckpointError for any other.
        """
        wanted = self.epoch if epoch is None else epoch
        if wanted == self.epoch == self._begun:
            return to_bytes(self._state.content(self._run))
        if wanted not in self._kept:
            raise CheckpointError.not_kept(wanted)
        return to_bytes(self._kept[wanted])


def train(
    run: Run,
    *,
    resume: bytes | None = None,
    pulse: Pulse = unwatched,
    clock: Callable[[], float] = time.perf_counter,
    capture: Capture | None = None,
    captures: bool = True,
    convolutions: Convolutions = AS_THEY_COME,
) -> Training:
    """Trains for `run.epochs` epochs and yields a Measurement after each; raises Diverged.

    On a CPU with the same number of threads the same run, its piece included, gives the same
    measurements, bit for bit, but for `seconds` and `images_per_second`; with others, within
    rounding. What draws from torch's global generators meanwhile does not matter, and sees no
    trace: the weights alone are drawn from one, before train() returns. Trainings in several
    threads of a process take turns, an epoch each.

    `resume` is what checkpoint() gave: the epochs after it are yielded, the same bit for bit as if
    there had been no break. Another piece than it was written with changes them by rounding; on
    another kind of device dropout and augmentation draw anew. Its bytes are taken on trust where
    torch can read them: compare a hash before (see objectives/checkpoint.py).

    `pulse` is called after each optimizer step and after each evaluation.

    On a CUDA GPU steps are captured in a graph and replayed, where there is memory for it: to the
    same result but for rounding. `capture` is another way to record them; without `captures` none
    is taken. `convolutions` are for who measures what they change.

    Raises CheckpointError, before it trains, for a `resume` that cannot be read or is of another
    run. Its epochs raise CaptureFailed where a step cannot be captured; from then on this process
    captures none.

    >>> training = train(Run(Hyperparameters(Adam(1e-3)), data, epochs=8, seed=0))
    >>> for measurement in training:
    ...     print(measurement.epoch, measurement.validation_accuracy)
    """
    device = run.data.train.images.device
    capture = (capture or capture_of(device)) if captures else None
    replayable = capture is not None
    memory_format = convolutions.memory_format or memory_format_of(device, run.precision)
    state = TrainingState.fresh(run, replayable, memory_format)
    if resume is not None:
        state.load(run, resume)
    take = partial(take_step, run, state)
    if capture is None:
        why = "capture is off" if device.type == "cuda" or not captures else device.type
        return Training(run, state, EagerPass(take, f"eager: {why}"), convolutions, pulse, clock)
    return Training(
        run, state, CapturedPass(take, [state.masks], capture), convolutions, pulse, clock
    )
