"""What can be wrong outside the program: data, a device that is not there, a checkpoint that is
none of this run's.
"""


class DataError(Exception):
    """The user's data or data configuration is bad. One line: the thing, the value, the mend. Exit
    code 2.
    """


class DataUnavailable(Exception):
    """Data, or the place for its decoded copy, is not reachable. One line: the thing, the mend.
    Exit code 3.
    """


class DeviceError(Exception):
    """A device that is asked for is not there. One line: the device, the mend. Exit code 2."""


class ProcessSpent(Exception):
    """This process can train no more, while another one can: its worker has failed, and not the
    trial. One line: why.

    `captures`: whether the next process may capture steps.
    """

    def __init__(self, why: str, *, captures: bool = True) -> None:
        super().__init__(why)
        self.captures = captures

    @classmethod
    def device_lost(cls, device: str, error: Exception) -> "ProcessSpent":
        """Of a device that answers this process with `error` whatever it is asked."""
        said = str(error).strip().partition("\n")[0]
        return cls(f"{device} computes no more in this process ({said or type(error).__name__})")


class CheckpointError(Exception):
    """There is no checkpoint to go on from. One line: what is wrong with it, the mend."""

    @classmethod
    def unreadable(cls) -> "CheckpointError":
        """Of bytes that no training of this program wrote, or not these."""
        return cls(
            "checkpoint: it is damaged or none of this program's; take an earlier one or start the"
            " run anew"
        )

    @classmethod
    def of_another_run(cls) -> "CheckpointError":
        """Of bytes that a training wrote whose results would be others."""
        return cls(
            "checkpoint: it is of another run (hyperparameters, epochs, seed, network or data"
            " differ); resume that run, or start this one anew"
        )

    @classmethod
    def not_kept(cls, epoch: int) -> "CheckpointError":
        """Of a training that has gone on since `epoch`, or has not come so far."""
        return cls(
            f"checkpoint: the state after epoch {epoch} is not kept; take one that was written or"
            " start anew"
        )


class TestSplitError(Exception):
    """Something that searches asked for a split that it may not see: a fault of the program, not of
    the user.
    """

    def __init__(self, split: str) -> None:
        super().__init__(
            f'split "{split}": a search sees train and validation; open_test_split is for'
            " follow-ups"
        )


class ModelFileError(Exception):
    """A file holds no model that this version reads. Exit code 2."""

    @classmethod
    def unreadable(cls, reason: str) -> "ModelFileError":
        return cls(
            f"this is no model file of hypersearch ({' '.join(reason.split())}): write it again"
        )

    @classmethod
    def newer(cls, version: int) -> "ModelFileError":
        return cls(
            f"the model file has format {version}, newer than this program: pip install -U"
            " hypersearch"
        )

    @classmethod
    def with_other_files(cls) -> "ModelFileError":
        return cls(
            "the ONNX file takes numbers from other files, which this program never writes and"
            " does not read: export the model again"
        )


class OnnxMissing(Exception):
    """What writes or runs ONNX files is not installed. Exit code 2."""

    def __init__(self) -> None:
        super().__init__(
            "ONNX needs packages that are not installed: pip install 'hypersearch[onnx]', or leave"
            " it out with --format safetensors, --runtime torch"
        )


class CaptureFailed(ProcessSpent):
    """A step could not be captured, and not for want of memory: the next process is to do without.
    One line: why.
    """

    @classmethod
    def because_of(cls, cause: Exception) -> "CaptureFailed":
        """Of what stood in the way."""
        said = str(cause).strip().partition("\n")[0]
        named = f"{type(cause).__name__}: {said}" if said else type(cause).__name__
        return cls(
            f"steps cannot be captured in this process ({named}): train without captures",
            captures=False,
        )


# PyTorch says it in one of these ways.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that there is no memory, on a device or off it.

    >>> is_out_of_memory(RuntimeError("CUDA error: out of memory"))
    True
    """
    said = str(error).strip().partition("\n")[0].lower()
    return isinstance(error, MemoryError) or any(words in said for words in OUT_OF_MEMORY)
