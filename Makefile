# Everything a contributor or a CI job runs. `make help` lists the targets.

# A shell that is not /bin/sh makes even GNU make 3.81 (macOS) look commands up in the PATH below.
SHELL := bash
.DEFAULT_GOAL := help

# The pinned tools come first, so that they win over whatever else PATH has.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
# Where Terraform and OpenTofu find hashicorp/external without asking a provider registry.
export TF_CLI_CONFIG_FILE := $(CURDIR)/.tools/tofurc
# No tool looks for a newer release of itself.
export CHECKPOINT_DISABLE := 1
export TFLINT_DISABLE_VERSION_CHECK := 1

CHECKS := check-rustfmt check-clippy check-rustdoc check-deny check-terraform check-tflint check-terragrunt check-shell check-typos check-words check-docs check-workflows check-shear
# What `make check` runs; each target below names its own, too.
CHECK_TOOLS := opentofu terragrunt tflint terraform-docs shellcheck typos cargo-deny cargo-shear zizmor
DEPLOYMENT_TOOLS := opentofu terragrunt terraform-provider-external
TEST_TOOLS := $(DEPLOYMENT_TOOLS) versitygw moto
# In the order in which they start: the longest first.
SUITES := test-e2e test-integration test-module test-promises test-duckdb test-unit
HCL_DIRS := terraform terragrunt examples
TERRAGRUNT_FMT := terragrunt hcl fmt --no-tips --exclude-dir .terraform

.PHONY: manifest help tools check-tools build man dist try demo bench bench-deployment bench-scale bench-memory test test-build test-unit test-integration test-e2e test-promises test-module test-duckdb test-browser test-sql test-dist test-size test-strace test-mounts test-shells torture fuzz fuzz-fold mutants coverage check audit fmt clean $(CHECKS)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

tools: ## Put the pinned tools of all checks and tests into .tools (some 12 minutes the first time on two cores, then nothing)
	@tools/install

build: ## Build the helper: target/release/config-backup
	cargo build --release --locked

man: ## Write the manual pages: target/man/*.1
	cargo run --quiet --locked --example man -- target/man

try: ## The story of `make demo` without terragrunt: Rust is enough (some 4 minutes the first time; TRY_ARGS=--keep)
	@tools/install helper
	@tests/demo.sh --quick $(TRY_ARGS)

dist: ## Build what a release has into target/dist, some 5 minutes a target: for Linux, or on macOS, whose SDK it takes, for macOS
	tools/dist $(DIST_TARGETS)

demo: ## Deployments with terragrunt on a local S3, an outage, a look back (up to 10 minutes the first time; DEMO_ARGS=--keep)
	@tools/install demo helper
	@tests/demo.sh $(DEMO_ARGS)

bench: build ## Measure report beside other clients on a local S3, some 15 minutes (BENCH_ARGS="--into docs/dev/performance.md")
	tools/install bench
	cargo build --release --locked -p report-bench -p embedded-aws
	python3 tests/bench/bench.py $(BENCH_ARGS)

bench-deployment: build ## Measure what a deployment costs: each step, and an apply of the unit beside one that does nothing
	@tools/install $(DEPLOYMENT_TOOLS)
	cargo build --release --locked -p report-bench -p embedded-aws
	python3 tests/bench/bench.py --deployment $(BENCH_ARGS)

bench-scale: build ## Measure how report grows from a thousand records to a million, archived or not, some 10 minutes (with tools/install trino: Trino, too)
	cargo build --release --locked -p report-bench
	python3 tests/bench/bench.py --scale $(BENCH_ARGS)

bench-memory: build ## Measure the memory that report takes for a million records, some 10 minutes
	tools/install bench
	cargo build --release --locked -p report-bench
	python3 tests/bench/bench.py --memory $(BENCH_ARGS)

test: ## Run the checks and then all suites side by side, ALSO="SUITE..." with them; logs and times are in target/suites
	@MAKE='$(MAKE)' tools/run-suites tools check test-build -- $(ALSO) $(SUITES)

test-build: ## Build what the suites run
	cargo test --workspace --locked --no-run
	cargo build --workspace --locked

test-unit: ## The tests of the crates' own files, of the local S3 and of the inputs in fuzz/corpus
	cargo test --workspace --locked --lib --bins --examples --test contract --test fuzz
	cargo test --workspace --locked --doc

test-integration: ## The executable against S3 servers, and what holds code and docs together
	@tools/install $(TEST_TOOLS)
	cargo test --workspace --locked --test integration

test-e2e: ## Whole deployments with Terragrunt, OpenTofu and Terraform
	@tools/install $(TEST_TOOLS)
	cargo test --workspace --locked --test e2e

test-promises: ## The campaigns in small: faults at every point, kills, races
	@tools/install $(TEST_TOOLS)
	cargo test --workspace --locked --test campaigns

test-module: ## The Terraform module and its wrapper helper.sh in every shell
	@tools/install $(DEPLOYMENT_TOOLS)
	tests/module.sh

test-duckdb: ## The SQL over the usage records in DuckDB
	@tools/install duckdb
	tests/engines/run.sh duckdb

test-browser: ## Look at the report's page in a real Chromium (as root on Debian it is installed if missing)
	tools/install chromium
	tests/browser/run.sh

test-sql: ## Run the SQL over the usage records in a real Trino, 5 minutes with its download (needs Maven and Java 24 or later)
	tools/install trino duckdb
	tests/engines/run.sh trino

test-dist: ## Build the Linux x86_64 archive twice, in two places, and look at all that is in it, some 12 minutes
	python3 tests/dist.py

test-size: build ## The executable has at most 10 MiB
	@bytes=$$(wc -c < target/release/config-backup) && echo "target/release/config-backup: $$bytes bytes" && test "$$bytes" -le 10485760

test-strace: ## The campaigns that need strace, in small (as root on Debian it is installed if missing)
	tools/install $(TEST_TOOLS) strace
	cargo test --workspace --locked --test campaigns -- --ignored --skip mount

test-mounts: ## The campaign of dead mounts, in small, and an apply on them (needs root, /dev/fuse and python3)
	@tools/install $(TEST_TOOLS)
	cargo test --workspace --locked --test campaigns mount -- --ignored
	cargo test --workspace --locked --test e2e mount -- --ignored

test-shells: ## Press TAB in zsh and fish, too (as root on Debian they are installed if missing)
	tools/install shells
	cargo test --workspace --locked --test integration completions

torture: ## Run the campaigns in full, an hour (as root on Debian strace is installed if missing)
	tools/install $(TEST_TOOLS) strace
	CAMPAIGN_SIZE=full cargo test --release --locked --test campaigns -- --nocapture --include-ignored --test-threads 1
	CAMPAIGN_SIZE=full cargo test --release --locked --test e2e black_box -- --nocapture --test-threads 1

fuzz: ## Look for inputs that break a promise, FUZZ_SECONDS (60) for each of the targets in fuzz/, or for FUZZ_TARGETS
	tools/fuzz run $(FUZZ_TARGETS)

fuzz-fold: ## Fold what `make fuzz` found worth keeping into fuzz/corpus, the smallest inputs for all there is to reach
	tools/fuzz fold $(FUZZ_TARGETS)

mutants: ## Break the pure modules in 2,000 ways and see which no unit test notices, hours (MUTANTS_ARGS="-f src/keys/mod.rs")
	tools/mutants $(MUTANTS_ARGS)

coverage: tools ## Show which lines of src/ no test reaches, the helper's own processes included; fails below 90 %
	tools/install cargo-llvm-cov
	rustup component add llvm-tools
	PATH="$(CURDIR)/.tools/crates/bin:$$PATH" cargo llvm-cov --locked --lib --bins --test integration --test fuzz --test e2e \
		--show-missing-lines --failure-mode all --fail-under-lines 90 --ignore-filename-regex '/(crates|tests)/|/tests\.rs'

# First all tools together, because they build beside each other.
check: check-tools $(CHECKS) ## Run every linter; a missing one is an error (faster: make -j2 check)

check-tools:
	@tools/install $(CHECK_TOOLS)

check-rustfmt: ## Rust is formatted
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

check-clippy: ## Clippy reports nothing
	cargo clippy --workspace --all-targets --locked -- -D warnings

check-rustdoc: ## The documentation of all modules can be made, and no link in it is broken
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked --quiet

check-deny: ## Dependencies: licences, banned crates and sources, as deny.toml has them
	@tools/install cargo-deny
	cargo-deny --locked check bans licenses sources

check-terraform: ## Terraform files are formatted
	@tools/install opentofu
	set -e; for dir in $(HCL_DIRS); do tofu fmt -check -diff -recursive $$dir; done

check-tflint: ## TFLint reports nothing
	@tools/install tflint
	tflint --recursive --chdir=terraform --config=$(CURDIR)/.tflint.hcl
	set -e; for dir in terragrunt examples; do tflint --recursive --chdir=$$dir --config=$(CURDIR)/.tflint.hcl --disable-rule=terraform_standard_module_structure; done

check-terragrunt: ## Terragrunt files are formatted
	@tools/install terragrunt
	set -e; for dir in $(HCL_DIRS); do $(TERRAGRUNT_FMT) --check --diff --working-dir $$dir; done

check-shell: ## ShellCheck reports nothing
	@tools/install shellcheck
	set -o pipefail; tools/shell-scripts | xargs -0 shellcheck

check-typos: ## Nothing is misspelt
	@tools/install typos
	typos

check-words: ## No word is used that the project does not use
	tools/check-words

check-workflows: ## zizmor reports nothing
	@tools/install zizmor
	zizmor --offline --quiet --persona auditor .github action.yml

check-shear: ## No crate is a dependency that nothing uses
	@tools/install cargo-shear
	cargo-shear --locked
	cargo-shear --locked fuzz

audit: ## Look for known vulnerabilities (fetches the public advisory database, hence not part of check)
	@tools/install cargo-deny
	cargo-deny --locked check advisories

fmt: ## Format Rust, Terraform and Terragrunt files
	@tools/install opentofu terragrunt
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
	set -e; for dir in $(HCL_DIRS); do tofu fmt -recursive $$dir; $(TERRAGRUNT_FMT) --working-dir $$dir; done

manifest: ## Update terraform/unit.sha256
	tools/manifest >terraform/unit.sha256.new && mv terraform/unit.sha256.new terraform/unit.sha256

check-docs: ## The tables of terraform/README.md are up to date
	@tools/install terraform-docs
	terraform-docs --output-check terraform

clean: ## Remove what builds and runs leave behind, but not .tools
	cargo clean
	find $(HCL_DIRS) -type d \( -name .terraform -o -name .terragrunt-cache \) -prune -exec rm -rf {} +
