# make train | test | check | format | clean.   Options of a run: make train ARGS="--config configs/smoke.yaml trainer.epochs=1"
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# tests in as many processes as there are cores, four at most, of one thread each; one that has nothing left takes over from another
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal
# what a developer's shell happens to export must not reach what is installed or tested
unexport PYTHONPATH PYTHONHOME PYTEST_ADDOPTS MYPYPATH
.PHONY: install train test check types tests format clean
.DEFAULT_GOAL := help

help:
	@echo "make train [ARGS='key=value ...']   train, explain, write checkpoints/<run>"
	@echo "make test                          the fast tests"
	@echo "make check                         what CI runs: format, lint, layers, types, all tests"
	@echo "make format                        put the code into shape"
	@echo "make clean                         remove .venv and caches; runs and data stay"
.PHONY: help

$(BIN)/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }  # half a .venv would be taken for a whole one

# installed once, and again only when pyproject.toml changes
$(STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

install: $(STAMP)

train: $(STAMP)
	$(BIN)/python train.py $(ARGS)

test: $(STAMP)
	$(PYTEST) $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(MAKE) -j2 types tests

types: $(STAMP)
	$(BIN)/mypy

# those of `make test`, the slow ones and, where there is a browser, its own: together, as each start of pytest reads all files again
tests: $(STAMP)
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then \
		$(PYTEST) -m 'not gpu'; \
	else \
		echo "make check: browser tests left out, chromium and chromedriver are not installed"; \
		$(PYTEST) -m 'not gpu and not browser'; \
	fi

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
