# Needs Python 3.11 or newer (PYTHON=python3.12 make … for another) and nothing else.
PYTHON ?= python3
BIN := .venv/bin
PROTO := PATH="$(CURDIR)/.venv-proto/bin:$$PATH"

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: .venv/run.stamp ## Start the development server on 127.0.0.1:50051
	@$(BIN)/token-authority serve --dev

demo: .venv/run.stamp ## Issue every kind of token against a server of its own
	@$(BIN)/python tests/demo.py

test: .venv/dev.stamp .venv-proto/proto.stamp ## Run the tests
	$(BIN)/pytest

check: proto-check ## Format, lint, types, import rules, contract
	$(BIN)/ruff format --check && $(BIN)/ruff check
	$(BIN)/mypy && $(BIN)/pyright
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright --verifytypes token_authority_client --ignoreexternal
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright --verifytypes token_authority_testing --ignoreexternal
	$(BIN)/lint-imports

format: .venv/dev.stamp .venv-proto/proto.stamp ## Format code and contract
	$(BIN)/ruff format && $(BIN)/ruff check --fix
	$(PROTO) buf format --write protos --path protos/token_authority

proto: .venv-proto/proto.stamp ## Generate stubs, images and the reference from protos/
	$(PROTO) protos/generate.sh "$(CURDIR)/protos" "$(CURDIR)/client"

proto-check: .venv-proto/proto.stamp .venv/dev.stamp ## Lint the contract; refuse drift and breaks
	$(PROTO) protos/check.sh
	$(BIN)/pytest -q tests/contract

contract: ## Pack the contract for other repositories into dist/
	@$(PYTHON) protos/archive.py dist

bench: .venv/dev.stamp ## Measure all that has to be fast
	$(BIN)/python tests/bench/signing.py && $(BIN)/python tests/bench/calls.py
	$(BIN)/python tests/bench/batches.py && $(BIN)/python tests/bench/inspecting.py
	$(BIN)/python tests/bench/decisions.py && $(BIN)/python tests/bench/imports.py
	$(BIN)/python tests/bench/authentication.py

attack: .venv/dev.stamp ## Attack a server; print what a bystander notices, and memory and log
	$(BIN)/python tests/attack/run.py

fuzz: .venv/dev.stamp ## Inspect 200,000 strange strings
	$(BIN)/python tests/inspection/fuzz.py

polyglot: .venv/dev.stamp ## Prove the contract in every language, and write the table of them
	$(BIN)/python client/polyglot/run.py

lock: .venv/dev.stamp ## Lock the newest versions that pyproject.toml allows
	tests/lock.sh

clean: ## Remove everything that make made
	rm -rf .venv .venv-proto dist protos/.third_party tests/npm/node_modules client/polyglot/logs
	rm -rf client/polyglot/*/gen client/polyglot/*/build client/polyglot/*/node_modules

.venv/run.stamp: server/requirements.lock pyproject.toml
	@echo "Making the environment in .venv; this takes less than a minute."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --require-hashes -r server/requirements.lock
	@$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

.venv/dev.stamp: .venv/run.stamp tests/requirements.lock
	@echo "Installing what tests and checks need; this takes less than a minute."
	@$(BIN)/pip install --quiet --require-hashes -r tests/requirements.lock
	@touch $@

.venv-proto/proto.stamp: protos/requirements.lock
	@echo "Making the environment for code generation in .venv-proto."
	@$(PYTHON) -m venv .venv-proto
	@.venv-proto/bin/pip install --quiet --require-hashes -r protos/requirements.lock
	@touch $@

.PHONY: help run demo test check format proto proto-check contract bench attack fuzz polyglot lock clean
