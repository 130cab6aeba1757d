"""What can be wrong outside the program: the user's data, data out of reach, a device that is not there."""


class DataError(Exception):
    """The user's data or data configuration is bad. One line: the thing, the value, the mend. Exit code 2."""


class DataUnavailable(Exception):
    """Data, or the place for its decoded copy, is not reachable. One line: the thing, the mend. Exit code 3."""


class DeviceError(Exception):
    """A device that is asked for is not there. One line: the device, the mend. Exit code 2."""


class TestSplitError(Exception):
    """Something that searches asked for a split that it may not see: a fault of the program, not of the user."""

    def __init__(self, split: str) -> None:
        super().__init__(f'split "{split}": a search sees train and validation; open_test_split is for follow-ups')


class ModelFileError(Exception):
    """A file holds no model that this version reads. Exit code 2."""

    @classmethod
    def unreadable(cls, reason: str) -> "ModelFileError":
        return cls(f"this is no model file of hypersearch ({' '.join(reason.split())}): write it again")

    @classmethod
    def newer(cls, version: int) -> "ModelFileError":
        return cls(f"the model file has format {version}, newer than this program: pip install -U hypersearch")
