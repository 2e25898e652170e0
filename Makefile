# make run    builds everything and filters sample logs through an example guest
# make test   builds everything and runs all tests
# make help   lists the other targets

GO ?= go
BUILD := build
SO := $(BUILD)/flb-filter_wasmtime.so
ALIASES := $(BUILD)/flb-filter_wasm.so $(BUILD)/out_wasmtime.so
COMMAND := $(BUILD)/flb-wasmtime
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
DEPGUARD := github.com/OpenPeeDeeP/depguard/v2/cmd/depguard@v2.3.0

# A sixth of the library is parts of wasmtime that nothing reaches, once its C API is not
# exported.
GOFLAGS_BUILD := -trimpath \
	-ldflags='-s -w -extldflags "-Wl,--gc-sections -Wl,--exclude-libs,ALL"'
EXPORTS := -Wl,--version-script=$(CURDIR)/exports.map
# The library exports what Fluent Bit looks up and nothing else, so that no name of its
# own is bound to the host's.
GOFLAGS_LIBRARY := -trimpath \
	-ldflags='-s -w -extldflags "-Wl,--gc-sections -Wl,--exclude-libs,ALL $(EXPORTS)"'

# Which wasmtime is linked: the library inside wasmtime-go, which needs nothing but Go and gcc, or
# the supported release that engine/ builds, which needs Rust. ENGINE goes for all targets.
ENGINE ?= go
export ENGINE
ENGINE_ARCH ?= $(shell uname -m)
ENGINE_DIR = $(BUILD)/engine/linux-$(ENGINE_ARCH)
ENGINE_LIB = $(ENGINE_DIR)/libwasmtime.a
ENGINES := $(addprefix $(BUILD)/engine/linux-,$(addsuffix /libwasmtime.a,x86_64 aarch64))
ifeq ($(ENGINE),lts)
# The first -L comes before the one where wasmtime-go has its library. By the second, a place that is
# not there, the go command learns that a library is another one: it does not look into them.
ENGINE_LDFLAGS = -L$(CURDIR)/$(ENGINE_DIR) -L/engine/$(shell sha256sum $(ENGINE_LIB) 2>/dev/null | cut -c1-16)
GIVEN_LDFLAGS := $(CGO_LDFLAGS)
export CGO_LDFLAGS = $(ENGINE_LDFLAGS) $(GIVEN_LDFLAGS)
build test race sanitize soak bench: $(ENGINE_LIB)
else ifneq ($(ENGINE),go)
$(error ENGINE is $(ENGINE): it is go or lts)
endif

.PHONY: help engine audit build run test race sanitize lint lint-c format fuzz fuzz-smoke soak bench examples verify-examples clean

help: ## lists the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

# The go command knows what has changed, so each build asks it.
build: ## builds the plugin and the command into build/
	@mkdir -p $(BUILD)
	$(GO) build $(GOFLAGS_LIBRARY) -buildmode=c-shared -o $(SO) .
	@rm -f $(SO:.so=.h)
	@# Links, not copies: two copies in one process are two Go runtimes.
	@for alias in $(ALIASES); do ln -f $(SO) $$alias; done
	$(GO) build $(GOFLAGS_BUILD) -o $(COMMAND) ./cmd/flb-wasmtime

engine: $(ENGINE_LIB) ## builds the supported wasmtime, for ENGINE_ARCH=x86_64 or aarch64, into build/engine/
$(ENGINES): $(BUILD)/engine/linux-%/libwasmtime.a: engine/build engine/Cargo.toml engine/Cargo.lock engine/src/lib.rs
	engine/build $* $(@D)

audit: ## looks up known vulnerabilities of the Go modules and of both engines, which needs the network
	GO="$(GO)" engine/audit

run: build ## filters sample logs: in Fluent Bit if it is installed, else without
	@./examples/run.sh

# The tests below test/ run what is in build/, which Go's cache of results does
# not know about.
test: build ## runs the tests; FLUENT_BIT=path[:path...] names real Fluent Bits
	$(GO) test . ./cmd/... ./examples/... ./internal/...
	$(GO) test -count=1 -timeout 1h ./test/...
	@if [ -z "$$FLUENT_BIT" ] && ! command -v fluent-bit >/dev/null; then \
		echo "NOTE: no Fluent Bit was run: FLUENT_BIT is not set, and there is none on PATH"; fi

race: build ## runs the tests with the race detector
	$(GO) test -race . ./cmd/... ./examples/... ./internal/...
	$(GO) test -race -count=1 -timeout 2h ./test/...

# Shared objects of their own: the one in build/ is not sanitized. Bounds of memory are checked in
# the hot path and the guests' functions; the test host has an allocator of its own that checks.
UBSAN_FLAGS := -fsanitize=undefined -fno-sanitize-recover=undefined
UBSAN = CGO_CFLAGS="-O1 -g $(UBSAN_FLAGS)" CGO_LDFLAGS="$(CGO_LDFLAGS) -fsanitize=undefined"
sanitize: ## runs the tests of the C code with gcc's sanitizers of addresses and undefined behaviour
	$(GO) test -asan -skip "NoExecutableMemory|HostHasNoMemory" ./internal/fast ./internal/guest ./internal/filter
	$(UBSAN) $(GO) test ./internal/fast ./internal/guest ./internal/filter ./internal/output
	@mkdir -p $(BUILD)/ubsan
	$(UBSAN) $(GO) build -ldflags='-extldflags "$(EXPORTS)"' -buildmode=c-shared -o $(BUILD)/ubsan/$(notdir $(SO)) .
	@for alias in $(notdir $(ALIASES)); do ln -f $(BUILD)/ubsan/$(notdir $(SO)) $(BUILD)/ubsan/$$alias; done
	FLB_WASMTIME_SO_DIR=$(CURDIR)/$(BUILD)/ubsan FLB_HOST_CFLAGS="$(UBSAN_FLAGS)" \
		$(GO) test -count=1 -short ./test/host

GO_FILES = $(shell find . -name '*.go' -not -path './$(BUILD)/*' -not -path '*/node_modules/*')
lint: ## vet, staticcheck, gofmt, which package may import what, go.mod
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(DEPGUARD) ./...
	@unformatted=$$(gofmt -l $(GO_FILES)); if [ -n "$$unformatted" ]; then echo "gofmt: $$unformatted"; exit 1; fi
	$(GO) mod tidy -diff

# All C but that of guests. Files that include what cgo exports need it generated.
C_FILES := $(wildcard *.c internal/*/*.c)
C_HOST := $(wildcard test/host/src/*.c)
C_ALL := $(C_FILES) $(C_HOST) $(wildcard *.h internal/*/*.h test/host/src/*.h)
CLANG_FORMAT ?= clang-format-19
CLANG_TIDY ?= clang-tidy-19
C_WARNINGS := -std=gnu11 -Wall -Wextra -Werror -Wvla -Wstrict-prototypes -Wmissing-prototypes
lint-c: ## warnings of gcc, clang-format, clang-tidy
	@$(CLANG_FORMAT) --dry-run -Werror $(C_ALL)
	@for package in . internal/guest; do \
		mkdir -p $(BUILD)/_cgo/$$package && (cd $$package && $(GO) tool cgo -objdir $(CURDIR)/$(BUILD)/_cgo/$$package -- -I. $$($(GO) list -f '{{join .CgoFiles " "}}' .)) || exit 1; \
	done
	@for file in $(C_FILES); do \
		include="-I$$(dirname $$file) -I$(BUILD)/_cgo/$$(dirname $$file)"; \
		gcc -fsyntax-only -O2 $(C_WARNINGS) $$include $$file || exit 1; \
		echo "$$file"; $(CLANG_TIDY) --quiet $$file -- -std=gnu11 $$include 2>$(BUILD)/tidy.log || { cat $(BUILD)/tidy.log; exit 1; }; \
	done
	@for file in $(C_HOST); do gcc -fsyntax-only -O2 -std=gnu11 -Wall -Wextra -Werror -DFAMILY=503 -DDEFINITION=511 $$file || exit 1; done

format: ## formats all C and Go
	$(CLANG_FORMAT) -i $(C_ALL)
	gofmt -w $(GO_FILES)

FUZZTIME ?= 30s
fuzz: ## runs every fuzz target for FUZZTIME
	@for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -h '^func Fuzz' $$dir/*_test.go | sed -E 's/func (Fuzz[A-Za-z0-9_]*).*/\1/'); do \
			$(GO) test $$dir -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x || exit 1; \
		done; \
	done

fuzz-smoke: ## runs every fuzz target for two seconds
	$(MAKE) fuzz FUZZTIME=2s

# -v, since go test hides what a package that passes prints: here, the figures.
SOAK ?= 3m
SOAK_RELOADS ?= 200
SOAK_RECORDS ?= 10000000
SOAK_OUTPUT_RECORDS ?= 1000000
soak: build ## hostile guests, reloads, a leak, far sides that die: SOAK=3m per Fluent Bit, SOAK_RELOADS=200
	SOAK=$(SOAK) SOAK_RELOADS=$(SOAK_RELOADS) SOAK_RECORDS=$(SOAK_RECORDS) \
		$(GO) test -count=1 -timeout 3h -v ./test/soak
	SOAK_OUTPUT_RECORDS=$(SOAK_OUTPUT_RECORDS) \
		$(GO) test -count=1 -timeout 3h -v -run 'OutputKilledServer' ./test/host ./test/e2e

# BENCH_SVG and BENCH_MARKDOWN name files for the chart and the table.
BENCH_ROUNDS ?= 5
bench: build ## benchmarks; with FLUENT_BIT also what filters cost in a real one
	$(GO) test -run '^$$' -bench . ./internal/...
	@# Another build, whose functions have names.
	@mkdir -p $(BUILD)/bench
	$(GO) build -ldflags='-extldflags "$(EXPORTS)"' -buildmode=c-shared -o $(BUILD)/bench/$(notdir $(SO)) .
	@for alias in $(notdir $(ALIASES)); do ln -f $(BUILD)/bench/$(notdir $(SO)) $(BUILD)/bench/$$alias; done
	FLB_WASMTIME_SO_DIR=$(CURDIR)/$(BUILD)/bench $(GO) test -run '^$$' -bench . ./test/host
	$(GO) run ./test/bench -rounds $(BENCH_ROUNDS) $(if $(BENCH_SVG),-svg $(BENCH_SVG)) \
		$(if $(BENCH_MARKDOWN),-markdown $(BENCH_MARKDOWN))

examples: ## builds the example guests whose toolchain is there
	$(MAKE) -C examples

verify-examples: ## rebuilds the examples' and tests' guests and compares them with the committed ones
	$(MAKE) -C examples verify
	$(MAKE) -C test/toolchains verify

clean: ## removes what has been built
	rm -rf $(BUILD)
