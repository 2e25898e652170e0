# Builds $(NAME).wasm of src/lib.rs by sdk/rust. To choose the tools: make RUSTC=rustc CARGO=cargo WASM_LD=wasm-ld-14
#
# With rustup and its wasm32-unknown-unknown target,
# cargo build --release --target wasm32-unknown-unknown does the same.

TARGET := wasm32-unknown-unknown
# The first compiler that has a standard library for the target.
RUSTC  ?= $(shell for c in rustc /usr/bin/rustc; do \
	[ -d "$$($$c --print target-libdir --target $(TARGET) 2>/dev/null)" ] && echo $$c && break; done)
CARGO  ?= $(patsubst %rustc,%cargo,$(RUSTC))
# Rust's own linker; where the compiler comes without one, as in Debian, LLVM's.
WASM_LD ?= $(shell [ -n "$(RUSTC)" ] && ls "$$($(RUSTC) --print sysroot)"/lib/rustlib/*/bin/rust-lld >/dev/null 2>&1 || \
	for c in wasm-ld-14 wasm-ld; do command -v $$c >/dev/null && echo $$c && break; done)
OUT    ?= $(NAME).wasm

# What Cargo.toml says, for a build without cargo: cargo has the bytes depend on the directory. So would
# the names of source files, which panics have.
SDK    := $(abspath ../../sdk/rust)
BUILD   = $(RUSTC) --edition 2021 --target $(TARGET) -C opt-level=3 -C codegen-units=1 -C panic=abort \
	--remap-path-prefix=$(SDK)=sdk --remap-path-prefix=$(CURDIR)=$(NAME)

.PHONY: all test why toolchain

all: $(OUT)

$(OUT): $(wildcard src/*.rs $(SDK)/src/*.rs) Makefile ../sdk-rust.mk
	@mkdir -p target
	$(BUILD) --crate-name flb_filter --crate-type rlib --cfg 'feature="std"' --out-dir target $(SDK)/src/lib.rs
	$(BUILD) --crate-name $(NAME) --crate-type cdylib -C lto -C strip=symbols $(if $(WASM_LD),-C linker=$(WASM_LD)) \
		--extern flb_filter=target/libflb_filter.rlib -o $@ src/lib.rs

test:
	RUSTC=$(RUSTC) RUSTDOC=$(patsubst %rustc,%rustdoc,$(RUSTC)) $(CARGO) test --offline --locked -q --target-dir target

# Prints what is missing to build this, or nothing.
why:
	@if [ -z "$(RUSTC)" ]; then echo "no rustc with a standard library for $(TARGET) found"; \
	elif [ -n "$(WASM_LD)" ] && ! command -v "$(WASM_LD)" >/dev/null; then echo "no $(WASM_LD) found"; fi

# Prints the versions that decide what the module is, byte for byte.
toolchain:
	@$(RUSTC) --version
	@$(or $(WASM_LD),rust-lld -flavor wasm) --version 2>/dev/null || echo "rust-lld"
