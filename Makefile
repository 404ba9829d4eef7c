# Everything runs in .venv, which these targets make by themselves: an externally managed Python is never touched.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3,10) <= sys.version_info[:2] <= (3,13))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SCHEDULERS := .venv-schedulers
SUPERSET := .venv-superset
# Superset's own requirements have no wheels for Python 3.13.
SUPERSET_PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3,10) <= sys.version_info[:2] <= (3,12))' 2>/dev/null && { echo $$p; break; }; done)
PYTHONS := .venv-pythons

# What `make test-pythons` runs: no process is started and killed, nothing needs a server, and yet each layer is met.
FAST ?= tests/rest tests/schema tests/sandbox tests/source/test_credentials.py tests/source/test_source.py tests/sync/test_setting_ranges.py

.DEFAULT_GOAL := help
.PHONY: echarts help demo test test-pythons lint types docs audit bench chaos schedulers superset check lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.13 found - install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) has no venv module - on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY) ## a portal on this machine, loaded into DuckDB, and what came out
	@$(BIN)/python pipelines/demo.py

test: $(READY) ## the whole test suite
	@$(BIN)/python -m pytest -q -n auto

test-pythons: ## the fast part of the suite with every Python 3.10 to 3.13 of this machine, those of pyenv included
	@$(if $(PYTHON),$(PYTHON),python3) .ci/test_pythons.py $(PYTHONS) $(FAST)

lint: $(READY) ## ruff: rules and format; import-linter: which package may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo

types: $(READY) ## mypy --strict
	@$(BIN)/mypy

docs: $(READY) ## the documentation as a site in site/; `make docs DOCS=serve` shows it while you write
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs $(if $(DOCS),$(DOCS),build --strict --quiet)

audit: $(READY) ## known vulnerabilities of what is installed (skipped where their database cannot be reached)
	@$(BIN)/python .ci/audit.py

bench: $(READY) ## speed and memory beside other clients and a floor, as a table (some minutes)
	@$(BIN)/python bench/run.py $(BENCH)

chaos: $(READY) ## loads that are killed and lied to, and the tables compared with the portal (ten minutes at most)
	@$(BIN)/python -m pytest -q -n auto -m slow tests
	@$(BIN)/python tests/survival/chaos/chaos.py $(CHAOS)
	@$(BIN)/python tests/survival/chaos/killed_jobs.py

schedulers: ## the example jobs in a real Airflow and Dagster, in an environment of their own
	@test -x $(SCHEDULERS)/bin/python || $(PYTHON) -m venv $(SCHEDULERS)
	@$(SCHEDULERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/schedulers.txt
	@$(SCHEDULERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(SCHEDULERS)/bin/python -m pytest -q tests/schedulers

superset: ## the dashboard on the marts in a real Superset, its charts compared with SQL, and screenshots (ten minutes)
	@test -n "$(SUPERSET_PYTHON)" || { echo "Superset needs Python 3.10 to 3.12 - name one: make superset SUPERSET_PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test -x $(SUPERSET)/bin/python || $(SUPERSET_PYTHON) -m venv $(SUPERSET)
	@$(SUPERSET)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/superset.txt
	@$(SUPERSET)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(SUPERSET)/bin/python tools/superset/prove.py

check: lint types test audit ## lint + types + test + audit

echarts: ## renews the charts that the report embeds (needs npm)
	@tools/echarts/build.sh

LOCK := uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --no-annotate
lock: ## renews the lock files in requirements/ from pyproject.toml (needs uv)
	$(LOCK) --extra dev --output-file requirements/dev.txt pyproject.toml
	$(LOCK) --extra schedulers --output-file requirements/schedulers.txt pyproject.toml
	$(LOCK) --extra superset --output-file requirements/superset.txt pyproject.toml

clean: ## removes everything that these targets made
	rm -rf $(VENV) $(SCHEDULERS) $(SUPERSET) .superset $(PYTHONS) site .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist bitrix24_demo.duckdb bitrix24_demo.html
