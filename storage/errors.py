"""What can go wrong between a worker and the database; each text is one line for the user."""

# A fingerprint is shown by so many of its digits.
SHOWN_DIGITS = 12
URL_FORMS = "sqlite:///FILE.db, postgresql://USER@HOST/NAME or mysql://USER@HOST/NAME"
WRITABLE = (
    "let this user read and write the file and its folder, or copy it, with a -wal beside it, to"
    " where that is so"
)


def _masked(url: str) -> str:
    """A URL as it was given, without what may hold a password: all before the last '@', and the
    options.
    """
    before, at, after = url.rpartition("@")
    start = before.partition("//")[0] + "//" if "//" in before else ""
    return (f"{start}***@{after}" if at else url).partition("?")[0]


class StorageURLError(Exception):
    """The storage URL itself is wrong."""

    @classmethod
    def unreadable(cls, url: str) -> "StorageURLError":
        return cls(f"storage URL {_masked(url)!r} cannot be read: write it like {URL_FORMS}")

    @classmethod
    def unprintable(cls, url: str) -> "StorageURLError":
        return cls(
            f"storage URL {_masked(url)!r} holds a control character, or bytes that are no UTF-8,"
            " as such or as %XX: leave them out"
        )

    @classmethod
    def not_understood(cls, url: str, reason: str) -> "StorageURLError":
        return cls(
            f"storage {url} is not understood by its driver ({reason}): see its host, port and"
            " options"
        )

    @classmethod
    def at_sign(cls, url: str) -> "StorageURLError":
        return cls(
            f"storage URL {_masked(url)!r} has more than one '@': write those of a name or password"
            " as %40"
        )

    @classmethod
    def unsupported(cls, backend: str) -> "StorageURLError":
        return cls(f"storage {backend!r} is not supported: use {URL_FORMS}")

    @classmethod
    def other_driver(cls, given: str, ours: str) -> "StorageURLError":
        return cls(
            f"storage {given!r} with its driver or options is not supported: write {ours}://..."
        )

    @classmethod
    def options_of_a_file(cls, url: str) -> "StorageURLError":
        return cls(
            f"storage {url!r} has a '?': a file takes no options, and a '?' in its name is"
            " written %3F"
        )

    @classmethod
    def host_of_a_file(cls, url: str) -> "StorageURLError":
        return cls(
            f"storage {_masked(url)!r} names a host, not a file: write sqlite:///FILE.db, with"
            " three slashes, or four before a path from the root"
        )

    @classmethod
    def no_file(cls, url: str, reason: str) -> "StorageURLError":
        return cls(f"storage {url} is no file ({reason}): name one, as sqlite:///hypersearch.db")

    @classmethod
    def home(cls, url: str) -> "StorageURLError":
        return cls(
            f"storage {url} begins with '~', which is nobody's home in a URL: write the whole path,"
            " as sqlite:////home/me/hypersearch.db, or ./~ for a folder of that name"
        )

    @classmethod
    def no_database(cls, url: str) -> "StorageURLError":
        return cls(f"storage {url} names no database: write {URL_FORMS}")

    @classmethod
    def in_memory(cls) -> "StorageURLError":
        return cls(
            "storage 'sqlite://' lives in memory and ends with the command: name a file,"
            " sqlite:///hypersearch.db"
        )


class StorageUnavailable(Exception):
    """The database is not reachable, or not usable as it is."""

    @classmethod
    def no_folder(cls, folder: str, *, is_there: bool = False) -> "StorageUnavailable":
        if is_there:
            return cls(
                f"{folder}, where the database should lie, is no folder: name another with"
                " --storage"
            )
        return cls(
            f"the folder {folder} of the database does not exist: create it, or name another with"
            " --storage"
        )

    @classmethod
    def closed_folder(cls, folder: str) -> "StorageUnavailable":
        return cls(
            f"{folder}, where the database should lie, cannot be written to by this user: let it, "
            "or name another with --storage"
        )

    @classmethod
    def broken(cls, url: str, reason: str, mend: str) -> "StorageUnavailable":
        return cls(f"storage {url} cannot be used: {reason}; {mend}")

    @classmethod
    def read_only(cls, url: str) -> "StorageUnavailable":
        return cls(f"storage {url} can only be read: {WRITABLE}")

    @classmethod
    def unreachable(cls, url: str, reason: str) -> "StorageUnavailable":
        return cls(
            f"storage {url} cannot be reached: {reason}; see that the server runs, that the URL is"
            " right, and that the database is there and lets this user in"
        )

    @classmethod
    def foreign(cls, path: str) -> "StorageUnavailable":
        return cls(
            f"{path} is not a database of hypersearch or Optuna: name another with --storage"
        )

    @classmethod
    def being_set_up(cls, url: str) -> "StorageUnavailable":
        return cls(
            f"storage {url} is being set up by another process for too long: see what holds it, and"
            " try again"
        )

    @classmethod
    def no_driver(cls, backend: str, extra: str) -> "StorageUnavailable":
        return cls(f"storage {backend!r} needs its driver: pip install 'hypersearch[{extra}]'")

    @classmethod
    def newer(cls, found: str) -> "StorageUnavailable":
        return cls(
            f"the database has schema {found}, newer than this program: pip install -U hypersearch"
        )

    @classmethod
    def older(cls, whose: str, found: str, url: str) -> "StorageUnavailable":
        return cls(
            f"the database has {whose} schema {found}, older than this program: stop its workers,"
            f" back it up, and run 'hypersearch upgrade --storage {url}'"
        )

    @classmethod
    def gone(cls, seconds: float, reason: str, mend: str | None) -> "StorageUnavailable":
        return cls(
            f"the database has not answered for {seconds:.0f} s ({reason}): {mend or 'see to it'}, "
            "then run again to go on"
        )

    @classmethod
    def not_exact(cls, url: str, name: str, table: str) -> "StorageUnavailable":
        return cls(
            f"storage {url} does not hold study {name!r} exactly (its table {table} comes out"
            " another): nothing was copied; make the database anew with UTF-8, as utf8mb4"
        )


class NotThereYet(StorageUnavailable):
    """Nothing has been recorded there so far: whoever works there makes it."""

    @classmethod
    def no_file(cls, path: str) -> "NotThereYet":
        return cls(
            f"no database at {path}: 'hypersearch run' creates one, or name another with --storage"
        )

    @classmethod
    def empty(cls, url: str) -> "NotThereYet":
        return cls(
            f"no study in {url}: 'hypersearch run' or 'create' makes the first, or name another"
            " with --storage"
        )


class StudyNotFound(Exception):
    """No study of that name has a spec in this storage."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        from difflib import get_close_matches

        nearest = get_close_matches(name, known, n=1)
        mend = (
            f"did you mean {nearest[0]!r}?" if nearest else "'hypersearch list' shows what there is"
        )
        super().__init__(f"study {name!r} is not in this storage: {mend}")


class ForeignStudy(Exception):
    """A study of that name was made by plain Optuna and has no spec."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"study {name!r} was made by plain Optuna and has no spec: choose another name with"
            " --study"
        )


class StudyEnded(Exception):
    """A study that has ended can be neither paused nor resumed."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(
            f"study {name!r} has ended and cannot be {what}: 'hypersearch extend {name} --trials N'"
            " gives it more to do"
        )


class StudyDeleted(Exception):
    """The study that a worker works on is gone from the storage."""

    def __init__(self, name: str) -> None:
        super().__init__(f"study {name!r} was deleted: nothing more is done for it")


class StudyExists(Exception):
    """A study would be copied to where another one has its name."""

    def __init__(self, name: str, url: str) -> None:
        super().__init__(
            f"study {name!r} is in storage {url} already, and is not what it is here: nothing was"
            f" copied; delete that one ('hypersearch delete {name} --storage {url}'), or keep it"
        )


class StudyInUse(Exception):
    """A study would be copied that workers are changing."""

    @classmethod
    def held(cls, name: str, study: str, number: int, host: str) -> "StudyInUse":
        return cls(
            f"study {name!r} is being worked on (trial {number} of {study!r}, by a worker on"
            f" {host}): 'hypersearch pause {study}' and wait an epoch, then copy it"
        )

    @classmethod
    def changed(cls, name: str) -> "StudyInUse":
        return cls(
            f"study {name!r} is being worked on: 'hypersearch pause {name}' and wait an epoch, then"
            " copy it"
        )


class OtherData(Exception):
    """A study would go on with other data than its trials were trained on."""

    def __init__(self, name: str, has: str, found: str, fingerprint: str) -> None:
        super().__init__(
            f"study {name!r} is on other data than {found} (fingerprint {has[:SHOWN_DIGITS]}, not"
            f" {fingerprint[:SHOWN_DIGITS]}): restore it, say where it lies with --data-map"
            " STORED=HERE or --data-root DIR, or go on with this by --accept-data"
        )


class LeaseLost(Exception):
    """A write of a trial was refused: this worker does not hold the trial (any more)."""

    def __init__(self, trial_id: int) -> None:
        super().__init__(
            f"trial with id {trial_id} is not held by this worker: its write is refused"
        )


class ArtifactRootError(Exception):
    """The place for artifacts is written wrongly; it is not repeated, as it may hold a password."""

    @classmethod
    def unreadable(cls) -> "ArtifactRootError":
        return cls(
            "the artifact root cannot be read: write a folder, s3://bucket/prefix or"
            " s3://bucket/prefix?endpoint_url=https://host:9000, without credentials, which boto3"
            " finds in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or ~/.aws"
        )

    @classmethod
    def no_boto3(cls) -> "ArtifactRootError":
        return cls("artifacts in a bucket need boto3: pip install 'hypersearch[s3]'")


class ArtifactsUnavailable(Exception):
    """Artifacts cannot be stored or read now."""

    def __init__(self, root: str, reason: str) -> None:
        super().__init__(
            f"artifacts in {root} cannot be stored or read: {' '.join(reason.split())}"
        )

    @classmethod
    def missing(cls, root: str, count: int, of: int) -> "ArtifactsUnavailable":
        return cls(
            root,
            f"{count} of the {of} that the study names are not there; say where they are with"
            " --artifact-root, or leave them out with --skip-missing",
        )


class ArtifactDamaged(Exception):
    """An artifact is not what was written."""

    def __init__(self, root: str, artifact_id: str) -> None:
        super().__init__(
            f"artifact {artifact_id} in {root} is damaged, its SHA-256 is another one: "
            "delete it there and put it there again from a copy"
        )
