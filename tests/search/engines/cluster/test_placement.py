"""What can be refused before Ray is spoken to, on the command line's own words; no cluster."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab.servers import free_port
from search.cli.cluster import read_placement, read_worker_count
from search.cli.option_groups import ClusterOptions
from search.cli.reading import CommandLineError
from search.engines.cluster.hiring import orders_for
from search.engines.cluster.messages import Answer, read_answer, read_orders, written
from search.engines.cluster.placement import ClusterRefused, Placement, check_address
from search.machine.settings import Settings
from tests.forked import hypersearch

SPEC = '[study]\nname = "s"\ntrials = 2\n[data]\ndataset = "synthetic"\n'


def run_in(folder: Path, *arguments: str) -> tuple[int, str, str]:
    (folder / "s.toml").write_text(SPEC)
    ended = hypersearch(folder, "run", "s.toml", *arguments)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--engine", "slurm"], 2, "--engine slurm: give local or ray"),
        (
            ["--gpus-per-worker", "0.5"],
            2,
            "--gpus-per-worker goes with --engine ray: add that, or leave it out",
        ),
        (
            ["--engine", "ray", "--cpus-per-worker", "1.5"],
            2,
            "--cpus-per-worker 1.5: give a whole number, or a share of one, as 0.5",
        ),
        (
            ["--engine", "ray", "--workers", "0"],
            2,
            "--workers 0: give a whole number from 1 to 100000",
        ),
        (
            ["--engine", "ray", "--device", "cuda:1"],
            2,
            "--device cuda:1: Ray chooses among a node's GPUs: give cuda, and --gpus-per-worker for"
            " a share of one",
        ),
        (
            ["--engine", "ray", "--ray-address", "ray://head:10001"],
            2,
            "--ray-address ray://head:10001: Ray's client protocol cannot be used: run this on a"
            " machine of the cluster, with HOST:PORT as 'ray start --head' printed it",
        ),
        (
            ["--engine", "ray", "--ray-address", "head"],
            2,
            "--ray-address head: write HOST:PORT as 'ray start --head' printed it, or auto, or"
            " local",
        ),
    ],
)
def test_what_cannot_be_is_one_line_and_creates_nothing(
    arguments: list[str], code: int, line: str, tmp_path: Path
) -> None:
    assert run_in(tmp_path, *arguments) == (code, "", f"hypersearch: {line}\n")
    assert not (tmp_path / "hypersearch.db").exists()


def test_an_address_that_refuses_is_one_line(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(ClusterRefused) as refused:
        check_address(address)
    assert (str(refused.value), refused.value.exit_code) == (
        f"--ray-address {address}: no Ray cluster answers there (Connection refused): start one"
        " with 'ray start --head', or leave it out to use this machine alone",
        3,
    )


def test_without_ray_it_is_one_line(tmp_path: Path) -> None:
    """Ray cannot be found, as where its extra is not installed."""
    (tmp_path / "s.toml").write_text(SPEC)
    script = (
        "import importlib.util as util, sys\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'ray' else find(name, *more)\n"
        "sys.argv = ['hypersearch', 'run', 's.toml', '--engine', 'ray']\n"
        "from search.cli.main import main\n"
        "main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (
        2,
        "",
        "hypersearch: --engine ray: Ray is not installed: pip install 'hypersearch[ray]', or leave"
        " it out\n",
    )


def test_the_local_engine_needs_no_ray_and_takes_none_of_its_options() -> None:
    assert read_placement(ClusterOptions()) is None
    with pytest.raises(CommandLineError, match="--ship-data goes with --engine ray"):
        read_placement(ClusterOptions(ship_data=True))


def test_a_cluster_may_have_more_workers_than_this_machine() -> None:
    assert (read_worker_count("1000"), read_worker_count("auto")) == (1000, None)


def test_workers_elsewhere_are_told_what_was_asked_for_and_nothing_that_is_here(
    tmp_path: Path,
) -> None:
    """This user's folders mean nothing on another machine; a password is not among arguments."""
    url = "postgresql://me:secret@server/db"
    settings = Settings.from_environment({})
    machine = settings.machine(settings.files(url, None))
    environment = {
        "HYPERSEARCH_SYNTHETIC_SECONDS": "0.1",
        "HYPERSEARCH_MACHINE": "mine",
        "HOME": "/",
    }
    orders = orders_for(
        Placement(cpus=2.0),
        8,
        url,
        machine,
        environment,
        data_root=None,
        artifact_root=None,
        quiet=True,
    )
    assert (orders.arguments, orders.environment, orders.data) == (
        ["--threads", "2", "--quiet"],
        {"HYPERSEARCH_STORAGE": url, "HYPERSEARCH_SYNTHETIC_SECONDS": "0.1"},
        None,
    )
    assert read_orders(written(orders)).workers == 8


def test_a_file_is_named_so_that_an_actor_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({})
    url = "sqlite:///a.db"
    orders = orders_for(
        Placement(ships_data=True),
        None,
        url,
        settings.machine(settings.files(url, None)),
        {"HYPERSEARCH_DATA": "images"},
        data_root=None,
        artifact_root="kept",
        quiet=False,
    )
    assert orders.environment["HYPERSEARCH_STORAGE"] == f"sqlite:///{tmp_path}/a.db"
    assert orders.arguments == [
        *("--threads", "1"),
        *("--data-root", str(tmp_path / "images")),
        *("--artifact-root", str(tmp_path / "kept")),
    ]
    assert orders.data is not None
    assert orders.data.data_root == str(tmp_path / "images")


def test_an_answer_comes_as_it_was_sent() -> None:
    said = Answer(over="each has said\nwhy", exit_codes=[2, 3])
    assert read_answer(written(said)) == said
