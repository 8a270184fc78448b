# The recipes of this repository. `make help` lists them; the automatic run (.ci/run) is `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# rustup puts cargo here, and a shell that is not a login shell does not look there.
cargo_bin := $(or $(CARGO_HOME),$(shell echo ~/.cargo))/bin
ifneq ($(wildcard $(cargo_bin)/cargo),)
ifeq ($(findstring :$(cargo_bin):,:$(PATH):),)
export PATH := $(cargo_bin):$(PATH)
endif
endif

# The automatic run builds once in a fresh clone: files for the next build would only fill its disk.
ifdef CI
export CARGO_INCREMENTAL := 0
endif

built := $(or $(CARGO_TARGET_DIR),target)/release
debug := $(abspath $(or $(CARGO_TARGET_DIR),target)/debug)
say := @printf '\n==> %s\n'

.PHONY: help demo test check evaluate bench soak bless doc console

help: ## list the recipes
	@echo 'Tidewatch: streaming anomaly detection for ecommerce traffic. Recipes:'
	@sed -n 's/^\([a-z]*\): ## /\1|/p' Makefile | awk -F'|' '{ printf "  make %-9s %s\n", $$1, $$2 }'

demo: ## build and run a simulated shop, faults included, and watch the incidents; needs no Kafka and no AWS
	$(say) '1/3 looking for what the build needs'
	@scripts/setup.sh demo
	$(say) '2/3 building Tidewatch: the first time it takes several minutes on two cores, later seconds'
	cargo build --release --locked --no-default-features --bin tidewatch
	$(say) '3/3 starting the demo: it prints its address and every incident; Ctrl-C ends it'
	@exec $(built)/tidewatch demo

test: ## install what the tests need, then format check, lints and every test
	$(say) '1/5 looking for what the tests need'
	@scripts/setup.sh test
	$(say) '2/5 checking the format'
	cargo fmt --all -- --check
	$(say) '3/5 linting: the first time it builds the dependencies, some minutes on two cores'
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(say) '4/5 building and running every test'
	cargo test --workspace --locked
	$(say) '5/5 the console: ui/dist is what ui/src says, and its tests in Chromium'
	scripts/console.sh check
	TIDEWATCH_BIN=$(debug)/tidewatch scripts/console.sh test

console: ## build the web console anew, into ui/dist, which is committed
	scripts/console.sh build

check: ## format check and lints only
	@scripts/setup.sh check
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

evaluate: ## regenerate every accuracy table of the docs
	@scripts/setup.sh check
	bash scripts/evaluate.sh

bench: ## run the benchmarks behind every speed table of the docs
	@scripts/setup.sh bench
	cargo bench --locked
	cargo bench --locked -p tidewatch-detectors --bench peers
	bash scripts/bench_backtest.sh

soak: ## the long form of the tests that kill things: five million events from Kafka, 30 kills of the engine
	@scripts/setup.sh test
	TIDEWATCH_SOAK_EVENTS=5000000 TIDEWATCH_SOAK_KILLS=30 \
	  cargo test --release --locked --test kafka kills_ -- --nocapture

bless: ## run the tests and rewrite the golden files; review the difference before you commit it
	@scripts/setup.sh test
	UPDATE_GOLDEN=1 cargo test --workspace --locked

doc: ## build the documentation of the code, into target/doc
	@scripts/setup.sh check
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
