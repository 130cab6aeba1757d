"""Images that are changed, moved, or looked up from another folder, as a user meets them."""

import json
import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

import hypersearch
from objectives.errors import ProcessSpent
from search.cli.main import main
from search.engines.launch import run_study
from search.engines.processes import Crew, hire
from search.engines.teams import Team
from search.machine.this_machine import Files, Machine
from search.spec.request import Request
from storage.engine import open_for_work
from storage.errors import OtherData
from storage.hosts import this_host
from storage.schema import attempt, study

SPEC = """
[study]
name = "own"
trials = 1
pruner = "none"
sampler = "random"
[data]
dataset = "images:photos"
[training]
epochs = 1
[model]
channels = [2, 2]
hidden_units = 4
[space]
batch_size = 8
"""
RESTORE = (
    "restore it, say where it lies with --data-map STORED=HERE or --data-root DIR, or go on with"
    " this by --accept-data"
)


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    errors: str


@dataclass
class User:
    """Someone with folders, a database for all of them, and spec files in each."""

    root: Path
    capture: pytest.CaptureFixture[str]

    @property
    def url(self) -> str:
        return f"sqlite:///{self.root}/a.db"

    def call(self, *arguments: str, folder: str = "home") -> Said:
        """In this process: PyTorch is imported once for all."""
        at = self.root / folder
        at.mkdir(exist_ok=True)
        (at / "own.toml").write_text(SPEC)
        self.capture.readouterr()
        with (
            chdir(at),
            patch.dict(
                os.environ,
                {"XDG_CACHE_HOME": str(self.root / "cache"), "HYPERSEARCH_STORAGE": self.url},
            ),
            patch.object(sys, "argv", ["hypersearch", *arguments]),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        out, errors = self.capture.readouterr()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, out, errors)

    def work(self, *arguments: str, folder: str = "home") -> Said:
        said = self.call(*arguments, "--threads", "1", folder=folder)
        lines = [
            line
            for line in said.errors.splitlines(keepends=True)
            if not line.startswith("decoded ")
        ]
        return Said(said.code, said.out, "".join(lines))

    def trials(self) -> list[tuple[int, str]]:
        """The numbers of the trials, by rank, with the first digits of what they were trained
        on.
        """
        found = json.loads(self.call("compare", "own", "--json").out)["trials"]
        return sorted(
            (trial["number"], (trial["data_fingerprint"] or "unknown")[:12]) for trial in found
        )


@pytest.fixture
def user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> User:
    make(tmp_path / "home" / "photos", seed=0)
    return User(tmp_path, capsys)


def make(folder: Path, seed: int) -> None:
    """Twenty images of colour noise in each of two classes."""
    random = np.random.RandomState(seed)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for row in range(20):
            pixels = random.randint(0, 256, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{row:02}.png")


def refusal(where: Path | str, has: str, found: str) -> str:
    return (
        f"hypersearch: study 'own' is on other data than images:{where} (fingerprint {has}, not"
        f" {found}): {RESTORE}\n"
    )


def assert_refused(said: Said, where: Path | str, has: str) -> str:
    """In one line, with exit code 2; returns the first digits of what was found."""
    found = said.errors.partition(", not ")[2][:12]
    assert found != has
    assert (said.code, said.out, said.errors) == (2, "", refusal(where, has, found))
    return found


def test_a_changed_image_is_refused_first_and_goes_on_restored_or_accepted(
    user: User,
) -> None:
    assert user.work("run", "own.toml").code == 0
    changed = user.root / "home" / "photos" / "cat" / "00.png"
    original = changed.read_bytes()
    make(user.root / "other", seed=1)
    changed.write_bytes((user.root / "other" / "cat" / "00.png").read_bytes())
    refused = user.work("run", "own.toml", "--trials", "2")
    assert json.loads(user.call("list", "--json").out) == [
        {"study": "own", "state": "ended", "finished": 1, "trials": 1}
    ]
    ((_, first),) = user.trials()
    second = assert_refused(refused, "photos", first)
    assert (
        user.work("run", "own.toml").errors == "study 'own' is finished: nothing is trained again\n"
    )

    changed.write_bytes(original)
    assert user.work("run", "own.toml", "--trials", "2").code == 0
    changed.write_bytes((user.root / "other" / "cat" / "00.png").read_bytes())
    assert user.work("run", "own.toml", "--trials", "3", "--accept-data").code == 0
    assert user.trials() == [(0, first), (1, first), (2, second)]
    assert (
        "\n\nthe trials were trained on different images: values of different lines are no"
        f" ranking\nfingerprint   trials\n{first}  0-1\n{second}  2\n\n"
        in user.call("compare", "own").out
    )

    changed.write_bytes(original)
    user.call("extend", "own", "--trials", "4")
    assert assert_refused(user.work("worker", "-q"), "photos", second) == first


def test_a_relative_path_from_another_folder_is_never_other_images(user: User) -> None:
    assert user.work("run", "own.toml").code == 0
    make(user.root / "elsewhere" / "photos", seed=1)
    said = user.work("run", "own.toml", "--trials", "2", folder="elsewhere")
    assert said.code == 0
    assert said.errors.startswith(
        f"data set images:photos: taken from images:{user.root}/home/photos\ntrial 1 "
    )
    (user.root / "home" / "photos").rename(user.root / "moved")
    (_, first), (_, second) = user.trials()
    assert first == second
    assert_refused(
        user.work("run", "own.toml", "--trials", "3", folder="elsewhere"), "photos", first
    )


def test_images_that_were_moved_are_found_by_the_map_below_the_data_root_or_not_at_all(
    user: User,
) -> None:
    user.call("create", "own.toml", "--trials", "3")
    (user.root / "home" / "photos").rename(user.root / "moved")
    home, data = (
        user.root / "home" / "photos",
        user.root / "cache" / "hypersearch" / "data" / "photos",
    )
    nowhere = (
        f'dataset "images:photos": found in none of {home}, {data}; place it in one of them, or say'
        " where it lies with --data-map photos=HERE\n"
    )
    left = user.work("worker", "-q", folder="elsewhere")
    assert (left.code, left.errors) == (3, f"hypersearch: {nowhere}")
    assert user.work("run", "own.toml", folder="home").errors == f"hypersearch: {nowhere}"
    map_ = f"photos={user.root}/moved"
    assert user.work("run", "--study", "own", "--data-map", map_, folder="elsewhere").code == 0
    user.call("extend", "own", "--trials", "4")
    (user.root / "data").mkdir()
    (user.root / "moved").rename(user.root / "data" / "photos")
    assert user.work("worker", "--data-root", str(user.root / "data"), folder="elsewhere").code == 0
    numbers, fingerprints = zip(*user.trials(), strict=True)
    assert (numbers, len(set(fingerprints))) == ((0, 1, 2, 3), 1)


def test_a_notebook_may_say_where_images_lie_and_accept_others(user: User) -> None:
    assert user.work("run", "own.toml").code == 0
    (user.root / "home" / "photos").rename(user.root / "moved")
    make(user.root / "other", seed=1)
    user.call("extend", "own", "--trials", "2")
    with (
        chdir(user.root / "home"),
        patch.dict(os.environ, {"XDG_CACHE_HOME": str(user.root / "cache")}),
    ):
        spec = hypersearch.load_spec("own.toml")
        hypersearch.run(spec, storage=user.url, threads=1, data_map={"photos": "../moved"})
        user.call("extend", "own", "--trials", "3")
        map_ = {"images:photos": str(user.root / "other")}
        found = hypersearch.run(spec, storage=user.url, threads=1, data_map=map_, accept_data=True)
    (first, kept), (second, new) = found.data_sets
    assert (kept, new, first == second) == ([0, 1], [2], False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("photos", "--data-map photos: write STORED=HERE, as images:photos=/mnt/photos"),
        (
            "photos=nowhere",
            (
                "--data-map photos=nowhere: nowhere is no folder; name the one that holds photos on"
                " this machine"
            ),
        ),
    ],
)
@pytest.mark.parametrize("command", ["run", "worker"])
def test_a_map_to_nowhere_is_refused(command: str, given: str, expected: str, user: User) -> None:
    said = user.call(command, "--data-map", given)
    assert (said.code, said.out, said.errors) == (2, "", f"hypersearch: {expected}\n")
    assert not (user.root / "a.db").exists()


def test_a_study_from_before_records_what_it_is_trained_on_and_is_held_to_it(
    user: User, caplog: pytest.LogCaptureFixture
) -> None:
    assert user.work("run", "own.toml").code == 0
    ((_, first),) = user.trials()
    database, _ = open_for_work(user.url)
    with database, database.transactions.write() as connection:
        connection.execute(
            update(study).values(data_folder=None, data_fingerprint=None, pixel_scales=None)
        )
        connection.execute(update(attempt).values(data_fingerprint=None))
    assert user.trials() == [(0, "unknown")]
    assert user.work("run", "own.toml", "--trials", "2").code == 0
    assert [record.getMessage() for record in caplog.records] == [
        f"study 'own' is on images:photos (fingerprint {first}) from its trial 1 on; what its"
        " earlier trials had is not recorded"
    ]
    assert user.trials() == [(0, "unknown"), (1, first)]
    (user.root / "home" / "photos" / "cat" / "00.png").unlink()
    assert_refused(user.work("run", "own.toml", "--trials", "3"), "photos", first)


class Overtaken(Crew):
    """Worker processes that left the study, because somebody has it go on with other data
    meanwhile.
    """

    @contextmanager
    def working(self, *studies: str) -> Iterator[None]:
        database, _ = open_for_work(self.environment["HYPERSEARCH_STORAGE"])
        with database, database.transactions.write() as connection:
            connection.execute(update(study).values(data_fingerprint="f" * 64))
        yield

    def is_working(self) -> bool:
        return False


def test_whoever_looks_on_says_why_its_workers_have_left(user: User) -> None:
    request = Request(tomllib.loads(SPEC), {}, "own.toml")
    machine = Machine(
        user.root,
        user.root / "cache",
        user.root,
        Files(str(user.root), user.root),
        device="cpu",
        threads=1,
    )
    crew = Overtaken(2, [], {"HYPERSEARCH_STORAGE": user.url})
    with chdir(user.root / "home"), pytest.raises(OtherData) as refused:
        run_study(
            user.url,
            request,
            machine,
            host=this_host(),
            team=Team(2, lambda count, machine: crew),
        )
    assert str(refused.value).startswith(
        "study 'own' is on other data than images:photos (fingerprint ffffffffffff, not "
    )


@pytest.mark.parametrize(
    ("codes", "expected"), [([], None), ([0, 0], None), ([2, 2], 2), ([3], 3), ([2, 3], None)]
)
def test_worker_processes_that_all_have_said_why_end_with_one_exit_code(
    codes: list[int], expected: int | None
) -> None:
    assert Crew(2, [], {}, exit_codes=codes).told == expected


def test_worker_processes_are_told_where_the_data_lies_and_that_other_data_is_accepted(
    tmp_path: Path,
) -> None:
    machine = Machine(
        tmp_path / "data",
        tmp_path,
        tmp_path,
        Files("", tmp_path),
        data_map={"a=b": tmp_path, "images:c": tmp_path},
        accept_data=True,
        threads=1,
    )
    crew = hire(2, machine, "sqlite:///a.db", None, quiet=True)
    assert crew.environment == {"HYPERSEARCH_STORAGE": "sqlite:///a.db"}
    off = hire(
        1, machine.after(ProcessSpent("", captures=False)), "sqlite:///a.db", None, quiet=True
    )
    assert off.environment == {"HYPERSEARCH_STORAGE": "sqlite:///a.db", "HYPERSEARCH_CAPTURES": "0"}
    pinned = hire(1, replace(machine, piece=32), "sqlite:///a.db", None, quiet=True)
    assert pinned.environment == {
        "HYPERSEARCH_STORAGE": "sqlite:///a.db",
        "HYPERSEARCH_PIECE": "32",
    }
    assert crew.arguments == [
        *("--device", "auto", "--threads", "1", "--data-root", f"{tmp_path}/data"),
        *(
            f"--data-map=a=b={tmp_path}",
            f"--data-map=images:c={tmp_path}",
            "--accept-data",
            "--quiet",
        ),
    ]
