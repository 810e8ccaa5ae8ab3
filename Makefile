# Every target is one word; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first Python of 3.10 to 3.14 that can make a virtual environment; PYTHON=... overrides it.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10 python3.14; do \
	"$$p" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null \
	&& "$$p" -c 'import venv, ensurepip' 2>/dev/null && { command -v "$$p"; break; }; done)
VENV ?= .venv
REQUIREMENTS ?= requirements/dev.txt
BIN := $(VENV)/bin

.PHONY: help
help:  ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

.PHONY: venv
venv: $(VENV)/.ready  ## Make the development environment in .venv.

$(VENV)/.ready: $(REQUIREMENTS) pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.14 with the venv module was found. On Debian or Ubuntu:" \
		"apt-get install python3 python3-venv, or say which to use: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@# The file is complete: pip need not, and for some extras cannot, resolve it once more.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(REQUIREMENTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e tests/mail_providers
	$(BIN)/python -m pip check
	@touch $@

.PHONY: lint
lint: venv  ## Check format, style, types and layers.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: venv  ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: test
test: lint test-quick test-system  ## Run every test: against Dovecot, PostgreSQL and Chromium where they are installed.

.PHONY: test-quick
test-quick: venv  ## The tests that need neither a whole Airflow nor a browser.
	$(BIN)/python -m pytest -m "not system" $(PYTEST_ARGS)

.PHONY: test-system
test-system: venv  ## Whole Airflow, real workers, the real connection form in a browser.
	$(BIN)/python -m pytest -m system $(PYTEST_ARGS)

.PHONY: test-lowest
test-lowest:  ## The quick tests on the lowest versions that the package declares.
	$(MAKE) test-quick VENV=.venv-lowest REQUIREMENTS=requirements/lowest.txt

SECOND_SERVER := tests/servers/oidc_provider

.PHONY: matrix
matrix: venv $(SECOND_SERVER)/node_modules/.ready  ## Every grant against a second, certified authorization server (needs Node.js 18 or later).
	$(BIN)/python -m pytest -m matrix tests/matrix $(PYTEST_ARGS)

$(SECOND_SERVER)/node_modules/.ready: $(SECOND_SERVER)/package-lock.json
	npm ci --prefix $(SECOND_SERVER) --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: soak
soak: venv  ## Kill renewals two hundred times, at steps and instants drawn by seed.
	$(BIN)/python -m pytest -m soak tests/tokens $(PYTEST_ARGS)

.PHONY: demo
demo: venv  ## Start servers on loopback, run the example DAG twice, show what landed.
	$(BIN)/python -m demo

.PHONY: demo-ui
demo-ui: venv  ## The same servers with Airflow's UI, left running for you to try.
	$(BIN)/python -m demo --ui

.PHONY: docs
docs: venv  ## Write docs/mail_providers.md from the profiles.
	$(BIN)/python docs/mail_providers.py

.PHONY: bench
bench: venv  ## Measure against the peers and write benchmarks/results.json.
	$(BIN)/python -m benchmarks

.PHONY: clean
clean:  ## Remove environments, caches and the demo's output.
	rm -rf .venv .venv-lowest .cache .demo demo-output .mypy_cache .ruff_cache .pytest_cache .import_linter_cache $(SECOND_SERVER)/node_modules

# The compiled files name versions and hashes, never the host they came from.
COMPILE := uv pip compile --quiet --universal --python-version 3.10 --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links
.PHONY: requirements
requirements:  ## Compile the hashed requirement files anew (needs uv on the PATH).
	$(COMPILE) --generate-hashes pyproject.toml requirements/dev.in -o requirements/dev.txt
	$(COMPILE) --resolution lowest-direct --no-deps pyproject.toml -o requirements/lowest-direct.txt
	$(COMPILE) --generate-hashes pyproject.toml requirements/dev.in requirements/lowest.in -c requirements/lowest-direct.txt \
		-o requirements/lowest.txt
