# Every target does its own set-up on a machine with Python ≥ 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake

.PHONY: env demo test lint bench fuzz clean
.DEFAULT_GOAL := help

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

env: .venv/core.stamp  ## build .venv with what a run needs

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; say which with make PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/core.stamp: envs/requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	touch $@

.venv/dev.stamp: envs/dev.txt .venv/core.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/dev.txt
	touch $@

demo: .venv/dev.stamp  ## make the demo cohort and run the workflow on it
	$(BIN)/python scripts/make_demo.py --output data/demo
	PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) --cores all
	@echo "Tables: results/subjects.csv, classes.csv, review_queue.csv. Figures: results/sub-*/sub-*_qc.png."

test: .venv/dev.stamp  ## run every test
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest tests

lint: .venv/dev.stamp  ## ruff, mypy, snakefmt and snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) --lint

bench: .venv/dev.stamp  ## measure against the rivals; prints tables and writes benchmarks.json
	$(BIN)/python -m tests.benchmarks

clean:  ## remove what runs made, but not the environment
	rm -rf results work logs benchmarks data .snakemake benchmarks.json
