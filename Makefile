# `make help` lists the targets. Only make, bash and Python 3.11 with pip are needed beforehand.
SHELL := bash
export PYTHON

BENCHMARKS := $(filter-out published loopback,$(basename $(notdir $(shell grep -l __main__ benchmarks/*.py))))
DEMO_MEMORY := .mindstream/demo

.PHONY: help demo check test lint types floors bench matrix lock upgrade sbom audit clean $(addprefix bench-,$(BENCHMARKS))

help: ## this list
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*## /  make \1\t/' | expand -t 22

demo: ## set up, perceive the sample clip, ask five questions, then chat and serve its page
	@requirements/install.sh .venv embedded weights
	@rm -rf $(DEMO_MEMORY)
	@.venv/bin/python run_agent.py replay examples/sample.mp4 --memory $(DEMO_MEMORY) --questions examples/sample.questions.jsonl
	@if [ -t 0 ] && [ -t 1 ]; then .venv/bin/python run_agent.py serve --chat --open --memory $(DEMO_MEMORY); \
	else echo ".venv/bin/python run_agent.py serve --memory $(DEMO_MEMORY) serves its page on http://127.0.0.1:8420/" >&2; fi

check: lint types floors ## what to run while working: all that needs neither torch nor processes, in two minutes
	.venv-dev/bin/python -m pytest -m "not processes" -n auto --dist loadfile $(PYTEST)

test: full lint types floors ## set up everything, torch too; lint, types, floors and all tests
	.venv-full/bin/python -m pytest $(PYTEST)

.PHONY: full dev
full:
	@requirements/install.sh .venv-full embedded weights voice build sites mcp keyring echo dev full dev-full

dev:
	@requirements/install.sh .venv-dev embedded weights voice build sites mcp keyring echo dev

lint: dev ## ruff
	.venv-dev/bin/python -m ruff check .
	.venv-dev/bin/python -m ruff format --check --diff --quiet .

types: dev ## mypy, strict
	.venv-dev/bin/python -m mypy

floors: dev ## which package may import which
	.venv-dev/bin/python -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-cache

bench: $(addprefix bench-,$(BENCHMARKS)) ## all benchmarks, and the README's tables; `make bench-NAME` runs one
	.venv-dev/bin/python -m benchmarks.published

$(addprefix bench-,$(BENCHMARKS)): bench-%: dev
	@# Exit code 2: what it measures on is not here. The others are run all the same.
	.venv-dev/bin/python -m benchmarks.$* || [ $$? -eq 2 ]

matrix: dev ## make the wheel, install it with each Python that is here, perceive the sample with it
	@requirements/matrix.sh python3.11 python3.12 python3.13

lock: dev ## write into requirements/*.lock what pyproject.toml asks for, with checksums; pins stay
	.venv-dev/bin/python requirements/lock.py

upgrade: dev ## the same, to the newest versions
	.venv-dev/bin/python requirements/lock.py --upgrade

# What somebody who installs the program with all extras gets.
SHIPPED := embedded weights voice sites mcp keyring echo full

sbom: ## what the program consists of, as CycloneDX: .mindstream/sbom.json
	@requirements/install.sh .venv-audit audit
	@mkdir -p .mindstream
	@cat $(SHIPPED:%=requirements/%.lock) | .venv-audit/bin/python -W ignore -m cyclonedx_py requirements - \
		--pyproject pyproject.toml --output-format JSON --output-file .mindstream/sbom.json
	@echo .mindstream/sbom.json

audit: ## ask the OSV database about known vulnerabilities of everything that is pinned
	@requirements/install.sh .venv-audit audit
	@requirements/audit.sh .venv-audit $(SHIPPED)

clean: ## remove the environments and everything that was generated
	rm -rf .venv .venv-dev .venv-full .venv-audit .mindstream .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
