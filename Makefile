# make train | test | check | format | clean.   Options of a run: make train ARGS="--config configs/smoke.yaml trainer.epochs=1"
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# tests in as many processes as there are cores, four at most, of one thread each
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4
# what a developer's shell happens to export must not reach what is installed or tested
unexport PYTHONPATH PYTHONHOME PYTEST_ADDOPTS MYPYPATH
.PHONY: train test check format clean
.DEFAULT_GOAL := help

help:
	@echo "make train [ARGS='key=value ...']   train, explain, write checkpoints/<run>"
	@echo "make test                          the fast tests"
	@echo "make check                         what CI runs: format, lint, types, layers, all tests"
	@echo "make format                        put the code into shape"
	@echo "make clean                         remove .venv and caches; runs and data stay"
.PHONY: help

$(BIN)/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }  # half a .venv would be taken for a whole one

# installed once, and again only when pyproject.toml changes
$(STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

train: $(STAMP)
	$(BIN)/python train.py $(ARGS)

test: $(STAMP)
	$(PYTEST) $(ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test ARGS=
	$(PYTEST) -m 'slow and not gpu and not browser' || test $$? -eq 5  # 5: there is no such test
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then \
		$(BIN)/python -m pytest -m browser || test $$? -eq 5; \
	else \
		echo "make check: browser tests left out, chromium and chromedriver are not installed"; \
	fi

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
