# Builds $(NAME).wasm of $(NAME).c and $(HEADERS) by sdk/c. To choose the compiler: make CLANG=clang-16

CLANG   ?= $(shell for c in clang-19 clang; do command -v $$c && break; done)
OUT     ?= $(NAME).wasm
CFLAGS  ?= --target=wasm32 -mcpu=mvp -mbulk-memory -O2 -std=c11 -Wall -Wextra -Wpedantic -ffreestanding -I../../sdk/c
LDFLAGS ?= --target=wasm32 -nostdlib -Wl,--no-entry -Wl,--stack-first -Wl,--strip-all

.PHONY: all why toolchain

all: $(OUT)

# In two steps: linking with -O, clang runs the wasm-opt that it finds, if any, and
# the bytes must not depend on that.
$(OUT): $(NAME).c $(HEADERS) ../../sdk/c/flb_filter.h Makefile ../sdk-c.mk
	$(CLANG) $(CFLAGS) -c -o $@.o $(NAME).c
	$(CLANG) $(LDFLAGS) -o $@ $@.o
	@rm $@.o

# Prints what is missing to build this, or nothing.
why:
	@if [ -z "$(CLANG)" ]; then echo "no clang found"; \
	elif ! echo 'void filter(void) {}' | $(CLANG) $(LDFLAGS) -x c -o /dev/null - >/dev/null 2>&1; then \
		echo "$(CLANG) does not build for wasm32: is lld of the same version installed?"; fi

# Prints the versions that decide what the module is, byte for byte.
toolchain:
	@$(CLANG) --version | head -n 1
