# `make` alone lists the recipes. Cargo's own environment (CARGO_TARGET_DIR and the like) is honoured.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The profile of `demo` and `dev`: dev is there within minutes on a bare machine, release moves bytes faster.
PROFILE ?= dev
# `CLUSTER=current make demo` uses the cluster of the current kubeconfig context.
export CLUSTER

DEVELOPMENT := --features dev,emulator
folder_of = $(if $(filter dev,$(1)),debug,$(1))
# Asked only by the recipes that need it, so that `make` alone works without cargo.
folder = $(shell cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
target = $(folder)/$(CARGO_BUILD_TARGET)
# The commit and its time are in the images; the same commit makes the same bytes.
revision = $(shell git describe --match=- --always --abbrev=40 --dirty 2>/dev/null || echo unknown)
committed = $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

.PHONY: help
help: ## List the recipes
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: rust ## Build the release binaries into target/release
	@# The operator in an invocation of its own: nothing of the other programs gets into it.
	cargo build --release --bin oms-operator
	cargo build --release $(DEVELOPMENT) --bin oms-emulator --bin oms-dev

.PHONY: check
check: rust ## Check format, lints and dependencies
	cargo fmt --check
	cargo clippy --all-targets --all-features -- -D warnings
	@# Those that `make test` leaves out, and `--all-targets` too, even where they are named beside it.
	cargo clippy --test argocd --test book --test image --test prometheus --all-features -- -D warnings
	cargo clippy -- -D warnings
	@if [ ! -f deny.toml ]; then :; \
	elif cargo deny --version >/dev/null 2>&1; then cargo deny --all-features check bans licenses sources; \
	else echo 'Skipped: cargo deny is not installed (cargo install --locked cargo-deny)'; fi

.PHONY: test
test: rust control-plane helm python3 curl ## Run all tests, on a real control plane that is started for them
	cargo test --all-features --no-run
	$(target)/debug/oms-dev --end-with-parent with-control-plane -- cargo test --all-features

# Not part of `test`: it builds Argo CD once, which takes minutes, and wants redis-server.
.PHONY: test-argocd
test-argocd: rust control-plane argocd ## Test what Argo CD shows and does, with the real Argo CD
	cargo build --all-features --bins
	$(target)/debug/oms-dev tools
	$(target)/debug/oms-dev tools --argocd
	cargo test --all-features --test argocd

# Not part of `test`: it wants Debian's package prometheus.
.PHONY: test-prometheus
test-prometheus: rust control-plane prometheus ## Test metrics, alerts and dashboards, with the real Prometheus
	cargo build --all-features --bins
	$(target)/debug/oms-dev tools
	cargo test --all-features --test prometheus -- --nocapture --test-threads 1

# Static binaries for each architecture, then images around them and bills of materials beside them.
.PHONY: image
image: export SOURCE_DATE_EPOCH ?= $(committed)
image: rust images ## Build the images for amd64 and arm64 into target/image, without a container engine
	hack/cross oms-operator
	cargo build --all-features --bin oms-dev
	$(target)/debug/oms-dev image --binaries $(folder) --revision $(revision) --output $(folder)/image
	hack/sbom oms-operator $(folder)/image

# Not part of `test`: it wants the images, root or user namespaces, and an emulator for Arm.
.PHONY: test-image
test-image: rust control-plane qemu ## Test what `make image` made: contents, sameness, and the programs at work
	cargo test --all-features --test image --no-run
	$(target)/debug/oms-dev tools
	cargo test --all-features --test image

.PHONY: bench
bench: rust ## Measure the promised figures, as ratios in one run; WHAT=signing measures one of them
	cargo bench --all-features --bench figures -- $(WHAT)

.PHONY: demo
demo: programs ## Migrate a bucket for real, watch it, and compare every object
	@exec $(target)/$(call folder_of,$(PROFILE))/oms-dev --end-with-parent demo

.PHONY: dev
dev: programs ## Start the playground; it writes .dev/env and stays until Ctrl-C
	@exec $(target)/$(call folder_of,$(PROFILE))/oms-dev --end-with-parent playground

.PHONY: crds
crds: rust ## Write the custom resource definitions to crds/ and into the chart
	cargo run --quiet --bin oms-operator -- crds --output-dir crds
	cp crds/*.yaml charts/oms-operator/files/crds/

.PHONY: docs
docs: rust ## Write what is generated (docs/reference/, examples/README.md, argocd-cm.yaml), build the book, check its links
	UPDATE_DOCS=1 cargo test --quiet --all-features --test reference
	UPDATE_DOCS=1 cargo test --quiet --all-features --test gitops argocd::
	@# Those have built the program that book.toml would have cargo build in another way.
	MDBOOK_PREPROCESSOR__FILES__COMMAND='$(target)/debug/oms-dev book' hack/mdbook build
	cargo test --quiet --all-features --test book
	@echo 'The book is at target/book/index.html'

.PHONY: tools
tools: rust control-plane helm ## Find or build kube-apiserver, etcd, kubectl, helm (once per machine)
	cargo run --quiet --features dev --bin oms-dev -- tools

.PHONY: clean
clean: rust ## Remove what cargo built (the tools in the user's cache folder stay)
	cargo clean

.PHONY: programs
programs: rust control-plane
	cargo build --profile $(PROFILE) $(DEVELOPMENT) --bins

# A missing tool is told before minutes of compiling, not after.
.PHONY: rust control-plane helm python3 curl argocd prometheus images qemu
rust:
	@hack/need cargo cc
control-plane:
	@hack/need control-plane
helm:
	@hack/need helm
python3:
	@hack/need python3
curl:
	@hack/need curl
argocd:
	@hack/need argocd
prometheus:
	@hack/need prometheus
images:
	@hack/need images
qemu:
	@hack/need qemu
