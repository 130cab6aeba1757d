# Each target sets up .venv by itself and uses it again. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
BIN = .venv/bin
INSTALLED = .venv/.installed
PIP = $(BIN)/python -m pip --disable-pip-version-check
# uv is faster than pip, and reads none of its settings: where it fails, pip installs.
UV = $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -e '.[dev]'
# More processes than two cores: tests wait for other processes and for clocks. Threads of OpenMP that
# spin while they wait would take the cores from those.
TESTS = OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 4 --dist worksteal

.PHONY: demo demo-answers test test-long test-oldest lint docs bench soak kill-points faults ray-cluster clean

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --quiet uv && $(UV) -c constraints.txt || $(PIP) install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/hypersearch run examples/demo.toml

# What the demo's winner is worth, and what four of its techniques are.
demo-answers: demo
	$(BIN)/hypersearch confirm demo
	$(BIN)/hypersearch ablate demo --seeds 3 --no-retune --technique normalization --technique augmentation \
	  --technique dropout --technique scheduler

# Tests start hundreds of processes: where Python is told to write no bytecode, each would compile all modules again.
test: $(INSTALLED)
	$(BIN)/python -m compileall -q hypersearch models objectives storage search benchmarks lab
	$(TESTS)

# Whole studies, documents, soaks and measurements. What they show is in make test in small.
test-long: $(INSTALLED)
	$(TESTS) -m "long and not gpu"

# The lowest versions of all that pyproject.toml names, in an environment of their own.
test-oldest: .venv-oldest/.installed
	$(TESTS:$(BIN)/%=.venv-oldest/bin/%) tests/models tests/objectives

.venv-oldest/.installed: $(INSTALLED)
	test -x .venv-oldest/bin/python || python3.11 -m venv .venv-oldest
	$(PIP) install --quiet uv
	VIRTUAL_ENV=.venv-oldest $(BIN)/uv pip install --quiet --compile-bytecode --resolution lowest-direct -e '.[dev]'
	touch $@

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/shellcheck deploy/worker.sh deploy/slurm/*.sh
	$(BIN)/kubernetes-validate --strict --quiet deploy/kubernetes/*.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml

docs: $(INSTALLED)
	$(BIN)/python -m docs.reference

# A short version of each benchmark; benchmarks/README.md says how to run the whole ones.
bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.trainer --quick
	$(BIN)/python -m benchmarks.loops --repeats 1 --images 512 --no-compile
	$(BIN)/python -m benchmarks.neighbours --quick
	$(BIN)/python -m benchmarks.folder --images 2000 --repeats 1
	$(BIN)/python -m benchmarks.wall_time --workers 2 --threads 1 --repeats 1
	$(BIN)/python -m benchmarks.pruning --studies 10
	$(BIN)/python -m benchmarks.inference --quick
	$(BIN)/python -m benchmarks.peers --seeds 1 --trials 2 --share 1
	folder=$$(mktemp -d) && trap "rm -r $$folder" EXIT && \
	  $(BIN)/python -m benchmarks.gpu all --out $$folder/gpu --device cpu --quick && \
	  $(BIN)/python -m benchmarks.default_study --folder $$folder --seeds 1 --trials 6 --needed 0 && \
	  $(BIN)/python -m benchmarks.curves record --folder $$folder --trials 2 --output $$folder/curves.json.gz
	$(BIN)/python -m benchmarks.refusals --each 10
	$(BIN)/python -m benchmarks.storage --quick
	$(BIN)/python -m benchmarks.large_study --finished 1000 --trials 20 --starts 1
	$(BIN)/python -m benchmarks.reading --finished 500 --repeats 1
	$(BIN)/python -m benchmarks.report_page --finished 40 --repeats 1
	$(BIN)/python -m benchmarks.many_workers --processes 2 --threads 4 --seconds 10

soak: $(INSTALLED) kill-points
	$(BIN)/python -m lab.soak --backend postgresql --backend sqlite
	$(BIN)/python -m lab.follow_ups --backend sqlite
	$(BIN)/python -m lab.follow_ups --backend postgresql
	$(BIN)/python -m lab.copies

kill-points: $(INSTALLED)
	$(BIN)/python -m lab.kill_points --backend sqlite --backend postgresql --times 20
	$(BIN)/python -m lab.kill_points --backend mariadb --times 5

faults: $(INSTALLED)
	$(BIN)/python -m lab.faults

ray-cluster: $(INSTALLED)
	$(BIN)/python -m pytest -m cluster tests/search/engines/cluster
	$(BIN)/python -m lab.ray_cluster

clean:
	rm -rf .venv .venv-oldest build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis hypersearch.db hypersearch.db-wal hypersearch.db-shm hypersearch.db.lock hypersearch.files
