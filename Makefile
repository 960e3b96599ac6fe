# The two commands that matter: `make demo` and `make test`. Both set up all they need in .venv.
PYTHON ?= python3
VENV := .venv
S3_VENV := .venv-s3
AUDIT_VENV := .venv/.audit
BIN := $(VENV)/bin
PIP = $(1)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test slow heavy fuzz faults nemesis scale unit bench lint format audit sbom clean
.DEFAULT_GOAL := help

.PHONY: help
help:
	@echo "make demo    drawn smears of three patients through the whole line (needs Python 3.11+)"
	@echo "make test    the tests, on real servers that it installs into $(VENV) and $(S3_VENV)"
	@echo "make slow    the tests that take many minutes: a thousand slides"
	@echo "make heavy   ten thousand slides that wait, a million keys: half an hour"
	@echo "make fuzz    500 altered slides through the sandbox"
	@echo "make faults  every row of the fault matrix for real, and guards taken away that rows must notice;"
	@echo "             some rows only: make faults ROWS='1 5 14'"
	@echo "make recovery how long a killed worker and an emptied Redis cost at the leases of production (10 minutes)"
	@echo "make upgrade an earlier version's code and this one's side by side on a schema that grows; FROM=REVISION, by default"
	@echo "             the last before the newest migration; needs the git history"
	@echo "make nemesis faults at random for MINUTES=30, drawn from SEED (printed; by default another each time)"
	@echo "make scale   reports beside CELLS=100000000 cells, which it makes (35 GB of disk, an hour)"
	@echo "make unit    the unit tests alone"
	@echo "make bench   reading and segmenting beside limits and alternatives, which it installs (30 minutes on two cores)"
	@echo "make lint    ruff, mypy --strict, import rules"
	@echo "make audit   known holes of the pinned versions, looked up on the package index"
	@echo "make sbom    the list of parts, CycloneDX, in dist/"
	@echo "make clean   stop the embedded stack and remove environments and caches"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Marrowline needs Python 3.11 or newer; set one with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Marrowline into $(VENV) (about 1 GB with torch; once)"
	$(call PIP,$(VENV)) --constraint constraints.txt --editable '.[worker,embedded]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Marrowline and its development tools into $(VENV) (once)"
	$(call PIP,$(VENV)) --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.runtime

$(S3_VENV)/.ready: constraints-s3.txt
	$(PYTHON) -m venv $(S3_VENV)
	$(call PIP,$(S3_VENV)) --constraint constraints-s3.txt swift
	@touch $@

$(AUDIT_VENV)/.ready: constraints-audit.txt | $(BIN)/python
	$(PYTHON) -m venv $(AUDIT_VENV)
	$(call PIP,$(AUDIT_VENV)) --constraint constraints-audit.txt pip-audit cyclonedx-bom
	@touch $@

# Without its GPU packages cuCIM reads on the CPU.
$(VENV)/.bench: $(VENV)/.runtime
	$(call PIP,$(VENV)) --constraint constraints.txt --editable '.[worker,embedded,bench]'
	$(call PIP,$(VENV)) --constraint constraints.txt --no-deps cucim-cu13
	@touch $@

demo: $(VENV)/.runtime
	$(BIN)/marrowline demo --dir .marrowline/demo

test: $(VENV)/.dev $(S3_VENV)/.ready
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not heavy'

slow: $(VENV)/.dev $(S3_VENV)/.ready
	$(BIN)/python -m pytest -m slow

heavy: $(VENV)/.dev $(S3_VENV)/.ready
	$(BIN)/python -m pytest -m heavy

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.support.fuzz

faults: $(VENV)/.dev $(S3_VENV)/.ready
	$(BIN)/python -m tests.faults $(ROWS)

.PHONY: recovery
recovery: $(VENV)/.dev
	$(BIN)/python -m tests.faults.recovery

.PHONY: upgrade
upgrade: $(VENV)/.dev
	$(BIN)/python -m tests.faults.upgrade $(if $(FROM),--from $(FROM))

nemesis: $(VENV)/.dev
	$(BIN)/python -m tests.faults.nemesis $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

scale: $(VENV)/.dev
	$(BIN)/python -m tests.scale $(if $(CELLS),--cells $(CELLS))

unit: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not heavy' tests/unit

bench: $(VENV)/.bench
	$(BIN)/marrowline bench read
	$(BIN)/marrowline bench memory
	$(BIN)/marrowline bench segment

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Strict: a version that the index does not know is a failure, and so is an index that does not answer.
audit: $(AUDIT_VENV)/.ready
	$(AUDIT_VENV)/bin/pip-audit --strict --disable-pip --no-deps --progress-spinner off --requirement constraints.txt

sbom: $(VENV)/.runtime $(AUDIT_VENV)/.ready
	mkdir -p dist
	$(AUDIT_VENV)/bin/cyclonedx-py environment --output-reproducible \
	  --output-file dist/marrowline.cdx.json $(BIN)/python

clean:
	-@test -x $(BIN)/marrowline && MARROWLINE_HOME=.marrowline/demo $(BIN)/marrowline down
	-@test -x $(BIN)/marrowline && $(BIN)/marrowline down
	rm -rf $(VENV) $(S3_VENV) .marrowline .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
