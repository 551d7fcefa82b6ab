# The README and .ci/run use these targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN_STAMP := $(VENV)/.installed-run

SCRIPT_TOOLS := node_modules/.installed

.PHONY: install lock run docs space chromium node test test-all check check-python check-scripts conformance bench gpu mutants upstream attack workflows audit faults cluster versions newest

# The lock files list every package with version and hash, so pip resolves nothing. torch is installed afterwards, in
# the build for the machine.
LOCKED := -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r

$(RUN_STAMP): requirements.lock requirements-torch.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1" # older versions do not detect incomplete downloads
	$(BIN)/python $(LOCKED) requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-torch.txt
	touch $@

$(STAMP): $(RUN_STAMP) requirements-dev.lock
	$(BIN)/python $(LOCKED) requirements-dev.lock
	touch $@

lock: ## rebuild requirements*.lock after a change of requirements*.txt; UPGRADE=--upgrade selects the newest allowed versions
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet $(UPGRADE) -c requirements-torch.txt -o requirements-dev.lock requirements-dev.txt
	$(BIN)/uv pip compile --quiet -c requirements-torch.txt -c requirements-dev.lock -o requirements.lock requirements.txt

install: $(STAMP) ## set up .venv with all packages and the data of the first recipe
	$(BIN)/python -m cdvft_app.catalog.offline minilm rotten_tomatoes

run: $(RUN_STAMP) ## serve the app with a recipe that trains offline
	$(BIN)/python -m cdvft_app.catalog.offline minilm rotten_tomatoes
	$(BIN)/python app.py

docs: $(STAMP) $(SCRIPT_TOOLS) ## build the documentation in build/docs; fails on broken links and on files from other hosts
	rm -rf build/docs-source build/docs
	mkdir -p build && cp -R docs build/docs-source
	mkdir build/docs-source/katex
	cd node_modules/katex/dist && cp -R katex.min.css katex.min.js contrib/auto-render.min.js fonts $(CURDIR)/build/docs-source/katex
	$(BIN)/python -m cdvft_app.settings.environment > build/docs-source/environment.md
	$(BIN)/python -m typer cdvft_app.commands.main utils docs --name "python -m cdvft_app" --title "All commands" \
	  --output build/docs-source/commands.md
	$(BIN)/zensical build --strict --config-file zensical.toml
	$(BIN)/python deploy/check_links.py build/docs

space: $(RUN_STAMP) ## build build/space for a Hugging Face Space, and serve it as ZeroGPU would
	$(BIN)/python deploy/build_space.py build/space $(SPACE)
	$(BIN)/python -m cdvft_app.catalog.offline minilm rotten_tomatoes
	$(BIN)/python tests/zero_gpu/as_space.py build/space

# Prefer the headless shell: it needs a third less time per page.
chromium:
	@command -v chromium-headless-shell >/dev/null \
	  || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium-headless-shell; } \
	  || command -v chromium >/dev/null \
	  || { echo "The browser tests need Chromium: install 'chromium-headless-shell' or 'chromium' and try again."; exit 1; }

node:
	@command -v npm >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nodejs npm; } \
	  || { echo "The script checks need Node.js 20 and npm: install 'nodejs' and 'npm' and try again."; exit 1; }

$(SCRIPT_TOOLS): package-lock.json | node
	npm ci --no-audit --no-fund --loglevel=error
	touch $@

test: install chromium ## run the tests, including the app in Chromium; at most six minutes on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist worksteal -m "not nightly and not cluster"

test-all: install chromium ## run all tests, including the nightly ones
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist worksteal -m "not cluster"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster

cluster: install ## run the tests on a local Ray cluster with a head and two nodes; takes some minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster tests/cdvft_app/executors

faults: install ## test the store with kills, full disks, and 200 flipped bits
	CDVFT_FAULTS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults

check: check-python check-scripts docs ## check lint, formatting, types, names, scripts, and documentation

check-python: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tests/language.py

check-scripts: $(SCRIPT_TOOLS)
	npm run --silent check

workflows: ## run actionlint on .github/workflows; needs Go
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

AUDIT_TOOLS := build/audit/tools/bin

$(AUDIT_TOOLS)/pip-audit:
	$(PYTHON) -m venv build/audit/tools
	$(AUDIT_TOOLS)/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1 cyclonedx-bom==7.5.0

audit: $(RUN_STAMP) $(AUDIT_TOOLS)/pip-audit | node ## write an SBOM and all licenses to build/audit, and list known vulnerabilities
	$(BIN)/python deploy/audit.py $(AUDIT_TOOLS) build/audit

conformance: $(STAMP) ## run PEFT's own test suite against CDVFT
	$(BIN)/python tests/conformance/run.py

# Environments outside the checkout: uv would lock for the pyproject.toml that it finds.
ENVIRONMENTS := $(or $(CDVFT_CACHE),$(HOME)/.cache/cdvft)/environments
UV := cd $(HOME) && $(CURDIR)/$(BIN)/python -m uv

# The library's tests in the environment of the name $*, with Python $(VERSION) and the packages $(NEWEST) upgraded.
environment-%: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) venv --quiet --allow-existing --seed --python $(VERSION) $(ENVIRONMENTS)/$*
	$(UV) pip install --quiet --python $(ENVIRONMENTS)/$*/bin/python --no-deps --require-hashes -r $(CURDIR)/requirements-dev.lock
	$(UV) pip install --quiet --python $(ENVIRONMENTS)/$*/bin/python -r $(CURDIR)/requirements-torch.txt
	$(if $(NEWEST),$(UV) pip install --quiet --python $(ENVIRONMENTS)/$*/bin/python $(foreach name,$(NEWEST),--upgrade-package $(name)) $(NEWEST))
	OMP_NUM_THREADS=1 $(ENVIRONMENTS)/$*/bin/python -m pytest tests/cdvft

versions: ## the library's tests on Python 3.12 and 3.13, in environments outside the checkout
	$(MAKE) environment-3.12 VERSION=3.12
	$(MAKE) environment-3.13 VERSION=3.13

newest: ## the library's tests with the newest PEFT and transformers, in an environment outside the checkout
	$(MAKE) environment-newest VERSION=3.11 NEWEST="peft transformers"

mutants: $(STAMP) ## run mutation tests of the arithmetic; more than 15 minutes of processor time
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutants/mutate.py run --max-children 2
	$(BIN)/python tests/mutants/record.py

bench: $(STAMP) ## measure the speed of layers and training steps
	$(BIN)/python -m benchmarks.speed

gpu: $(STAMP) ## test and measure everything on a CUDA or MPS device
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python -m benchmarks.gpu --tested

upstream: $(STAMP) ## apply the patches to PEFT's sources, and run its linter and tests
	$(BIN)/python -m upstream.check

.PHONY: attack
attack: install ## attack a public server with all requests and fuzzed files
	CDVFT_ATTACK_LENGTH=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/attack
