# Everything from a clean checkout, with Python 3.11 or newer, pip and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tested set; CONSTRAINTS= takes whatever is newest.
CONSTRAINTS ?= -c constraints.txt
# Clients of a Hub that are not ours, for the tests that put them in front of the tests' Hub.
CLIENTS := .clients
export GENZOO_CLIENTS ?= $(abspath $(CLIENTS))

.PHONY: quickstart test test-all test-oldest test-newest lint zoo calibrate fuzz mutate kills clients clean

quickstart: $(VENV)/.installed
	$(BIN)/genzoo quickstart

# What every change must pass: under ten minutes of two cores.
test: $(VENV)/.tests-installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not full'

# Every test: those marked full too.
test-all: $(VENV)/.tests-installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# The suite with the oldest and the newest versions that pyproject.toml admits; run by hand.
test-oldest test-newest:
	PYTHON=$(PYTHON) bash .ci/versions $(@:test-%=%)

lint: $(VENV)/.dev-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Every model of model_cards/ again from its recipe; trainings that were interrupted go on.
zoo: $(VENV)/.tests-installed
	BIN=$(BIN) model_cards/remake $(MODELS)

# Whether the standard errors of figures are right; goes on with the cells that are not measured yet.
calibrate: $(VENV)/.tests-installed
	$(BIN)/python benchmarks/error_calibration.py

# Folders of every model, changed at random and loaded under watch. What was done is kept in .fuzz/,
# so that it goes on; FUZZ="--cases 50000" asks for more, FUZZ="--seed 1" for others.
fuzz: $(VENV)/.tests-installed
	$(BIN)/python tests/fuzz.py $(FUZZ)

# Small faults, one at a time, in a copy of the code: the tests must notice them. What was done is kept
# in .mutate/, so that it goes on; MUTATE="--only FILE..." takes some of tests/mutated_files.txt.
mutate: $(VENV)/.tests-installed .mutate/packages
	PYTHONPATH=$(abspath .mutate/packages) $(BIN)/python tests/mutate.py $(MUTATE)

.mutate/packages: $(VENV)/.tests-installed
	$(BIN)/python -m pip install --quiet --upgrade --target $@ coverage
	touch $@

# Processes killed while they save, and runs signalled at random moments. What was done is kept in
# .kills/, so that it goes on; KILLS="--saves 2000 --signals 100 --pairs 40" asks for more.
kills: $(VENV)/.tests-installed
	$(BIN)/python tests/kills.py $(KILLS)

clients: $(VENV)/.tests-installed
	PYTHON=$(BIN)/python bash .ci/clients $(CLIENTS)

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest $(CLIENTS) dist build quickstart

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "genzoo needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e .
	touch $@

$(VENV)/.tests-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e '.[test]'
	touch $@

$(VENV)/.dev-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e '.[dev]'
	touch $@
