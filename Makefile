# Two commands do everything on a fresh machine: make demo, make test. `make help` lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
STAMP := .venv/stamp

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: env
env: $(STAMP) ## the development environment in .venv, nvml.h in .build/nvml

$(STAMP): pyproject.toml tools/env.py tools/find_python.sh
	@python=$$(tools/find_python.sh) && "$$python" tools/env.py
