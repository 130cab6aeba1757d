"""Devices, threads and where randomness comes from."""

import os
import subprocess
import sys
from contextlib import suppress

import pytest
import torch
from torch import nn

from objectives.device import (
    check_answers,
    check_precision,
    derived_seed,
    float32_products,
    full_float32,
    generator,
    global_random,
    make_current,
    pick_device,
    sent,
    set_threads,
    settings_put_back,
)
from objectives.errors import DeviceError, ProcessSpent
from objectives.names import PRECISIONS

CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without any accelerator."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return monkeypatch


def with_gpus(machine: pytest.MonkeyPatch, count: int) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: True)
    machine.setattr(torch.cuda, "device_count", lambda: count)


def test_auto_is_the_best_that_is_there(machine: pytest.MonkeyPatch) -> None:
    assert pick_device("auto") == torch.device("cpu")
    machine.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("mps")
    with_gpus(machine, 1)
    assert pick_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1", "mps"])
def test_a_device_that_is_there_is_picked_by_name(machine: pytest.MonkeyPatch, name: str) -> None:
    with_gpus(machine, 2)
    machine.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device(name, 4) == torch.device("cuda:0" if name == "cuda" else name)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_processes_take_the_gpus_of_a_machine_in_turn(
    machine: pytest.MonkeyPatch, name: str
) -> None:
    with_gpus(machine, 3)
    assert [str(pick_device(name, process)) for process in range(5)] == [
        f"cuda:{index}" for index in (0, 1, 2, 0, 1)
    ]
    with_gpus(machine, 1)
    assert [str(pick_device(name, process)) for process in range(2)] == ["cuda", "cuda"]


def test_a_gpu_that_is_named_becomes_the_current_one(machine: pytest.MonkeyPatch) -> None:
    made: list[torch.device] = []
    machine.setattr(torch.cuda, "set_device", made.append)
    for name in ("cpu", "mps", "cuda", "cuda:1"):
        make_current(torch.device(name))
    assert made == [torch.device("cuda:1")]


@pytest.mark.parametrize(
    "name", ["gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "mps:1", "", "meta"]
)
def test_an_unknown_device_is_one_line_with_the_choices(
    machine: pytest.MonkeyPatch, name: str
) -> None:
    with_gpus(machine, 2)
    with pytest.raises(DeviceError) as raised:
        pick_device(name)
    assert (
        str(raised.value)
        == f'device "{name}" is unknown: choose auto, cpu, cuda, cuda:1 (any number) or mps'
    )


@pytest.mark.parametrize(("name", "count"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_an_absent_gpu_is_one_line_with_the_mend(
    machine: pytest.MonkeyPatch, name: str, count: int
) -> None:
    with_gpus(machine, count)
    with pytest.raises(DeviceError) as raised:
        pick_device(name)
    assert (
        str(raised.value)
        == f'device "{name}": PyTorch finds {count} CUDA devices here; choose cpu or auto'
    )


def test_an_absent_apple_gpu_is_one_line_with_the_mend(machine: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError) as raised:
        pick_device("mps")
    assert str(raised.value) == 'device "mps": PyTorch finds no Apple GPU here; choose cpu or auto'


def test_threads_are_set_and_none_means_every_core_this_process_may_use() -> None:
    before = torch.get_num_threads()
    try:
        assert (set_threads(3), torch.get_num_threads()) == (3, 3)
        assert set_threads(None) == torch.get_num_threads() == len(os.sched_getaffinity(0))
    finally:
        torch.set_num_threads(before)


def test_no_threads_is_one_line_with_the_mend() -> None:
    with pytest.raises(DeviceError) as raised:
        set_threads(0)
    assert str(raised.value) == "threads 0: give 1 or more"


def test_threads_and_the_current_gpu_are_put_back(machine: pytest.MonkeyPatch) -> None:
    """Also where something fails inside, and where no GPU was in use before."""
    current = [1]
    is_used = [True]
    with_gpus(machine, 3)
    machine.setattr(torch.cuda, "is_initialized", lambda: is_used[0])
    machine.setattr(torch.cuda, "current_device", lambda: current[-1])
    machine.setattr(
        torch.cuda, "set_device", lambda device: current.append(getattr(device, "index", device))
    )
    before = torch.get_num_threads()
    with settings_put_back():
        make_current(torch.device("cuda:2"))
        set_threads(before + 1)
    assert (current, torch.get_num_threads()) == ([1, 2, 1], before)
    is_used[0] = False
    with suppress(ValueError), settings_put_back():
        is_used[0] = True
        make_current(torch.device("cuda:2"))
        float("inside")
    assert (current, torch.get_num_threads()) == ([1, 2, 1, 2, 0], before)


def test_freed_memory_is_kept_for_the_next_batch() -> None:
    """In a process of its own: this one goes on without."""
    code = """
import psutil, torch
from objectives.device import keep_freed_memory
def kept_bytes():
    before = psutil.Process().memory_info().rss
    torch.ones(2**26)
    return psutil.Process().memory_info().rss - before
print(kept_bytes() > 2**27, keep_freed_memory(), kept_bytes() > 2**27)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False True True\n"


def test_float32_products_keep_their_precision() -> None:
    assert torch.get_float32_matmul_precision() == "highest"


def precisions() -> list[str]:
    return [
        setting.fp32_precision
        for setting in (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    ]


@pytest.mark.parametrize("asked", ["highest", "high"])
def test_float32_is_not_rounded_whatever_the_caller_has_set_and_the_caller_has_it_back(
    asked: str,
) -> None:
    """Also where something fails inside."""
    torch.set_float32_matmul_precision(asked)
    try:
        before = precisions()
        with full_float32():
            assert precisions() == ["ieee", "ieee"]
        assert precisions() == before
        with pytest.raises(ValueError, match="could not convert"), full_float32():
            float("inside")
        assert precisions() == before != ["ieee", "ieee"]
        assert torch.get_float32_matmul_precision() == asked
    finally:
        torch.set_float32_matmul_precision("highest")


def test_older_names_of_the_precisions_cannot_be_read_inside_and_can_after() -> None:
    """PyTorch raises, so that nobody reads a half of the truth; float32_products says so."""

    def older() -> list[object]:
        names = (torch.backends.cudnn, torch.backends.cuda.matmul)
        return [*(each.allow_tf32 for each in names), torch.get_float32_matmul_precision()]

    before = older()
    with float32_products("tf32"):
        assert precisions() == ["tf32", "tf32"]
        with full_float32():
            assert precisions() == ["ieee", "ieee"]
            with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
                older()
        assert precisions() == ["tf32", "tf32"]
        with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
            torch.get_float32_matmul_precision()
    assert older() == before == [True, False, "highest"]


def test_what_is_sent_to_a_cpu_is_there_already() -> None:
    values = torch.arange(3)
    assert sent(values, CPU) is values


def test_seeds_of_purposes_are_fixed_and_apart() -> None:
    """Fixed for ever: a recorded trial is repeated by them."""
    assert derived_seed(0, "shuffle") == 1254658822573317293
    found = {
        derived_seed(seed, purpose)
        for seed in range(100)
        for purpose in ("shuffle", "augmentation", "torch")
    }
    assert len(found) == 300
    assert all(0 <= seed < 2**63 for seed in found)


def test_a_generator_repeats_by_seed_and_purpose() -> None:
    first, again, other = (
        torch.rand(3, generator=generator(1, name, CPU)) for name in ("a", "a", "b")
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_private_stretch_goes_on_where_it_stopped_and_leaves_no_trace() -> None:
    expected = torch.rand(6, generator=torch.Generator().manual_seed(5))
    before = torch.get_rng_state()
    private = torch.Generator().manual_seed(5)
    with global_random(private):
        first = torch.rand(2)
    torch.rand(3)
    callers = torch.get_rng_state()
    with global_random(private):
        second = torch.rand(4)
    assert torch.equal(torch.cat([first, second]), expected)
    assert torch.equal(torch.get_rng_state(), callers)
    torch.set_rng_state(before)


def test_an_error_inside_gives_the_generator_back() -> None:
    before = torch.get_rng_state()
    private = torch.Generator().manual_seed(5)
    with pytest.raises(ValueError, match="probability"), global_random(private):
        nn.functional.dropout(torch.rand(2), p=2.0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(private.get_state(), torch.Generator().manual_seed(5).get_state())


@pytest.mark.parametrize("name", ["tf32", "bf16"])
@pytest.mark.parametrize("device", ["cpu", "mps", "cuda", "cuda:1"])
def test_a_precision_that_the_device_does_not_have_is_refused_in_one_line(
    machine: pytest.MonkeyPatch, device: str, name: str
) -> None:
    """As on a GPU from before Ampere."""
    machine.setattr(torch.cuda, "is_tf32_supported", lambda: False)
    machine.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation
    )
    check_precision("float32", torch.device(device))
    with pytest.raises(DeviceError) as refused:
        check_precision(name, torch.device(device))
    assert (
        str(refused.value)
        == f'precision "{name}": {device} does not have it; take a GPU that has, or float32'
    )


def test_every_precision_is_taken_on_a_gpu_that_has_it(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(torch.cuda, "is_tf32_supported", lambda: True)
    machine.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    for name in PRECISIONS:
        check_precision(name, torch.device("cuda"))


ASSERTED = """CUDA error: device-side assert triggered
Search for `cudaErrorAssert' in https://docs.nvidia.com/cuda for more information.
"""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError(ASSERTED), "CUDA error: device-side assert triggered"),
        (
            torch.AcceleratorError("CUDA error: an illegal memory access"),
            "CUDA error: an illegal memory access",
        ),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_gpu_that_fails_whatever_is_asked_of_it_is_lost_to_the_process(
    error: RuntimeError, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.device] = []

    def synchronize(device: torch.device) -> None:
        asked.append(device)
        raise error

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    with pytest.raises(ProcessSpent) as spent:
        check_answers(torch.device("cuda", 1))
    assert (str(spent.value), spent.value.captures) == (
        f"cuda:1 computes no more in this process ({said})",
        True,
    )
    assert asked == [torch.device("cuda", 1)]
    check_answers(CPU)


def test_a_gpu_that_answers_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    check_answers(torch.device("cuda"))
