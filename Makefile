# Everything happens in .venv; nothing outside this folder is touched. `make help` says what there is.
RECENT := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
# The first that is recent enough; looked for only when .venv is made.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do $$python $(RECENT) 2>/dev/null && echo $$python && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
# Where PyTorch's CPU builds are, asked only when the usual sources have none (on Linux the usual one has CUDA builds only).
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# Hundreds of answers, each judged on its own: these tests share the cores. The others watch processes and files, one after the other.
PARALLEL := tests/meta/test_answer_bank.py tests/meta/test_misconceptions.py tests/meta/test_odd_results.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.PHONY: help install demo test lint bench soak stubs clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

install: $(VENV)/.installed ## set up .venv with everything a maintainer needs (CPU only)

demo: install ## grade a class of 30 submissions in the sandbox
	$(BIN)/handgrad demo

test: install ## run all tests but the long ones
	$(BIN)/python -m pytest $(foreach file,$(PARALLEL),--ignore=$(file)) $(ARGS)
	$(BIN)/python -m pytest -n auto $(PARALLEL) $(ARGS)

soak: install ## run the long tests
	$(BIN)/python -m pytest -m soak $(ARGS)

bench: install ## measure: CPU per submission, kill rates, milestones
	$(BIN)/python -m pytest tests/bench -s -o python_files='bench_*.py' -o python_functions='bench_* test_*' $(ARGS)

lint: install ## check style and syntax
	$(BIN)/ruff check .
	$(BIN)/python -m compileall -q autograder reference solutions assignments tests/unit tests/meta

stubs: install ## build assignments/ out of solutions/ (ARGS="rnn lstm" for some, ARGS=--no-bank to keep the banks)
	$(BIN)/python -m autograder.release $(ARGS)

clean: ## remove .venv and what tests and builds leave behind
	rm -rf $(VENV) build dist demo .pytest_cache .ruff_cache .hypothesis

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" && $(PYTHON) $(RECENT) || { echo "handgrad needs Python 3.11 or newer, and none was found. Say where it is: make install PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Setting up $(VENV) (a few minutes the first time) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu install python3-venv." >&2; exit 1; }
	@# Torch first and alone, so that a source without CPU builds cannot spoil the rest. Pinned to +cpu on Linux: a CUDA build never fits.
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt torch 2>/dev/null \
	  || $(BIN)/python -m pip install --quiet --constraint constraints.txt --extra-index-url $(TORCH_INDEX) torch
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@if $(BIN)/python -m pip list --format=freeze | grep -i '^nvidia-'; then echo "A CUDA build came in (see above). Remove $(VENV) and install a CPU build of torch." >&2; exit 1; fi
	@touch $@
	@echo "Done. Next: make demo, make test, or $(BIN)/handgrad --help"
