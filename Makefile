# Everything starts here: a virtual environment, then one target for each thing people do.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(wildcard plugins/*)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Most of what is installed is never imported; Python compiles the rest when it is.
INSTALL := PIP_CONSTRAINT=constraints.txt $(PIP) install --no-compile
SOURCES := flyte_host tests plugins docs/conf.py
EXTRAS := curl,dev,embedded,mcp,metrics,otel,postgres
BUILDING := "pip>=25.1" hatchling editables
RUNS ?= 100000

# Python keeps what it compiles, or each of the tests' many processes would compile it again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

serve: $(VENV)/.host ## run the example: flyte, three packs and their flows in one process
	cd docs/examples && exec ../../$(BIN)/flyte-host serve

test: $(VENV)/.dev ## everything CI runs
	@$(MAKE) --no-print-directory --jobs=2 lint compile
	@$(MAKE) --no-print-directory pytest

lint: $(VENV)/.dev ## ruff, mypy, import-linter
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

# What fails here fails in `pytest` again, where it is shown.
compile: $(VENV)/.dev
	-@$(BIN)/python -m pytest --collect-only --quiet --numprocesses=0 >/dev/null 2>&1

pytest: $(VENV)/.dev ## the tests
	@echo "Some 10,000 tests run now, several at a time: five to eight minutes on two idle cores."
	@echo "What fails or is skipped is listed by its name at the end."
	$(BIN)/python -m pytest $(COVERAGE)

coverage: COVERAGE := --cov --cov-report=term
coverage: pytest ## the tests with branch coverage, which takes half as long again

soak: $(VENV)/.dev ## the long fault tests; they print their figures
	$(BIN)/python -m pytest -m soak --numprocesses=0 -q $(SOAK) tests
	$(BIN)/python -m pytest --store=postgres -q tests/embedded tests/contract

nox: $(VENV)/.dev ## the tests on each Python that is there; SESSION=oldest or newest: of the dependencies
	$(BIN)/nox --noxfile tests/noxfile.py $(addprefix --session ,$(SESSION)) -- $(NOX)

fuzz: $(VENV)/.fuzz ## every parser of foreign bytes before a fuzzer; RUNS=100000 of each
	$(BIN)/python -m tests.support.fuzzing $(RUNS)

bench: RUNS = 5
bench: $(VENV)/.host ## figures beside references, in about half an hour; RUNS=5, AGAINST=path-or-revision
	$(BIN)/python -m tests.benchmarks --runs $(RUNS) $(addprefix --against ,$(AGAINST)) $(addprefix --only ,$(ONLY))

docs: $(VENV)/.dev ## the documentation as a site in .site, with every link checked
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs .site
	@echo "open .site/index.html"

format: $(VENV)/.dev ## rewrite the sources as ruff wants them
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

constraints: ## pin what pip resolves today
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --editable '.[$(EXTRAS)]' $(addprefix --editable ,$(PLUGINS))
	$(PIP) install $(BUILDING) && $(PIP) install --group dev --group fuzz
	$(BIN)/python -m pip freeze --exclude-editable --exclude pip > constraints.txt

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .site .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*

$(VENV)/.host: pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) $(BUILDING)
	$(INSTALL) --no-build-isolation --editable '.[$(EXTRAS)]' $(addprefix --editable ,$(PLUGINS))
	@touch $@

$(VENV)/.fuzz: $(VENV)/.dev
	$(INSTALL) --group fuzz
	@touch $@

$(VENV)/.dev: $(VENV)/.host
	$(INSTALL) --group dev
	@touch $@

.PHONY: help serve test lint compile pytest coverage soak nox fuzz bench docs format constraints clean
