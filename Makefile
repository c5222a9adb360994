# make run | test | check | docs | bench. Needs Python 3.10+ with venv; npm and a chromium are optional.
#
#   make test PYTHON=python3.12 VENV=.venv312      another interpreter, beside the first
#   make test ARGS="tests/protocol -x"             arguments for pytest

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# The whole suite runs in several processes, a file at a time; chosen tests in one, where -x, -s
# and --pdb mean what they say. tests/conftest.py has how many, and which files come first.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --quiet --disable-pip-version-check
NPM := $(shell command -v npm 2>/dev/null)
# What mypy reads beside the package, as far as it exists.
TYPED := $(wildcard tests/typing benchmarks)

.PHONY: help run test check lint docs bench bench-quick bench-micro bench-growth bench-workers fuzz soak client
.DELETE_ON_ERROR:

help:
	@echo "make run     start the example"
	@echo "make test    run the tests"
	@echo "make check   formatting, lint, types, tests"
	@echo "make docs    build docs/_build/html; warnings are errors"
	@echo "make fuzz    fuzz every decoder; ARGS=\"--seconds 600 websocket_frames\" for one, for long"
	@echo "make soak    hundreds of clients of every kind, for minutes; ARGS=--crowd for attackers only"
	@echo "make bench   measure this server and its peers; needs gcc, pip, npm (also bench-quick,"
	@echo "             bench-micro, bench-growth, bench-workers)"

run: $(VENV)/.run client
	$(PY) -m example_app

test: $(VENV)/.test client
	$(PY) -m pytest $(or $(ARGS),$(PARALLEL))

check: lint test

# The parts of `check` that run nothing.
lint: $(VENV)/.dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy flask_sio $(TYPED)

docs: $(VENV)/.docs
	$(PY) -m sphinx -W --keep-going --quiet -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# Each peer is installed by the command, under benchmarks/.
bench: $(VENV)/.run
	$(PY) -m benchmarks $(ARGS)

bench-quick: $(VENV)/.run
	$(PY) -m benchmarks --quick $(ARGS)

bench-micro: $(VENV)/.run
	$(PY) -m benchmarks.micro $(ARGS)

bench-growth: $(VENV)/.run
	$(PY) -m benchmarks.growth $(ARGS)

bench-workers: $(VENV)/.run
	$(PY) -m benchmarks.workers $(ARGS)

# atheris has wheels for some interpreters only; without it the command says so.
fuzz: $(VENV)/.test
	@$(PIP) install --only-binary=atheris --editable '.[fuzz]' 2>/dev/null || true
	$(PY) -m tests.fuzz $(ARGS)

soak: $(VENV)/.test
	$(PY) -m tests.soak $(ARGS)

# One stamp per set of extras, renewed when setup.cfg changes. pip comes last in the making of
# a venv, so one that could not be finished is tried again.
$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "$(PYTHON) is older than 3.10 or missing; use make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "$(PYTHON) has no venv module (Debian: apt install python3-venv)"; exit 1; }

$(VENV)/.run: setup.cfg | $(VENV)/bin/pip
	$(PIP) install --editable .
	@touch $@

$(VENV)/.test $(VENV)/.docs $(VENV)/.dev: $(VENV)/.%: setup.cfg | $(VENV)/bin/pip
	$(PIP) install --editable '.[$*]'
	@touch $@

# The official JavaScript client, for the example's page and for the browser tests. Without it
# the page loads the client from its CDN and those tests are skipped; only CI insists.
ifdef NPM
client: node_modules/.package-lock.json

node_modules/.package-lock.json: package-lock.json package.json
	@$(NPM) ci --no-audit --no-fund --loglevel=error || { rm -rf node_modules; \
		echo "npm ci failed: going on without the JavaScript client"; \
		test -z "$$FLASK_SIO_CI"; }
else
client:
	@echo "npm is not here: going on without the JavaScript client"
	@test -z "$$FLASK_SIO_CI"
endif
