# `make demo` shows everything, `make test` proves it. Both need only python3 with pip; .venv is made once and reused.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
JOBS ?= 2
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable
.DEFAULT_GOAL := help
.PHONY: help demo test conformance check generated-fresh generate format firmware dist wheel-test clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1 # /p' $(MAKEFILE_LIST) | awk -F' # ' '{printf "%-20s %s\n", $$1, $$2}'

demo: $(VENV)/.demo ## the whole path: convert, build, load into the emulated board, classify 1,000 digits
	$(BIN)/onnxino demo --build

test: $(VENV)/.test ## all tests
	$(BIN)/python -m pytest -n $(JOBS) -q

conformance: $(VENV)/.test ## 64 random inputs and every real test image on each model, all backends and ONNX Runtime (long)
	ONNXINO_CONFORMANCE=full $(BIN)/python -m pytest -n $(JOBS) -q tests/conformance

check: $(VENV)/.dev generated-fresh ## style, types, generated files, coverage
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	$(BIN)/python -m pytest -n $(JOBS) -q --cov --cov-report=term:skip-covered

C_FILES = $(shell git ls-files '*.c' '*.h')

format: $(VENV)/.dev ## bring all sources into the common style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_FILES)

dist: $(VENV)/.dev ## wheel and source archive in dist/
	$(BIN)/python -m build --outdir dist .

wheel-test: $(VENV)/.test ## install the wheel where there is no compiler, and run its demo
	$(BIN)/python -m pytest -q tests/tools/test_wheel.py

clean: ## remove .venv and what was built
	rm -rf $(VENV) build dist

# The stamps say which extras .venv holds; a change of pyproject.toml installs again.
$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.created
	$(INSTALL) '.[emulator,images,toolchain,verify]'
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.created
	$(INSTALL) '.[test]'
	touch $@ $(VENV)/.demo

$(VENV)/.dev: pyproject.toml | $(VENV)/.created
	$(INSTALL) '.[dev]'
	touch $@ $(VENV)/.test $(VENV)/.demo
