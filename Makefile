# The doors of the project. `make demo` and `make test` set up everything they need by themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_HOME := rmsweep-home
# Of its own: what audits the packages must not change them.
AUDIT := .venv-audit

.DEFAULT_GOAL := help
.PHONY: audit chaos cluster-test soak help setup demo test test-slow check fmt schema backbones benchmarks clean

help:  ## what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed, $(PYTHON) is older; set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements/runtime.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.development: requirements/development.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --requirement requirements/runtime.txt \
		--requirement requirements/development.txt
	@touch $@

setup: $(VENV)/.development  ## create .venv with everything pinned

demo: $(VENV)/.runtime  ## run the demo sweep, its report and its ensemble; again: reuse what is done
	@RMSWEEP_HOME="$${RMSWEEP_HOME:-$(CURDIR)/$(DEMO_HOME)}" $(BIN)/python -m sweep.cli.demo

# Ray's clusters want the machine for themselves; the rest runs on two cores at once.
test: $(VENV)/.development  ## the tests, fast ones first; 15 to 20 minutes on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile \
		-m "not cluster and not slow and not gpu"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "cluster and not slow and not gpu"

test-slow: $(VENV)/.development  ## what takes longer
	$(BIN)/python -m pytest -m slow

chaos: $(VENV)/.development  ## kill drivers under a simulated clock, and real processes; half an hour
	$(BIN)/python -m tests.chaos.simulated
	$(BIN)/python -m tests.chaos.real

cluster-test: $(VENV)/.development  ## a cluster of this machine, and all that happens to clusters; 10 minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.cluster.rehearsal

MINUTES ?= 30
soak: $(VENV)/.development  ## machines come and go for MINUTES=30; what is lost or left over is counted
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.cluster.soak --minutes $(MINUTES)

check: $(VENV)/.development  ## ruff, mypy --strict, import-linter, Markdown links
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_documents.py

audit: $(VENV)/.audit  ## known vulnerabilities in what is pinned; asks the package index
	$(AUDIT)/bin/pip-audit --strict --disable-pip --no-deps --progress-spinner=off \
		--requirement requirements/runtime.txt \
		|| { echo "audit: vulnerable packages are listed above, or the index with known"; \
			echo "vulnerabilities did not answer: this target needs a network"; exit 1; }

$(VENV)/.audit: requirements/audit.txt $(VENV)/.runtime
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --requirement requirements/audit.txt
	@touch $@

fmt: $(VENV)/.development  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(VENV)/.runtime  ## write the JSON Schema of the sweep file
	$(BIN)/python -m sweep.spec.schema

backbones: $(VENV)/.runtime  ## pretrain the shipped tiny backbones anew; about an hour on two cores
	for family in tiny-qwen2.5-vl tiny-internvl3; do for scale in xs s; do \
		OMP_NUM_THREADS=1 $(BIN)/python -m trainer.pretraining --family $$family --scale $$scale \
			--out trainer/backbones/$$family/$$scale || exit 1; \
	done; done

benchmarks: $(VENV)/.development  ## speed and memory against the graphs of other trainers; about an hour
	$(BIN)/python -m pip install --quiet --requirement requirements/runtime.txt \
		--requirement requirements/benchmarks.txt
	for name in pair_throughput head_trials memory; do \
		OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.$$name || exit 1; \
	done

clean:  ## remove the environment and what the demo made
	rm -rf $(VENV) $(AUDIT) $(DEMO_HOME)
