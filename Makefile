# make demo   a server, a client and a tiny model: out/demo.mp4 and out/demo.png
# make test   everything that must hold: style, types, tests
# make test-faults   the server's fault tests at its own timings, a quarter of an hour
#
# Both set up .venv/ first, with every distribution of the tree installed editable. Python 3.11 or later
# and make are all they need. Another Python: make PYTHON=/path/to/python3; another torch: make TORCH=….

PYTHON ?= python3.11
TORCH ?= torch==2.13.0
WORKERS ?= 2

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

PYPROJECTS := $(wildcard ./pyproject.toml plugins/*/pyproject.toml proto/pyproject.toml \
	server/pyproject.toml clients/python/pyproject.toml)
PROJECTS := $(PYPROJECTS:/pyproject.toml=)
TESTED := $(patsubst %/pyproject.toml,%,$(shell grep -l '^test = \[' $(PYPROJECTS)))
# Generated stubs are read, not checked.
TYPED := wancore tools $(patsubst %/__init__.py,%,$(wildcard plugins/*/wancore_*/__init__.py \
	server/wancore_server/__init__.py clients/python/wancore_client/__init__.py examples/*/*/__init__.py))

# A stamp is named after what it stands for: when a pyproject.toml changes, there is no such stamp.
KEY := $(shell cat $(PYPROJECTS) | cksum | cut -d ' ' -f 1)
READY := .venv/ready-$(KEY)
READY_TO_TEST := .venv/ready-to-test-$(KEY)

# The files that the table of faults names; sessions have timings of their own in every run.
FAULTS := $(sort $(shell grep -oE '`test_[a-z0-9_]+\.py' docs/service-faults.md | tr -d '`'))

# Tests run beside each other, one thread each.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export MYPYPATH := proto

.PHONY: setup setup-test test test-faults lint format demo clean

setup: $(READY)

setup-test: $(READY_TO_TEST)

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --hypothesis-profile=repeatable

# Not part of `test`: its waits are the server's own, up to two minutes each.
test-faults: $(READY_TO_TEST)
	WANCORE_TEST_TIMINGS=default $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --hypothesis-profile=repeatable \
		$(addprefix tests/server/,$(FAULTS))

lint: $(READY_TO_TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -n $(WORKERS) $(TYPED)

format: $(READY_TO_TEST)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: $(READY)
	$(BIN)/python tools/demo.py out

clean:
	rm -rf .venv out build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name '*.egg-info' -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv .venv

# torch first and by itself, so that TORCH can name an index of its own; then what builds need.
$(READY): | $(BIN)/python
	$(PIP) install $(TORCH)
	$(PIP) install --quiet "setuptools>=77" wheel
	$(PIP) install --quiet --no-build-isolation $(foreach project,$(PROJECTS),-e $(project))
	rm -f .venv/ready-*
	touch $@

$(READY_TO_TEST): $(READY)
	$(PIP) install --quiet --no-build-isolation $(foreach project,$(TESTED),-e "$(project)[test]")
	touch $@
