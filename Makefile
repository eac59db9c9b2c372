# All commands of this project. Arguments pass as ARGS, for example `make demo ARGS=--exit`.
PYTHON ?= python3
ENVIRONMENT := .venv/complete
RUN := .venv/bin/python -m
ROUNDS ?= 10
FAULTS ?=
HISTORIES ?= 500
MINUTES ?= inf

.DEFAULT_GOAL := help
.PHONY: help demo test lint test-unit simulation test-contract test-render test-images test-cluster soak images cluster cluster-down cluster-env bench locks locks-debian

help: ## this list
	@sed -n 's/^\([a-z.-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(ENVIRONMENT) ## the whole system here, on real readings (ARGS: --exit, --data=FILE, --help)
	@$(RUN) iot_system demo $(ARGS)

test: $(ENVIRONMENT) ## everything that CI checks
	@$(RUN) ci check

lint: $(ENVIRONMENT) ## formatting, types, layers, chart, lock files
	@$(RUN) ci check lint

test-unit: $(ENVIRONMENT) ## tests without servers (ARGS go to pytest)
	@$(RUN) ci check unit -- $(ARGS)

simulation: $(ENVIRONMENT) ## HISTORIES=500 simulated histories with faults (ARGS: --seed=N tells the one of a seed)
	@$(RUN) ci check simulation -- --histories=$(HISTORIES) $(ARGS)

test-contract: $(ENVIRONMENT) ## tests against real servers on this machine
	@$(RUN) ci check contract -- $(ARGS)

test-render: $(ENVIRONMENT) ## tests of the rendered chart
	@$(RUN) ci check render -- $(ARGS)

test-images: $(ENVIRONMENT) ## tests of the container images as they were built
	@$(RUN) ci check images -- $(ARGS)

test-cluster: $(ENVIRONMENT) ## tests in a Kubernetes cluster, which they make
	@$(RUN) ci check cluster -- $(ARGS)

soak: $(ENVIRONMENT) ## every fault ROUNDS=10 times (hours), or FAULTS=some,of,them; goes on from soak.json; MINUTES=60 ends it
	@$(RUN) ci check cluster -- -k test_faults --rounds=$(ROUNDS) --faults=$(FAULTS) --figures=soak.json --budget-min=$(MINUTES) $(ARGS)

soak.html: soak.json $(ENVIRONMENT) ## the page of it: time lines, and the figures against their limits
	@$(RUN) tests.harness.report soak.json > $@.part && mv $@.part $@

images: $(ENVIRONMENT) ## the four container images
	@$(RUN) ci images $(ARGS)

cluster: $(ENVIRONMENT) ## a local kind cluster with the images loaded and the chart installed
	@$(RUN) ci cluster up $(ARGS)

cluster-down: $(ENVIRONMENT) ## remove that cluster
	@$(RUN) ci cluster down

cluster-env: $(ENVIRONMENT) ## kubectl, helm and KUBECONFIG for a shell; see the README
	@$(RUN) ci cluster env

bench: $(ENVIRONMENT) ## side-by-side measurements
	@$(RUN) bench $(ARGS)

locks: $(ENVIRONMENT) ## resolve Python's dependencies again (ARGS: --upgrade, --check)
	@$(RUN) ci.locks $(ARGS)

locks-debian: $(ENVIRONMENT) ## resolve the images' Debian packages again, to the newest versions (ARGS: --check)
	@$(RUN) ci.debian $(ARGS)

$(ENVIRONMENT): runtime/requirements/development.txt runtime/pyproject.toml ci/environment.py tests/harness/pyproject.toml
	@$(PYTHON) ci/environment.py >&2
