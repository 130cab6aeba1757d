"""What a machine is measured by: steady trainings, and a process that answers how fast they are."""

import subprocess
import sys

import pytest
import torch

from objectives.device import settings_put_back
from objectives.throughput import SteadyTraining, steady_run

CPU = torch.device("cpu")


@pytest.mark.parametrize(("batch", "piece"), [(64, 64), (256, 64), (256, 256)])
def test_an_epoch_is_four_whole_batches_divided_into_pieces(batch: int, piece: int) -> None:
    run = steady_run(CPU, batch, piece)
    assert (run.hyperparameters.batch_size, run.piece) == (batch, piece)
    assert (len(run.data.train.labels), len(run.data.validation.labels)) == (4 * batch, batch)


def test_whole_epochs_count_and_the_first_does_not() -> None:
    times = iter([0.0, 0.1, 0.3, 0.5])
    with settings_put_back():
        rate = SteadyTraining(steady_run(CPU, 64, 64)).images_per_second(
            1, 0.4, lambda: next(times)
        )
    assert rate == 2 * 256 / 0.5


@pytest.mark.long
def test_a_process_answers_for_each_batch_and_piece_it_is_asked_for() -> None:
    said = subprocess.run(
        [sys.executable, "-P", "-m", "objectives.throughput", "--device", "cpu"],
        input="1 64 64 0.01\n1 256 128 0.01\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    ).stdout.splitlines()
    assert said[0] == "cpu 1"
    answers = [line.split() for line in said[1:]]
    assert [answer[1:] for answer in answers] == [["0", "0"]] * 2
    assert min(float(answer[0]) for answer in answers) > 0
