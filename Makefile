# Two commands do everything on a fresh machine: make demo, make test. `make help` lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON_ENV := .venv/bin/python
PYTEST := $(PYTHON_ENV) -m pytest
STAMP := .venv/stamp
GPUSIM := $(CURDIR)/.build/gpusim
# make test leaves out what is marked full; make test-full sets FULL=1 and leaves out nothing.
SELECT := $(if $(FULL),,-m "not full")
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- what users of the checkout run -------------------------------------------------------------------------------

.PHONY: demo
demo: $(STAMP) host ## simulated GPU nodes, site.yml on them, a table of what is there now and why
	@tools/demo.sh

.PHONY: test
test: $(STAMP) host ## everything that proves the collection: at most 22 minutes on 2 cores
	@$(PYTHON_ENV) tools/stages.py

.PHONY: test-full
test-full: $(STAMP) host ## the same with every fault injection and every interpreter: hours
	@FULL=1 $(PYTHON_ENV) tools/stages.py

.PHONY: bench
bench: $(STAMP) host gpusim-build ## what a no-change run costs, against tests/bench/budget.yml
	@tools/docker.sh
	@PYTHONPATH=tests/lab/gpusim $(PYTHON_ENV) tests/bench/bench.py

.PHONY: clean
clean: ## removes the simulated nodes, their images and everything that was built
	@if [ -x $(PYTHON_ENV) ] && docker info >/dev/null 2>&1; then $(PYTHON_ENV) tests/lab/lab.py down --all --images; fi
	rm -rf .build .venv .ansible .cache .hypothesis .mypy_cache .ruff_cache .pytest_cache

.PHONY: changelog
changelog: $(STAMP) ## takes changelogs/fragments into CHANGELOG.md, under the version of galaxy.yml
	@antsibull-changelog release --update-existing --reload-plugins

# --- set-up ---------------------------------------------------------------------------------------------------------

.PHONY: env
env: $(STAMP) ## the development environment in .venv, nvml.h in .build/nvml

$(STAMP): pyproject.toml tools/env.py tools/find_python.sh
	@python=$$(tools/find_python.sh) && "$$python" tools/env.py

.PHONY: host
host: # compiler, mmdebstrap, Docker's packages
	@tools/host_packages.sh

# --- the stages of make test, in tools/stages.py's table; each also runs alone ------------------------------------------

.PHONY: lint
lint: $(STAMP) ## ruff, mypy, vermin, yamllint, ansible-lint, documentation
	@tools/lint.sh

.PHONY: sanity
sanity: $(STAMP) ## the whole of ansible-test sanity
	@$(PYTHON_ENV) tools/sanity.py

.PHONY: package
package: $(STAMP) ## build, install and load the collection's archive
	@$(PYTHON_ENV) tools/package.py

.PHONY: installed
installed: gpusim-build ## the demo from that archive
	@tools/docker.sh
	@$(PYTHON_ENV) tools/installed.py

.PHONY: cores
cores: gpusim-build ## sanity, unit tests and demo under the oldest and the newest ansible-core (test-full)
	@tools/docker.sh
	@$(PYTHON_ENV) tools/cores.py

.PHONY: unit
unit: $(STAMP) ## the pure core
	@$(PYTEST) $(SELECT) tests/unit tests/steps tests/bench

.PHONY: pythons
pythons: $(STAMP) gpusim-build ## unit tests and a module on the oldest and the newest Python of nodes
	@$(PYTHON_ENV) tools/node_pythons.py

.PHONY: gpusim-build
gpusim-build: $(STAMP)
	@$(MAKE) -C tests/lab/gpusim OUT=$(GPUSIM)

.PHONY: gpusim
gpusim: gpusim-build ## the simulated NVML: C tests, also under sanitizers, and real clients on it
	@$(MAKE) -C tests/lab/gpusim OUT=$(GPUSIM) check
	@$(PYTEST) $(SELECT) tests/lab/gpusim/tests

.PHONY: component
component: gpusim-build ## apply on the simulated NVML, with process death at its calls
	@$(PYTEST) $(SELECT) $(if $(FULL),--numprocesses 2) tests/component

.PHONY: images
images: gpusim-build ## the images of simulated nodes that several stages need
	@tools/docker.sh
	@$(PYTHON_ENV) tests/lab/lab.py image node driver el suse

.PHONY: lab
lab: gpusim-build ## simulated nodes, the nodes' own tests
	@tools/docker.sh
	@$(PYTEST) $(SELECT) tests/lab/tests

.PHONY: molecule
molecule: gpusim-build ## the scenarios on simulated nodes
	@tools/docker.sh
	@tools/molecule.sh
