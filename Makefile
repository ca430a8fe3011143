# Needs Python 3.11 or newer with venv (PYTHON=python3.12 make … for another), git and make.
PYTHON ?= python3
BIN := .venv/bin
PROTO := PATH="$(CURDIR)/.venv-proto/bin:$$PATH"

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 17

run: .venv/run.stamp ## Start the development server on 127.0.0.1:50051
	@$(BIN)/token-authority serve --dev

demo: .venv/run.stamp ## Start a server and issue every type of token
	@$(BIN)/python tests/demo.py

test: .venv/dev.stamp .venv-proto/proto.stamp ## Run the tests, on every core
	$(BIN)/pytest -n auto --dist worksteal

test-lowest: .venv/dev.stamp ## Run the tests with the lowest versions that pyproject.toml allows
	tests/lowest.sh

test-newest: .venv/dev.stamp ## Run the tests with the newest versions, without locks
	tests/newest.sh

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

proto-check: .venv-proto/proto.stamp .venv/dev.stamp ## Lint the contract; reject drift and breaking changes
	$(PROTO) protos/check.sh
	$(BIN)/pytest -q tests/contract

contract: ## Pack the contract for other repositories into dist/
	@$(PYTHON) protos/archive.py dist

bench: .venv/dev.stamp ## Run the benchmarks
	$(BIN)/python tests/bench/signing.py && $(BIN)/python tests/bench/calls.py
	$(BIN)/python tests/bench/batches.py && $(BIN)/python tests/bench/inspecting.py
	$(BIN)/python tests/bench/decisions.py && $(BIN)/python tests/bench/imports.py
	$(BIN)/python tests/bench/client.py
	$(BIN)/python tests/bench/profiling.py && $(BIN)/python tests/bench/memory.py
	$(BIN)/python tests/bench/authentication.py && $(BIN)/python tests/bench/reloading.py

bench-check: .venv/dev.stamp ## Count what hot paths execute; fail if one grows by 5 % (UPDATE=1)
	$(BIN)/python tests/bench/counting.py $(if $(UPDATE),--update)

bench-growth: .venv/dev.stamp ## Measure how costs grow with configuration, audit trail, connections
	$(BIN)/python tests/bench/growth.py --write

gitleaks: .venv/dev.stamp ## Test the rules for gitleaks with gitleaks (needs Go)
	GOBIN="$(CURDIR)/$(BIN)" GOFLAGS=-mod=mod go install github.com/zricethezav/gitleaks/v8@v8.30.1
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest tests/cli/gitleaks_rules.py

bench-peers: .venv/dev.stamp ## Compare with servers around other libraries (Go, Node.js, h2load)
	tests/bench/peers/build.sh
	$(BIN)/python tests/bench/compare.py --write

bench-instances: .venv/dev.stamp ## Measure what a second instance on the same port adds (h2load)
	$(BIN)/python tests/bench/instances.py && $(BIN)/python tests/bench/instances.py --seconds 5

attack: .venv/dev.stamp ## Attack a server; print what a bystander notices, and memory and log
	$(BIN)/python tests/attack/run.py

attack-drain: .venv/dev.stamp ## Stop servers under load; count the calls that fail
	$(BIN)/python tests/attack/drain.py

fuzz: .venv/dev.stamp ## Give every parser of untrusted input 1,000,000 strange ones in all
	$(BIN)/python tests/fuzz/run.py

soak: .venv/dev.stamp ## Rotate, restart, kill, fill disks under load for five minutes; no call may fail
	$(BIN)/python tests/soak/run.py

mutants: .venv/dev.stamp ## Try a sample of small changes to the server; list those that no test notices
	nice $(BIN)/python tests/mutants/run.py

polyglot: .venv/dev.stamp ## Test the contract in every language, and write the table of results
	$(BIN)/python client/polyglot/run.py

wheel: .venv/dev.stamp ## Build the wheel into dist/
	@rm -f dist/*.whl && $(BIN)/python -m build --no-isolation --wheel --outdir dist . > /dev/null

release: .venv/dev.stamp ## Build wheel, sdist, contract, SBOM and checksums of a clean commit
	@$(BIN)/python release/build.py

draft-release: .venv/dev.stamp ## Build the same, whatever still keeps the commit from a release
	@$(BIN)/python release/build.py --draft

image: wheel ## Build the container image and run it as a runtime would (root, buildah)
	tests/deploy/image.sh

oci: wheel ## Do the same, and pack the image as an OCI archive into dist/ (root, buildah)
	tests/deploy/image.sh dist/token-authority.oci.tar

systemd: draft-release ## Start the units under a systemd in namespaces of its own (root, debootstrap)
	tests/deploy/systemd.sh

kubernetes: .venv/dev.stamp ## Try the Helm chart on a real Kubernetes API server
	$(BIN)/python tests/deploy/kubernetes.py

vault-agent: .venv/dev.stamp ## Render the template of server/SECRETS.md as Vault Agent does (Go)
	$(BIN)/python tests/deploy/vault_agent.py

prometheus: .venv/dev.stamp ## Fire every alert and run every query in Debian's Prometheus
	$(BIN)/python tests/deploy/prometheus.py

inspect-page: .venv/dev.stamp ## Use the page of `inspect --web` in Debian's Chromium, by keyboard
	$(BIN)/pytest tests/cli/inspect_page_in_chromium.py

bare-machine: ## Run `run`, `check` and `test` on a fresh Debian 12, as root in a chroot
	tests/bare_machine.sh

lock: .venv/dev.stamp ## Lock the newest versions that pyproject.toml allows
	tests/lock.sh

clean: ## Remove everything that make creates
	rm -rf .venv .venv-proto dist protos/.third_party tests/npm/node_modules client/polyglot/logs
	rm -rf client/polyglot/*/gen client/polyglot/*/build client/polyglot/*/node_modules

.venv/run.stamp: server/requirements.lock release/requirements.lock pyproject.toml
	@echo "Making the environment in .venv; this takes less than a minute."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --require-hashes --only-binary :all: \
		-r server/requirements.lock -r release/requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
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

# Every target but the stamps, which are files.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))
