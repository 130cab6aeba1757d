"""The files of deploy/: their command lines run outside containers; `make lint` checks the rest."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from search.engines.processes import STOP_SECONDS
from search.spec.document import parse_toml
from search.spec.reading import parse_spec
from storage.leases.lease import HAND_BACK_SECONDS
from tests.forked import hypersearch

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES = [
    document
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
]
SLURM = sorted((DEPLOY / "slurm").glob("*.sh"))
SYNTHETIC = (
    '[study]\nname = "s"\ntrials = 1\n[data]\ndataset = "synthetic"\n[training]\nepochs = 1\n'
)


def pod(document: dict[str, object]) -> dict[str, object]:
    found: dict[str, object] = document["spec"]["template"]["spec"]  # type: ignore[index]
    return found


def jobs() -> list[dict[str, object]]:
    return [each for each in KUBERNETES if each["kind"] == "Job"]


def commands() -> list[list[str]]:
    """Of containers, each once."""
    of_compose = [service["command"] for service in COMPOSE["services"].values()]
    of_jobs = [pod(each)["containers"][0]["command"] for each in jobs()]  # type: ignore[index]
    ours = [each for each in [*of_compose, *of_jobs] if each[0].startswith("hypersearch")]
    return [list(each) for each in sorted({tuple(each) for each in ours})]


def path_with(folder: Path, **programs: str) -> str:
    """A search path on which these are found first."""
    place = folder / "bin"
    place.mkdir()
    for name, content in programs.items():
        (place / name).write_text(content)
        (place / name).chmod(0o755)
    return f"{place}:{os.environ['PATH']}"


def test_images_have_workers_and_the_study_is_made_by_its_own_command() -> None:
    assert commands() == [
        ["hypersearch", "create", "/etc/hypersearch/study.toml"],
        ["hypersearch-worker", "--device", "cuda"],
        ["hypersearch-worker", "--threads", "2"],
    ]


@pytest.mark.parametrize(
    "command",
    [
        *(["deploy/worker.sh", *each[1:]] for each in commands() if each[0] != "hypersearch"),
        *(
            pytest.param([str(each.relative_to(DEPLOY.parent))], marks=pytest.mark.long)
            for each in SLURM
        ),
    ],
    ids=" ".join,
)
def test_a_worker_of_each_file_finishes_a_study_or_says_that_its_device_is_not_here(
    command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_text(SYNTHETIC)
    assert hypersearch(tmp_path, "create", "s.toml", "-q").returncode == 0
    program = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m hypersearch "$@"\n'
    environment = {
        "PATH": path_with(tmp_path, hypersearch=program),
        "HYPERSEARCH_STORAGE": f"sqlite:///{tmp_path}/hypersearch.db",
        "HYPERSEARCH_ARTIFACTS": str(tmp_path / "artifacts"),
        "SLURM_CPUS_PER_TASK": "4",
    }
    ended = subprocess.run(
        [DEPLOY.parent / command[0], *command[1:]],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    is_for_gpu = "cuda" in command or "gpu" in command[0]
    if is_for_gpu and ended.returncode == 2:
        assert ended.stderr.startswith('hypersearch: device "cuda": '), ended.stderr
        return
    assert ended.returncode == 0, ended.stderr
    listing = hypersearch(tmp_path, "list", "--json").stdout
    assert '"finished": 1' in listing


ENDS_WHEN_TOLD = (
    "#!/bin/sh\ntrap 'sleep 0.3; exit 0' TERM\ntouch started\nwhile :; do sleep 0.1; done\n"
)


@pytest.mark.parametrize("script", [DEPLOY / "worker.sh", *SLURM], ids=lambda each: each.name)
def test_a_worker_that_is_told_to_end_is_started_again_by_whoever_schedules_it(
    script: Path, tmp_path: Path
) -> None:
    """By its exit code in a container, by a request of its own under Slurm."""
    requeues = '#!/bin/sh\necho "$@" > requeued\n'
    environment = {
        "PATH": path_with(tmp_path, hypersearch=ENDS_WHEN_TOLD, scontrol=requeues),
        "HYPERSEARCH_STORAGE": "sqlite:///a.db",
        "HYPERSEARCH_ARTIFACTS": "a",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "3",
    }
    process = subprocess.Popen([script], cwd=tmp_path, env=os.environ | environment)
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    code = process.wait(60)
    requeued = tmp_path / "requeued"
    said = requeued.read_text() if requeued.exists() else None
    assert (code, said) == ((143, None) if script.name == "worker.sh" else (0, "requeue 7_3\n"))


@pytest.mark.parametrize("script", [DEPLOY / "worker.sh", *SLURM], ids=lambda each: each.name)
def test_a_worker_that_fails_says_so_and_is_not_queued_again(script: Path, tmp_path: Path) -> None:
    environment = {
        "PATH": path_with(
            tmp_path, hypersearch="#!/bin/sh\nexit 3\n", scontrol="#!/bin/sh\nexit 9"
        ),
        "HYPERSEARCH_STORAGE": "sqlite:///a.db",
        "HYPERSEARCH_ARTIFACTS": "a",
    }
    ended = subprocess.run([script], cwd=tmp_path, env=os.environ | environment, check=False)
    assert ended.returncode == 3


def test_everybody_waits_until_a_trial_is_handed_back() -> None:
    needed = STOP_SECONDS + HAND_BACK_SECONDS
    services = COMPOSE["services"]
    of_compose = [
        int(services[name]["stop_grace_period"].removesuffix("s"))
        for name in ("worker", "worker-gpu")
    ]
    of_jobs = [
        pod(each)["terminationGracePeriodSeconds"]
        for each in jobs()
        if "parallelism" in each["spec"]  # type: ignore[operator]
    ]
    of_slurm = [
        int(re.findall(r"#SBATCH --signal=B:TERM@(\d+)", each.read_text())[0]) for each in SLURM
    ]
    assert len(of_jobs) == len(of_slurm) == len(of_compose) == 2
    assert min([*of_compose, *of_jobs, *of_slurm]) >= needed


def test_the_specs_in_the_files_are_specs() -> None:
    of_compose = COMPOSE["configs"]["study"]["content"]
    (of_kubernetes,) = [
        each["data"]["study.toml"] for each in KUBERNETES if each["kind"] == "ConfigMap"
    ]
    names = [
        parse_spec(parse_toml(text), "study.toml").name for text in (of_compose, of_kubernetes)
    ]
    assert names == ["team", "team"]


def test_each_key_of_the_secret_is_made_by_the_command_that_the_file_says() -> None:
    text = (DEPLOY / "kubernetes" / "postgresql.yaml").read_text()
    made = set(re.findall(r"--from-literal=([a-z-]+)=", text))
    used = {
        name
        for file in (DEPLOY / "kubernetes").glob("*.yaml")
        for name in re.findall(
            r"secretKeyRef:\n\s+name: hypersearch\n\s+key: (\S+)", file.read_text()
        )
    }
    assert made == used
