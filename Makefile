# The only commands that people and CI use. Each sets up what it needs in .venv, from the versions in constraints.txt.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Modules are compiled when they are first imported: most never are, and compiling all is a third of the time.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# The official API package requires the full `tensorflow` beside `tensorflow-cpu`; tests and benchmarks need its messages only.
PEER := tensorflow-serving-api==2.21.0
# Keras' own BERT and GPT-2, which the tests publish. It requires tensorflow-text, which its backbones do not import.
ZOO := keras-hub==0.25.0 kagglehub==1.0.3 kagglesdk==0.1.38 regex==2026.11.19
# How long `make fuzz` runs each target.
FUZZ_SECONDS ?= 600
# How often `make torture` kills.
KILLS ?= 3000
# What `make test-docker` runs.
DOCKER_TESTS ?= tests/docker

# What `make test-fast` leaves out, beside what is marked slow.
SLOW_FOLDERS := tests/docker tests/training tests/export tests/system tests/deploy tests/monitoring \
  tests/clients_elsewhere tests/conformance tests/release tests/console

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-docker check bench format fuzz torture protos lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## the environment in .venv

$(VENV)/.ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: Python 3.11 is needed, '$(PYTHON)' was not found; name yours: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "setup: packages into $(VENV) (about a minute, 1.5 GB; once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@PIP_CONSTRAINT=constraints.txt $(PIP) --editable '.[dev]'
	@$(PIP) --no-deps $(PEER) $(ZOO)
	@touch $@

demo: setup ## train, export, prove, publish, serve, predict, swap under load
	@$(BIN)/modelport demo

test: setup ## all tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal --ignore=tests/docker

test-fast: setup ## the tests of a minute and a half: nothing that trains, exports, or takes seconds by its nature
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" --hypothesis-profile=fast $(SLOW_FOLDERS:%=--ignore=%)

test-docker: setup ## our image, the stack and the swarm on a Docker engine, used and broken; skips where there is none
	@$(BIN)/python -m pytest $(DOCKER_TESTS)

check: setup ## formatter, linter, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: setup ## let the formatter and the linter mend what they can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## every benchmark, as ratios against a peer measured in the same run
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

fuzz: setup ## look for inputs that break the decoders; FUZZ_SECONDS for each target (600)
	@mkdir -p build/fuzz/json build/fuzz/wire
	@failed=0; for name in json wire; do echo "== fuzz_$$name: new inputs go to build/fuzz/$$name, findings to build/fuzz"; \
	  $(BIN)/python tests/fuzz/fuzz_$$name.py -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -artifact_prefix=build/fuzz/ \
	    build/fuzz/$$name tests/fuzz/corpus/$$name || failed=1; done; exit $$failed

torture: setup ## kill and crowd the writers of a repository; KILLS at random moments (3000)
	@$(BIN)/python -m tests.torture.random_kills --kills $(KILLS)
	@$(BIN)/python -m tests.torture.crowd --seconds 60
	@$(BIN)/python -m tests.torture.training_kills --kills 20

protos: setup ## compile modelport/wire/protos to the descriptor set and the type stubs
	@$(BIN)/python -m modelport.wire.compile

lock: ## resolve the newest allowed versions into constraints.txt
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]'
	@{ echo "# Made by 'make lock': the versions that every 'make' command and the image install."; \
	  build/lock/bin/python -m pip freeze --all --exclude pip --exclude modelport | \
	  sed 's/^tensorflow_cpu==\(.*\)/tensorflow==\1\n&/'; } > constraints.txt # arm64 has tensorflow in its place

clean: ## remove the environment and what the tools left
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info
