"""What a worker is readied with before it holds a trial."""

import subprocess
import sys
from pathlib import Path

FIRST_EPOCH = """
import sys
from pathlib import Path
from objectives.hyperparameters import Adam, Hyperparameters
from search.objective import Files, Machine, build_objective
from search.spec import parse_spec

folder = Path(sys.argv[1])
machine = Machine(folder, folder, folder, Files(str(folder), folder), device="cpu", threads=1)
objective = build_objective(parse_spec({"data": {"dataset": "digits"}}), machine)
ready = set(sys.modules)
training = objective.train(Hyperparameters(Adam(1e-3)), 0, None, lambda: None)
next(training)
training.checkpoint()
print(*sorted(set(sys.modules) - ready))
"""


def test_the_first_epoch_of_a_trial_imports_next_to_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", FIRST_EPOCH, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) <= 10, done.stdout
