# Every target does its own set-up on a machine with Python ≥ 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
PREDICT_BIN := .venv-predict/bin
SNAKEMAKE := $(BIN)/snakemake

.PHONY: help env env-predict demo demo-predict demo-digits demo-slurm test test-predict test-producers lint bench fuzz \
	kill-test clean
.DEFAULT_GOAL := help

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

env: .venv/core.stamp  ## build .venv with what a run needs

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; say which with make PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/core.stamp: envs/requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	touch $@

# nilearn alone: it holds the template, and what it would bring to compute with is not needed.
.venv/demo.stamp: envs/demo.txt .venv/core.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r envs/demo.txt
	touch $@

.venv/dev.stamp: envs/dev.txt envs/demo.txt envs/dev-no-deps.txt .venv/core.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r envs/dev-no-deps.txt
	touch $@

# Every demo is a study of its own below data/: what stands in config/ and results/ here is the user's.
demo: .venv/demo.stamp  ## make the demo cohort and run the workflow on it
	$(BIN)/python scripts/make_demo.py --output data/demo
	cp config/demo.yaml data/demo/config/config.yaml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) --directory data/demo --cores all
	@echo "Open data/demo/results/report.html. Tables: *.csv beside it. Figures: sub-*/sub-*_qc.png."

demo-predict: .venv-predict/demo.stamp  ## train networks on small brains, predict with four methods, compare two scanners
	$(PREDICT_BIN)/python scripts/make_predict_demo.py --output data/demo-predict/config
	cp config/predict.yaml data/demo-predict/config/config.yaml
	PATH="$(CURDIR)/$(PREDICT_BIN):$$PATH" $(PREDICT_BIN)/snakemake --directory data/demo-predict --cores all \
		--set-threads predict=1 train=1
	@echo "Open data/demo-predict/results/report.html; see methods.csv and models/ beside it."

demo-digits: .venv-predict/core.stamp  ## train networks on handwritten digits, and measure how sure they are
	$(PREDICT_BIN)/python scripts/make_digits.py --output data/digits/images
	mkdir -p data/digits/config && cp config/digits.yaml data/digits/config/config.yaml
	PATH="$(CURDIR)/$(PREDICT_BIN):$$PATH" $(PREDICT_BIN)/snakemake --directory data/digits --cores all
	@echo "Tables and figures: data/digits/results/images.csv, image_scores.csv, labelling.csv, passes."

# Three workers on two cores: the tests of the cluster mostly wait. 303 s, against 434 s with two and by size of file.
test: .venv/dev.stamp  ## run every test
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder tests

env-predict: .venv-predict/core.stamp  ## build .venv-predict: a run's needs and torch, for `model:`

.venv-predict/core.stamp: envs/requirements.txt envs/predict.txt | .venv/bin/python
	$(PYTHON) -m venv .venv-predict
	$(PREDICT_BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/predict.txt
	touch $@

.venv-predict/demo.stamp: envs/demo.txt .venv-predict/core.stamp
	$(PREDICT_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r envs/demo.txt
	touch $@

.venv-predict/dev.stamp: envs/dev.txt envs/demo.txt .venv-predict/core.stamp
	$(PREDICT_BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/dev.txt -r envs/predict.txt
	touch $@

test-predict: .venv-predict/dev.stamp  ## test what needs torch: networks, samplers, training
	PATH="$(CURDIR)/$(PREDICT_BIN):$$PATH" $(PREDICT_BIN)/python -m pytest -n 2 --dist loadfile tests/predict

.venv-producers/stamp: envs/producers.txt | .venv/bin/python
	$(PYTHON) -m venv .venv-producers
	.venv-producers/bin/python -m pip install --quiet --disable-pip-version-check -r envs/producers.txt
	touch $@

test-producers: .venv/dev.stamp .venv-producers/stamp  ## test on files of ANTs, DIPY, MONAI, nnU-Net: installs 2 GB
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest tests/producers_tools

lint: .venv/dev.stamp  ## ruff, mypy, snakefmt and snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) --lint

bench: .venv/dev.stamp  ## measure against the rivals (torch.compile too, after make env-predict); writes benchmarks.json
	$(firstword $(wildcard $(PREDICT_BIN)/python) $(BIN)/python) -m tests.benchmarks

fuzz: .venv/dev.stamp  ## read N=20000 damaged files of every format from SEED=0 on
	$(BIN)/python tests/fuzz.py -n $(or $(N),20000) --seed $(or $(SEED),0)

demo-slurm: .venv/dev.stamp  ## run the demo cohort on a Slurm of three nodes on this machine; hold it against a local run
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/cluster_demo.py

kill-test: .venv/dev.stamp  ## kill a run N=30 times at moments drawn from SEED=0, and hold its end against an undisturbed one
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/kills.py -n $(or $(N),30) --seed $(or $(SEED),0)

# By name, what the targets above write: a study that somebody keeps in the clone is theirs.
clean:  ## remove the demos and what `bench` wrote, but no environment and no study of yours
	rm -rf data/demo data/demo-predict data/digits data/benchmarks benchmarks.json
	rmdir data 2>/dev/null || true
