# `make demo` shows everything, `make test` proves it. Both need only python3 with pip; .venv is made once and reused.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
JOBS ?= 2
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check --editable
C_FILES = $(shell git ls-files '*.c' '*.h')
.DEFAULT_GOAL := help
.PHONY: help demo test link-faults kill-flash conformance fuzz-c fuzz-graphs float-errors compress-digits check lint fresh generate firmware format dist wheel-test clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1 # /p' $(MAKEFILE_LIST) | awk -F' # ' '{printf "%-20s %s\n", $$1, $$2}'

demo: $(VENV)/.demo ## the whole path: convert, build, load into the emulated board, classify 1,000 digits
	@$(BIN)/onnxino demo --build

test: $(if $(TRAIN),$(VENV)/.train) $(VENV)/.test ## all tests; with TRAIN=1 those that need PyTorch too, which is large
	@$(BIN)/python -m pytest -n $(JOBS) -q

conformance: $(VENV)/.test ## every shared model: 200 random inputs and all test images, ONNX Runtime and all backends (long)
	@ONNXINO_CONFORMANCE=full $(BIN)/python -m pytest -n $(JOBS) -q tests/conformance

fuzz-c: $(VENV)/.test ## two minutes of libFuzzer on the model loader in C (needs clang)
	PYTHONPATH=. $(BIN)/python tests/engine/engine_models.py build/fuzz/corpus
	clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -ffp-contract=off \
	  -Iruntime/onnxino tests/engine/fuzz_model.c runtime/onnxino/engine/*.c runtime/onnxino/ops/*.c -o build/fuzz/fuzz_model
	build/fuzz/fuzz_model -max_total_time=120 -timeout=20 -max_len=8192 build/fuzz/corpus

link-faults: $(VENV)/.test ## a thousand faults of each kind on the line during an evaluation (long)
	@ONNXINO_LINK_FAULTS=1000 $(BIN)/python -m pytest -q -rP tests/link/test_link_faults.py

kill-flash: $(VENV)/.test ## kill flash at 50 random moments; the next call must recover (minutes)
	@ONNXINO_KILLS=50 $(BIN)/python -m pytest -q tests/tools/test_flash_killed.py

float-errors: $(VENV)/.test ## the errors of exp, log, tanh and erf over all float32 values (minutes)
	@ONNXINO_FLOAT_ERRORS=full $(BIN)/python -m pytest -q -rP tests/engine/test_float_math.py -k test_errors

compress-digits: $(VENV)/.train ## what pruning, 8 bits and distillation do to the digits network (minutes; needs PyTorch)
	@$(BIN)/python examples/digits/compress.py

check: lint fresh $(VENV)/.dev ## style, types, generated files, and all tests with their coverage
	$(BIN)/python -m pytest -n $(JOBS) -q --cov --cov-report=term:skip-covered

fuzz-graphs: $(VENV)/.test ## 2,000 random graphs through ONNX Runtime, NumPy and C
	@ONNXINO_FUZZ_GRAPHS=2000 $(BIN)/python -m pytest -q tests/fuzz

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)

fresh: $(VENV)/.dev
	$(BIN)/python -m onnxino.schema.generate --check
	$(BIN)/python docs/generate_operators.py --check
	@$(BIN)/python -c "import sys; from onnxino_tools.build import prebuilt_is_fresh as fresh; \
	fresh() or sys.exit('error: the finished firmware image is older than its sources\nhint: make firmware')"

generate: $(VENV)/.dev ## the readers in Python and C from model.fbs, and docs/operators.md
	$(BIN)/python -m onnxino.schema.generate
	$(BIN)/python docs/generate_operators.py

firmware: $(VENV)/.dev ## the finished firmware image that is committed
	$(BIN)/python -c "from onnxino_tools.build import update_prebuilt; print(update_prebuilt())"

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
	@echo "making $(VENV) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.created
	@echo "installing Onnxino into $(VENV), about a minute the first time ..." >&2
	@$(INSTALL) '.[emulator,images,toolchain,verify]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.created
	@echo "installing Onnxino and its test tools into $(VENV), about a minute the first time ..." >&2
	@$(INSTALL) '.[test]'
	@touch $@ $(VENV)/.demo

$(VENV)/.train: pyproject.toml | $(VENV)/.created
	@echo "installing Onnxino, its test tools and PyTorch into $(VENV) ..." >&2
	@$(INSTALL) '.[test,train,notebooks]'
	@touch $@ $(VENV)/.test $(VENV)/.demo

$(VENV)/.dev: pyproject.toml | $(VENV)/.created
	@echo "installing Onnxino and its development tools into $(VENV) ..." >&2
	@$(INSTALL) '.[dev]'
	@touch $@ $(VENV)/.train $(VENV)/.test $(VENV)/.demo
