"""A Ray cluster of several nodes on this machine, each a machine of its own to the product or all
of them this one.

Where this user may, the former has a network of its own with loopback alone, as Ray binds to
whatever address it finds: what is to reach it runs behind `prefix`. The latter is on this machine's
loopback: what is to reach it has the variables of `environment`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import psutil

from search.machine.settings import IDENTITY

# A node has so many attempts at its start.
ATTEMPTS = 5
Made = TypeVar("Made")
# Each node's object store has so many bytes: Ray takes no less than 75 MB.
STORE_BYTES = 80 * 2**20
# Every process of a node has the node's own folder in this variable.
PLACE = "XDG_CACHE_HOME"
HEAD = "head"
# Where Ray is told so, as it tells itself on Windows and macOS, it finds no address but loopback.
ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# Ray's own of these notice a dead node after a quarter of a minute. Whoever is dead refuses at
# once; who is slow has as long as ever.
NOTICES_SOON = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 10_000,
    "health_check_failure_threshold": 3,
}


class NotStarted(Exception):
    """Ray did not start a node, however often it was tried: the machine is too busy."""


class Nodes:
    """A cluster that is driven from outside: its nodes are children of a process of their own.

    >>> with Nodes(Path("/tmp/nodes")) as nodes:               # doctest: +SKIP
    ...     nodes.add("a", cpus=2)
    ...     subprocess.run([*nodes.prefix, "hypersearch", "run", "--ray-address", nodes.address])
    ...     nodes.kill("a")
    """

    def __init__(
        self, folder: Path, hidden: Path | None = None, *, are_one_machine: bool = False
    ) -> None:
        self._folder = folder
        # The nodes have not got this folder, where this user may hide it.
        self._hidden = hidden
        # Then the product sees at once that a process of a dead node has died, Ray sees it within
        # seconds, and the head, which costs the most, has room for a worker.
        self._are_one_machine = are_one_machine
        self.address = ""
        self.prefix: Sequence[str] = ()
        self.environment: Mapping[str, str] = ON_LOOPBACK if are_one_machine else {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        python = [sys.executable, "-m", "lab.ray_nodes", str(self._folder)]
        python += ["--one-machine"] * self._are_one_machine
        is_apart = not self._are_one_machine and may_have_a_network()
        hide = "" if self._hidden is None else f"mount -t tmpfs none '{self._hidden}' && "
        apart = ["unshare", "--net", "--mount", "sh", "-c"]
        apart += [f'{hide}ip link set lo up && exec "$@"', "sh"]
        with (self._folder / "nodes.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*(apart if is_apart else []), *python],
                env=os.environ | self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            self.address = self._answer()
        except NotStarted:
            self.__exit__(None, None, None)
            raise
        if is_apart:
            self.prefix = ("nsenter", f"--net=/proc/{self._process.pid}/ns/net", "--")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        for left in self.processes():
            left.kill()

    def add(self, name: str, cpus: int = 2) -> None:
        """A node of that name joins."""
        self._ask({"add": name, "cpus": cpus})

    def kill(self, name: str) -> None:
        """All processes of a node die at once, as when its power fails."""
        self._ask({"kill": name})

    def place(self, name: str) -> Path:
        """The folder of a node's own caches."""
        return self._folder / name

    def identity(self, name: str) -> str:
        """What tells a node from the others."""
        return str(self.place(name))

    def processes(self, name: str | None = None) -> list[psutil.Process]:
        """Those of a node, or of all nodes: Ray's, and what they have started."""
        found = []
        for process in psutil.process_iter():
            try:
                variables = process.environ()
            except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            of = variables.get(PLACE, "")
            is_one = (
                of.startswith(f"{self._folder}/") if name is None else of == str(self.place(name))
            )
            if is_one:
                found.append(process)
        return found

    def workers(self, name: str | None = None) -> list[psutil.Process]:
        """The worker processes on a node, or on all nodes."""
        found = []
        for process in self.processes(name):
            try:
                if "worker" in process.cmdline()[:6] and "hypersearch" in process.cmdline():
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return found

    def _ask(self, what: Mapping[str, str | int]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("answer "):
                return line.removeprefix("answer ").strip()
        raise NotStarted(f"Ray has started no node: see {self._folder / 'nodes.log'}")


def may_have_a_network() -> bool:
    """Whether this user may give a process a network of its own, and enter it."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None or os.geteuid() != 0:
        return False
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "ip", "link", "set", "lo", "up"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


def main(folder: str, are_one_machine: bool) -> None:
    """Has the cluster, and does what standard input says, until that ends."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    def of_its_own(name: str) -> dict[str, str]:
        place = Path(folder, name)
        place.mkdir(exist_ok=True)
        return {PLACE: str(place)} | ({} if are_one_machine else {IDENTITY: str(place)})

    def answer(text: str) -> None:
        print(f"answer {text}", flush=True)

    def head() -> Cluster:
        # It is not killed. Nobody scales this cluster or reads logs, for which Ray would start two
        # more processes.
        return Cluster(
            initialize_head=True,
            connect=False,
            head_node_args={
                "num_cpus": int(are_one_machine),
                "object_store_memory": STORE_BYTES,
                "include_dashboard": False,
                "include_log_monitor": False,
                "no_monitor": True,
                "env_vars": of_its_own(HEAD),
                **({"_system_config": NOTICES_SOON} if are_one_machine else {}),
            },
        )

    cluster = _patiently(head, lambda: _kill(None))

    def add(name: str, cpus: int) -> object:
        def node() -> object:
            return cluster.add_node(
                num_cpus=cpus, object_store_memory=STORE_BYTES, env_vars=of_its_own(name)
            )

        return _patiently(node, lambda: _kill(f"{folder}/{name}"))

    nodes = {}
    answer(cluster.address)
    for line in sys.stdin:
        order = json.loads(line)
        if (name := order.get("add")) is not None:
            nodes[name] = add(name, order["cpus"])
        else:
            _kill(f"{folder}/{order['kill']}")
            cluster.remove_node(nodes.pop(order["kill"]), allow_graceful=False)
        answer("done")
    cluster.shutdown()


def _patiently(start: Callable[[], Made], clean_up: Callable[[], None]) -> Made:
    """What is started; Ray gives up after half a minute, which a busy machine takes."""
    for _ in range(ATTEMPTS - 1):
        try:
            return start()
        # Ray raises errors of many kinds here; the last try's is the caller's.
        except Exception:
            clean_up()
    return start()


def _kill(place: str | None) -> None:
    """The processes of a node, or all: frozen first, so that none of them sees another one die."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if place is None or process.environ().get(PLACE) == place:
                process.send_signal(signal.SIGSTOP)
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    for process in found:
        process.kill()


if __name__ == "__main__":
    main(sys.argv[1], "--one-machine" in sys.argv[2:])
