# Each target sets up .venv by itself and uses it again. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
BIN = .venv/bin
INSTALLED = .venv/.installed

.PHONY: demo test lint docs bench soak kill-points faults clean

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/hypersearch run examples/demo.toml

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED)
	$(BIN)/python -m docs.reference

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.trainer --quick
	$(BIN)/python -m benchmarks.storage --quick

soak: $(INSTALLED) kill-points
	$(BIN)/python -m benchmarks.soak --backend postgresql --backend sqlite

kill-points: $(INSTALLED)
	$(BIN)/python -m benchmarks.kill_points --backend sqlite --backend postgresql --times 20
	$(BIN)/python -m benchmarks.kill_points --backend mariadb --times 5

faults: $(INSTALLED)
	$(BIN)/python -m benchmarks.faults

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis hypersearch.db hypersearch.db-wal hypersearch.db-shm hypersearch.db.lock hypersearch.files
