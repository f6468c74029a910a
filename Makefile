# Merismos: `make` says what there is. Needs Python 3.11 or newer, and nothing else.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
WORKERS ?= 2
# Any value other than empty and 0 turns a skipped test into a failed one.
REQUIRE_ALL ?=
export REQUIRE_ALL

.PHONY: help
help:
	@echo "make up       start a cluster on this machine: a master, two agents; Ctrl-C ends it (ARGS='--masters 3 --zk')"
	@echo "make test     every check, then every test (REQUIRE_ALL=1: a skipped test is a failed one)"
	@echo "make check    style, types, layers, sizes, generated files; no tests"
	@echo "make bench    measure, and write the table benchmarks/RESULTS.md"
	@echo "make sim      500 seeds of the simulation, each under two hash seeds (ARGS='--seed 7 --transcript' instead)"
	@echo "make stories  write the stories in tests/transcripts/stories anew, after a change of what passes between machines"
	@echo "make crash    kill -9 an agent 100 times at random instants, and look for what is lost, doubled or left over"
	@echo "make chaos    ten minutes of kill -9, SIGSTOP and cut links on a real cluster with ZooKeeper; then the ledger is compared"
	@echo "make fmt      format the code and mend what can be mended by machine"
	@echo "make clients  install the third-party Mesos clients that tests/clients runs (pip and npm)"
	@echo "make lock     pin the dependencies anew in requirements/"
	@echo "make clean    remove what was made here, the virtual environment included"

# ---------------------------------------------------------------- environment
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Merismos needs Python 3.11 or newer; $(PYTHON) is older or missing. Name another: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "making $(VENV) with $(PYTHON)" >&2
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "this Python can't make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/run.stamp: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "installing what Merismos runs on" >&2
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src/merismos
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	@echo "installing what the tests need" >&2
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

# ---------------------------------------------------------------- use
.PHONY: up
up: $(VENV)/run.stamp
	@exec $(BIN)/merismos up $(ARGS)

.PHONY: test
test: check clients
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

.PHONY: check
check: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/house

.PHONY: bench
bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: sim
sim: $(VENV)/run.stamp
	$(BIN)/python -m merismos.simulation $(if $(ARGS),$(ARGS),--seeds 500 --twice)

.PHONY: stories
stories: $(VENV)/dev.stamp
	@PYTHONPATH=tests $(BIN)/python -m transcripts.stories

# 10,000 agents, 1,000,000 tasks: up to 15 minutes and 12 GiB.
.PHONY: sim-big
sim-big: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks.simulation $(ARGS)

.PHONY: crash
crash: $(VENV)/dev.stamp
	MERISMOS_CRASHES=100 $(BIN)/python -m pytest -q tests/process/test_agent_crashes.py

# Needs root (network namespaces) and ZooKeeper; CHAOS_S=120 CHAOS_SEED=11 for another run.
.PHONY: chaos
chaos: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -q -s -p no:cacheprovider tests/process/chaos/run_chaos.py

.PHONY: fmt
fmt: $(VENV)/dev.stamp
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# What can't be installed here is noted with its reason; its tests are then skipped with that reason.
.PHONY: clients
clients: $(VENV)/dev.stamp
	@$(BIN)/python tests/clients/install.py

.PHONY: lock
lock: $(BIN)/python
	@tests/house/lock.sh

.PHONY: clean
clean:
	rm -rf $(VENV) var build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/clients/js/node_modules
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
