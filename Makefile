# One command for each thing one does here; `make` lists them. Works with GNU Make 3.81, which macOS ships.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CREATED := $(VENV)/.created
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install install-dev demo test lint coverage docs format lock soak bench profile clean rebuild-venv

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- setting up -------------------------------------------------------------------------------------------------

install: $(INSTALLED) ## set up .venv with what the service needs (PYTHON=python3.12 chooses the interpreter)

install-dev: $(INSTALLED_DEV) ## the same, with what tests, lint and docs need

# The Dockerfile runs these two pip commands as they stand here; tests/test_house.py compares them.
$(INSTALLED): $(CREATED) requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# requirements-dev.txt contains all of requirements.txt, in the same versions.
$(INSTALLED_DEV): $(CREATED) requirements-dev.txt requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(INSTALLED) $@

# An environment whose Python is gone, or is another than the one asked for by name, is made again.
version_of = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
ifeq ($(realpath $(BIN)/python),)
$(CREATED): rebuild-venv
else ifneq ($(filter environment command,$(origin PYTHON)),)
ifneq ($(call version_of,$(PYTHON)),$(call version_of,$(BIN)/python))
$(CREATED): rebuild-venv
endif
endif

$(CREATED):
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "There is no '$(PYTHON)'. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3.12"; exit 1; } >&2
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "'$(PYTHON)' is $$("$(PYTHON)" --version 2>&1); Python 3.11 or newer is needed."; \
	  for other in python3.14 python3.13 python3.12 python3.11; do \
	    if $$other -c "" 2>/dev/null; then echo "This machine has one: make PYTHON=$$other"; break; fi; \
	  done; exit 1; } >&2
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null && "$(PYTHON)" -m venv --clear $(VENV) || { \
	  rm -rf $(VENV); \
	  echo "'$(PYTHON) -m venv' does not work here. Install what it needs, then run make again:"; \
	  echo "  Debian, Ubuntu:  apt install python3-venv"; \
	  echo "  Fedora, RHEL:    dnf install python3 python3-pip"; \
	  echo "  macOS:           brew install python"; exit 1; } >&2
	@touch $@

# --- using ------------------------------------------------------------------------------------------------------

demo: $(INSTALLED) ## a database and an API on http://127.0.0.1:8081 (PORT=9000 for another port); Ctrl-C stops it
	@$(BIN)/python examples/demo.py

# --- checking ---------------------------------------------------------------------------------------------------

test: lint coverage docs ## everything that CI checks: lint, types, import contracts, tests, coverage, docs

lint: $(INSTALLED_DEV) ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict data_resource_api
	$(BIN)/lint-imports

# Processes that run tests at once: they wait more than they compute. A file's tests stay together, since
# they share a service; conftest.py has the longest files first.
TESTERS ?= 4

coverage: $(INSTALLED_DEV) ## the tests alone, with branch coverage (TESTERS=1: one process)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

docs: $(INSTALLED_DEV) ## the documentation, in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -E -b html docs docs/_build/html

format: $(INSTALLED_DEV) ## put every file in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: $(INSTALLED_DEV) ## the long versions of the tests: more cases, more kills
	$(BIN)/python -m pytest -m soak

bench: $(INSTALLED_DEV) ## write docs/benchmarks.md from this machine (BENCH=--quick: does it work)
	$(BIN)/python -m benchmarks $(BENCH)

profile: $(INSTALLED_DEV) ## where the time of a request goes: flame graphs in .cache/profiles
	$(BIN)/python -m benchmarks.profile $(PROFILE)

# --- keeping ----------------------------------------------------------------------------------------------------

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate pyproject.toml

lock: $(INSTALLED_DEV) ## make the requirements files from pyproject.toml (UPGRADE=--upgrade for newer versions)
	$(COMPILE) $(UPGRADE) --group build -o requirements.txt
	$(COMPILE) $(UPGRADE) --extra otel --group dev -c requirements.txt -o requirements-dev.txt

clean: ## remove what can be made again; the data in var/ and static/ stay
	rm -rf $(VENV) build dist docs/_build .coverage .coverage.* .cache .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
