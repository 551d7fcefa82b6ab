# The same commands stand in the README and in .ci/run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN_STAMP := $(VENV)/.installed-run

SCRIPT_TOOLS := node_modules/.installed

.PHONY: install lock run docs space chromium node test test-all check check-python check-scripts conformance bench gpu mutants upstream attack workflows audit faults cluster versions newest

# Locked: every package by version and hash, all of them, so that pip need not resolve. torch comes afterwards, in
# the build that suits the machine, and finds what it needs.
LOCKED := -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r

$(RUN_STAMP): requirements.lock requirements-torch.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1" # older ones miss a cut-off download
	$(BIN)/python $(LOCKED) requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-torch.txt
	touch $@

$(STAMP): $(RUN_STAMP) requirements-dev.lock
	$(BIN)/python $(LOCKED) requirements-dev.lock
	touch $@

lock: ## requirements*.lock anew, after a change of requirements*.txt; UPGRADE=--upgrade takes the newest that those allow
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet $(UPGRADE) -c requirements-torch.txt -o requirements-dev.lock requirements-dev.txt
	$(BIN)/uv pip compile --quiet -c requirements-torch.txt -c requirements-dev.lock -o requirements.lock requirements.txt

install: $(STAMP) ## .venv with everything, and the data of the first recipe
	$(BIN)/python -m cdvft_app.catalog.offline minilm rotten_tomatoes

run: $(RUN_STAMP) ## the page, with a recipe that trains offline
	$(BIN)/python -m cdvft_app.catalog.offline minilm rotten_tomatoes
	$(BIN)/python app.py

docs: $(STAMP) $(SCRIPT_TOOLS) ## build/docs: the documentation as a site; fails for a link that leads nowhere, or to another host's file
	rm -rf build/docs-source build/docs
	mkdir -p build && cp -R docs build/docs-source
	mkdir build/docs-source/katex
	cd node_modules/katex/dist && cp -R katex.min.css katex.min.js contrib/auto-render.min.js fonts $(CURDIR)/build/docs-source/katex
	$(BIN)/python -m cdvft_app.settings.environment > build/docs-source/environment.md
	$(BIN)/python -m typer cdvft_app.commands.main utils docs --name "python -m cdvft_app" --title "All commands" \
	  --output build/docs-source/commands.md
	$(BIN)/zensical build --strict --config-file zensical.toml
	$(BIN)/python deploy/check_links.py build/docs

space: $(RUN_STAMP) ## build/space, which is pushed to a Hugging Face Space; served as one with ZeroGPU would
	$(BIN)/python deploy/build_space.py build/space $(SPACE)
	$(BIN)/python -m cdvft_app.catalog.offline minilm rotten_tomatoes
	$(BIN)/python tests/zero_gpu/as_space.py build/space

# The one without a window first: a visit costs it a third less.
chromium:
	@command -v chromium-headless-shell >/dev/null \
	  || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium-headless-shell; } \
	  || command -v chromium >/dev/null \
	  || { echo "The browser tests need Chromium: install 'chromium-headless-shell' or 'chromium' and try again."; exit 1; }

node:
	@command -v npm >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nodejs npm; } \
	  || { echo "The scripts' checks need Node.js 20 and npm: install 'nodejs' and 'npm' and try again."; exit 1; }

$(SCRIPT_TOOLS): package-lock.json | node
	npm ci --no-audit --no-fund --loglevel=error
	touch $@

test: install chromium ## run the tests, the app in Chromium included; at most six minutes on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist worksteal -m "not nightly and not cluster"

test-all: install chromium ## run the nightly tests as well
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist worksteal -m "not cluster"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster

cluster: install ## runs on a real Ray cluster of this machine: a head and two nodes, which are killed; some minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster tests/cdvft_app/executors

faults: install ## kills, full disks, and 200 flipped bits: does the store keep all events?
	CDVFT_FAULTS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults

check: check-python check-scripts docs ## lint, format, types, and what needs no browser of the scripts

check-python: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tests/language.py

check-scripts: $(SCRIPT_TOOLS)
	npm run --silent check

workflows: ## what actionlint finds in .github/workflows; it needs Go, which GitHub's machines have
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

AUDIT_TOOLS := build/audit/tools/bin

$(AUDIT_TOOLS)/pip-audit:
	$(PYTHON) -m venv build/audit/tools
	$(AUDIT_TOOLS)/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1 cyclonedx-bom==7.5.0

audit: $(RUN_STAMP) $(AUDIT_TOOLS)/pip-audit | node ## build/audit: an SBOM and the licences of what is shipped; known weaknesses in it
	$(BIN)/python deploy/audit.py $(AUDIT_TOOLS) build/audit

conformance: $(STAMP) ## PEFT's own test suite, run against CDVFT
	$(BIN)/python tests/conformance/run.py

versions: $(STAMP) ## the library's tests on Python 3.12 and 3.13, in environments outside the checkout
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	OMP_NUM_THREADS=1 $(BIN)/python tests/other_versions.py 3.12 3.13

newest: $(STAMP) ## the library's tests with the newest PEFT and transformers, in an environment outside the checkout
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	OMP_NUM_THREADS=1 $(BIN)/python tests/other_versions.py 3.11 --newest

mutants: $(STAMP) ## break the arithmetic in one place after another: does a test notice? over a quarter of an hour of processor time
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutants/mutate.py run --max-children 2
	$(BIN)/python tests/mutants/record.py

bench: $(STAMP) ## speed side by side, ratios measured in one run
	$(BIN)/python -m benchmarks.speed

gpu: $(STAMP) ## everything on a CUDA or MPS device: tests, layers, steps, memory, launches, decoding, races
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python -m benchmarks.gpu --tested

upstream: $(STAMP) ## the patches for PEFT, applied to its sources: its linter and its tests
	$(BIN)/python -m upstream.check

.PHONY: attack
attack: install ## a public server, attacked: all fuzzed files and requests
	CDVFT_ATTACK_LENGTH=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/attack
