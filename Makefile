# Needs Python 3.12 and make, nothing else: every target first fills the virtual environments it uses.

PYTHON ?= python3.12
ENVIRONMENT ?= dev
FORMAT ?= text
BASE ?= HEAD^1
WORKERS ?= 3

BIN := .venv/bin
SAM := PATH="$(CURDIR)/.venv-sam/bin:$(CURDIR)/$(BIN):$$PATH" SAM_CLI_TELEMETRY=0 MAKEFLAGS= sam
CHECKED := engine handler.py tools tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests test test-fast proof simulate fuzz soak e2e lint lint-types lint-rest format build demo play bench bench-gates bench-save policies review sbom digest deploy deploy-built lock clean distclean build-ReconcilerFunction build-CatchUpFunction build-ArchiveFunction build-ExplainFunction build-python
.DELETE_ON_ERROR:

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## fill the virtual environments (.venv and three more)
	@$(PYTHON) tools/environments.py

setup-tests: setup ## fill four more, which only tests use (checkov, moto, the bill of materials, zizmor)
	@$(PYTHON) tools/environments.py checkov moto sbom zizmor

# One worker more than cores, since tests wait for the local AWS; what shares a deployed stack stays on one worker, the longest
# come first (tests/support/scheduling.py). Bytecode is kept, whatever the environment says: hundreds of processes import the engine.
IN_PARALLEL := -n $(WORKERS) --dist loadscope --no-loadscope-reorder
test test-fast proof e2e: export PYTHONDONTWRITEBYTECODE :=

# Chance is drawn from the last commit of code: each has histories and examples that none had before, and anybody who proves it,
# or a later page of docs/, sees the same.
CODE := engine handler.py policies template.yaml tests tools benchmarks
CHANCE ?= $(shell printf '%d' "0x0$$(git log -1 --format=%H -- $(CODE) 2>/dev/null | cut -c 1-7)")

test: export BUILT := $(BUILT)
test: lint setup-tests ## everything that must hold: lint, types, template, tests, coverage (BUILT=FOLDER tests that build)
	$(BIN)/python -m pytest $(IN_PARALLEL) --database=strict --hypothesis-seed=$(CHANCE) --cov --cov-report=
	@echo "which lines no test runs: $(BIN)/coverage report"

SEEDS ?= 0:1000
FRESH ?= 1000

proof: setup-tests ## the tests that take minutes at full size: the whole trace, 100,000 recounts, 10,000 fuzzed policies ...
	@echo "chance: $(CHANCE), of the last commit of code; CHANCE=NUMBER proves with the same or another"
	PROOF=$(if $(WHOLE),whole,part) $(BIN)/python -m pytest $(IN_PARALLEL) -m "proof or sized or both" --timeout=3600 --hypothesis-seed=$(CHANCE) --durations=0 --durations-min=5
	$(BIN)/python -m tests.simulation --seeds $(CHANCE):$$(($(CHANCE) + $(FRESH))) --complete

simulate: setup ## histories of a world in which everything goes wrong, on all cores, each from its seed (SEEDS=FIRST:END)
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

SECONDS ?= 60
DOORS ?=

fuzz: setup ## inputs that grow by what they reach, SECONDS of the processor for each door (DOORS="queue files")
	$(BIN)/python -m tests.fuzz $(DOORS) --seconds $(SECONDS) --keep .fuzz

MINUTES ?= 30
ENGINE ?= local

soak: setup ## eight processes at work on a local AWS, one killed every few seconds (MINUTES=30 ENGINE=local or strict)
	$(BIN)/python -m tests.soak --minutes $(MINUTES) --engine $(ENGINE)

test-fast: setup-tests ## the tests alone, in one process
	$(BIN)/python -m pytest

e2e: setup ## the template on a local AWS, end to end: events, queue, runs, permissions, alarms, dead letters, update, deletion
	@begun=$$(date +%s); $(BIN)/python -m pytest tests/aws -m e2e --durations=5 && \
		echo "built, deployed and proved end to end in $$(($$(date +%s) - begun)) seconds"

lint: setup ## ruff, mypy, the floors of the house and cfn-lint
	@$(MAKE) --no-print-directory --jobs=2 lint-types lint-rest

lint-types: # as long as all others together
	$(BIN)/mypy

lint-rest:
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/lint-imports
	$(BIN)/cfn-lint template.yaml

format: setup ## let ruff put the code in shape
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

build: setup ## the SAM artifact, in .aws-sam/build
	$(SAM) build

demo: setup ## a day of events on a local AWS, checked against values worked out by hand
	$(BIN)/python -m tools.demo

play: setup ## the same day, then the local AWS stays until Ctrl-C, with the commands to try
	@$(BIN)/python -m tools.demo --play

bench: setup ## how fast everything is, written to docs/performance.md
	@mkdir -p .benchmarks
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-json=.benchmarks/latest.json
	$(BIN)/python -m benchmarks.report .benchmarks/latest.json
	-$(BIN)/python -m benchmarks.compare .benchmarks/latest.json

bench-save: ## save the figures of the last `make bench`, for later commits to be compared with
	$(BIN)/python -m benchmarks.compare .benchmarks/latest.json --save

bench-gates: setup ## fail where something is too slow, or has become slower than the saved figures
	@mkdir -p .benchmarks
	$(BIN)/python -m pytest benchmarks -m "not peers" --benchmark-json=.benchmarks/gates.json
	$(BIN)/python -m benchmarks.compare .benchmarks/gates.json

policies: setup ## every mistake in the policies (FORMAT=github annotates a pull request)
	$(BIN)/reconciler validate --format $(FORMAT) policies/*.yaml docs/recipes/*/policy.yaml

review: setup ## what edited policies would have done to real events, for a pull request (BASE=COMMIT PLAN_EVENTS=...): .review/plan.md
	@$(BIN)/python -m tools.review .review --base $(BASE) $(if $(OUTPUT),--output $(OUTPUT))

deploy: build ## to AWS, with your credentials (ENVIRONMENT=dev, staging or prod)
	@$(BIN)/python -m tools.delivery $(ENVIRONMENT) $(DEPLOY_OPTIONS)
	$(SAM) deploy --config-env $(if $(filter dev,$(ENVIRONMENT)),default,$(ENVIRONMENT)) $(DEPLOY_OPTIONS)

sbom: setup ## what was built, as a software bill of materials (CycloneDX): .aws-sam/sbom/
	$(BIN)/python -m tools.environments sbom
	.venv-sbom/bin/python -m tools.sbom .aws-sam/build .aws-sam/sbom

digest: ## the digest of what was built (OUTPUT=FILE appends it as digest=...)
	@$(PYTHON) -m tools.tree .aws-sam/build $(OUTPUT)

deploy-built: setup ## to AWS, what was built and tested before, and only if its digest is DIGEST
	@$(PYTHON) -m tools.tree .aws-sam/build --is $(DIGEST)
	@$(BIN)/python -m tools.delivery $(ENVIRONMENT) $(DEPLOY_OPTIONS)
	$(SAM) deploy --template-file .aws-sam/build/template.yaml --config-env $(if $(filter dev,$(ENVIRONMENT)),default,$(ENVIRONMENT)) $(DEPLOY_OPTIONS)

COMPILE := uv pip compile --quiet --generate-hashes --universal --python-version 3.12 --no-emit-index-url --no-strip-extras $(UPGRADE)

lock: setup ## lock the requirements again (UPGRADE=--upgrade takes the newest)
	$(BIN)/$(COMPILE) --all-extras --group dev pyproject.toml -o requirements.txt
	$(BIN)/$(COMPILE) pyproject.toml -o requirements/lambda.txt
	$(BIN)/$(COMPILE) --extra explain -c requirements.txt pyproject.toml -o requirements/explain.txt
	for name in browser build checkov fuzz ministack moto node peers ric sam sbom spark zizmor; do $(BIN)/$(COMPILE) requirements/$$name.in -o requirements/$$name.txt || exit 1; done

clean: ## remove what was built
	rm -rf .aws-sam .local-aws .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .benchmarks .hypothesis .fuzz .review dist
	find engine tools tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environments as well
	rm -rf .venv .venv-sam .venv-ministack .venv-ric .venv-node .venv-peers .venv-checkov .venv-moto .venv-sbom .venv-fuzz .venv-browser .venv-spark .venv-zizmor .editor

# What `sam build` calls, in this folder, with ARTIFACTS_DIR set: here, and in the build image of `sam build --use-container`.
# It works without `make setup`, and looks at nothing that lies beside it: no .venv, and no package but the locked ones.
#
# /var/task is read-only, and its files have whatever time stamps the packer gave them: only bytecode that is never
# compared with its source (unchecked-hash) spares each cold start compiling everything again.

# A container mounts this folder read-only.
SCRATCH := $(shell if test -w .; then echo .aws-sam; else echo $${TMPDIR:-/tmp}/credit-reconciler-build; fi)
BUILD_PYTHON = $(SCRATCH)/python/bin/python
ALONE = -I -S
BYTECODE = $(BUILD_PYTHON) $(ALONE) -m compileall -q --invalidation-mode unchecked-hash
digest = $(shell cksum < $(1) | cut -d ' ' -f 1)
PACKAGES := $(SCRATCH)/packages/$(call digest,requirements/lambda.txt)
EXPLAIN_PACKAGES := $(SCRATCH)/packages-explain/$(call digest,requirements/explain.txt)

$(PACKAGES): LOCK = requirements/lambda.txt
$(EXPLAIN_PACKAGES): LOCK = requirements/explain.txt
build-ReconcilerFunction build-CatchUpFunction build-ArchiveFunction: $(PACKAGES)
build-ExplainFunction: $(EXPLAIN_PACKAGES)
build-ExplainFunction: WHAT = explain
build-CatchUpFunction build-ArchiveFunction: WHAT = archive

build-ReconcilerFunction build-CatchUpFunction build-ArchiveFunction build-ExplainFunction: | build-python
	cp -RL $</. "$(ARTIFACTS_DIR)"
	cp -RL engine handler.py policies "$(ARTIFACTS_DIR)"
	PYTHONDONTWRITEBYTECODE=1 $(BUILD_PYTHON) -m tools.artifact "$(ARTIFACTS_DIR)" $(WHAT)
	$(BYTECODE) -s "$(ARTIFACTS_DIR)" -p /var/task "$(ARTIFACTS_DIR)"

build-python: # Lambda's version of Python, with a pip of its own; made again where the one that it was made from is gone
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12) and "Lambda runs Python 3.12: say where it is with PYTHON=")'
	@$(BUILD_PYTHON) -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(SCRATCH)/python

$(PACKAGES) $(EXPLAIN_PACKAGES): | build-python # the packages for Lambda's platform, kept until their lock changes
	rm -rf $(@D)
	$(BUILD_PYTHON) -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r $(LOCK) \
		--platform manylinux2014_x86_64 --implementation cp --python-version 3.12 --only-binary :all: --target $@.partial
	mv $@.partial $@
