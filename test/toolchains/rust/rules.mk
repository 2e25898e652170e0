# What is built for each version of Rust: VERSION, WASI is what it calls wasip1,
# SRC the probe.

# The first compiler of that version that has a standard library for both targets.
RUSTC ?= $(shell for c in rustc /usr/bin/rustc; do \
	$$c --version 2>/dev/null | grep -qF "rustc $(VERSION)." || continue; \
	[ -d "$$($$c --print target-libdir --target wasm32-unknown-unknown)" ] && \
	[ -d "$$($$c --print target-libdir --target $(WASI))" ] && echo $$c && break; done)
OUT   ?= .
BUILD  = $(RUSTC) --edition 2021 -C opt-level=s -C lto -C codegen-units=1 -C panic=abort -C strip=symbols \
	$(if $(WASM_LD),-C linker=$(WASM_LD))

UNKNOWN := --target wasm32-unknown-unknown --crate-type cdylib
REACTOR := --target $(WASI) --crate-type cdylib
# These targets have a libc with a malloc, which Rust uses.
HEAP    := -C link-arg=--export=malloc -C link-arg=--export=free
COMMAND := --target $(WASI) --crate-type bin --cfg command -C link-arg=--export=probe

hidden         = $(UNKNOWN)
malloc         = $(UNKNOWN) --cfg malloc
sized          = $(UNKNOWN) --cfg sized
dangling       = $(UNKNOWN) --cfg dangling
wasi           = $(REACTOR)
wasi_malloc    = $(REACTOR) $(HEAP)
command        = $(COMMAND)
command_malloc = $(COMMAND) $(HEAP)
command_start  = $(command_malloc) --cfg started

MODULES := hidden malloc sized dangling wasi wasi_malloc command command_malloc command_start

.PHONY: all why toolchain

all: $(MODULES:%=$(OUT)/%.wasm)

$(OUT)/%.wasm: $(SRC) Makefile
	$(BUILD) $($*) --crate-name $* -o $@ $<

# Prints what is missing to build all, or nothing.
why:
	@if [ -z "$(RUSTC)" ]; then \
		echo "no rustc $(VERSION) with standard libraries for wasm32-unknown-unknown and $(WASI) found"; exit; fi; \
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	echo '#[no_mangle] pub extern "C" fn probe() {}' | $(BUILD) $(UNKNOWN) --crate-name probe -o "$$dir/probe.wasm" - >/dev/null 2>&1 || \
		echo "$(RUSTC) does not link for wasm32-unknown-unknown: is lld installed?"

# Prints the versions that decide the bytes.
toolchain:
	@$(RUSTC) --version
	@$(or $(WASM_LD),rust-lld -flavor wasm) --version 2>/dev/null || echo "rust-lld"
