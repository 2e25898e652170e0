# make run    builds everything and filters sample logs through an example guest
# make test   builds everything and runs all tests
# make help   lists the other targets

GO ?= go
# A test that runs make does not pass on what this one was given: to it, BUILD is something else.
GO_TEST = env -u MAKEFLAGS -u MFLAGS $(GO) test
BUILD := build
SO := $(BUILD)/flb-filter_wasmtime.so
ALIASES := $(BUILD)/flb-filter_wasm.so $(BUILD)/flb-processor_wasmtime.so $(BUILD)/out_wasmtime.so
COMMAND := $(BUILD)/flb-wasmtime
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
DEPGUARD := github.com/OpenPeeDeeP/depguard/v2/cmd/depguard@v2.3.0

# Neither Go's build ID nor a path is in what is built: the same sources give the same bytes anywhere.
# Only what is looked up is exported: no name is bound to the host's then, and a sixth of the
# code, parts of wasmtime that nothing reaches, can go.
SONAME := -Wl,-soname,$(notdir $(SO))
EXPORTS := -Wl,--version-script=$(CURDIR)/exports.map
GOFLAGS_BUILD = -trimpath -buildmode=pie \
	-ldflags='-s -w -buildid= -extldflags "-Wl,-s -Wl,--build-id=sha1 -Wl,--gc-sections $(RUNTIME)"'
GOFLAGS_LIBRARY = -trimpath \
	-ldflags='-s -w -buildid= -extldflags "-Wl,-s -Wl,--build-id=sha1 -Wl,--gc-sections $(SONAME) $(EXPORTS) $(RUNTIME)"'
RUNTIME := # what the compiler does not link by itself

# $(call aliases,COMPILER,DIRECTORY) makes the other names of the object in a directory.
aliases = for alias in $(notdir $(ALIASES)); do \
	$(1) -shared -nostdlib -Wl,-s -Wl,--no-as-needed -Wl,-z,noexecstack -Wl,-rpath,'$$ORIGIN' \
		-o $(2)/$$alias alias/alias.c $(2)/$(notdir $(SO)) || exit 1; done

# Which wasmtime is linked: the library inside wasmtime-go, which needs nothing but Go and gcc, or
# the supported release that engine/ builds, which needs Rust. ENGINE goes for all targets.
ENGINE ?= go
export ENGINE
ENGINE_ARCH ?= $(shell uname -m)
ENGINE_DIR = build/engine/linux-$(ENGINE_ARCH)
ENGINE_LIB = $(ENGINE_DIR)/libwasmtime.a
ENGINES := $(addprefix build/engine/linux-,$(addsuffix /libwasmtime.a,x86_64 aarch64))
ifeq ($(ENGINE),lts)
# The first -L comes before the one where wasmtime-go has its library. By the second, a place that is
# not there, the go command learns that a library is another one: it does not look into them.
ENGINE_LDFLAGS = -L$(CURDIR)/$(ENGINE_DIR) -L/engine/$(shell sha256sum $(ENGINE_LIB) 2>/dev/null | cut -c1-16)
GIVEN_LDFLAGS := $(CGO_LDFLAGS)
export CGO_LDFLAGS = $(ENGINE_LDFLAGS) $(GIVEN_LDFLAGS)
build test race sanitize soak bench: $(ENGINE_LIB)
dist-amd64: build/engine/linux-x86_64/libwasmtime.a
dist-arm64: build/engine/linux-aarch64/libwasmtime.a
else ifneq ($(ENGINE),go)
$(error ENGINE is $(ENGINE): it is go or lts)
endif

.PHONY: help engine audit build dist install uninstall version package image-tree run test race sanitize lint lint-c format arm64 fuzz fuzz-smoke soak bench examples verify-examples test-sdk clean

help: ## lists the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

# The go command knows what has changed, so each build asks it.
build: ## builds the plugin and the command into build/
	@mkdir -p $(BUILD)
	@[ -e $(SO) ] || echo "Building plugin and command. For the first time that takes one to three minutes on two idle" \
		"processors, without a word: Go downloads 70 MB, of which wasmtime is the most, and compiles."
	$(GO) build $(GOFLAGS_LIBRARY) -buildmode=c-shared -o $(SO) .
	@rm -f $(SO:.so=.h)
	@$(call aliases,$(CC),$(BUILD))
	$(GO) build $(GOFLAGS_BUILD) -o $(COMMAND) ./cmd/flb-wasmtime

# The portable build: zig brings the headers, stubs and unwinder that Debian's gcc has not, so
# that the same runs on any Linux with Go and pip. The official packages of Fluent Bit go back
# to CentOS 7, which has glibc 2.17; arm64 has no older.
GLIBC := 2.17
ARCH ?= amd64 arm64
ZIG_VERSION := $(shell sed -n 's/^Zig //p' test/toolchains/zig/TOOLCHAIN)
ZIG ?= $(CURDIR)/$(BUILD)/zig/ziglang/zig
DIST := $(BUILD)/dist
MACHINE_amd64 := x86_64
MACHINE_arm64 := aarch64

dist: $(ARCH:%=dist-%) ## builds for glibc 2.17 into build/dist/linux-ARCH; ARCH=amd64 for one alone

dist-%: COMPILER = $(CURDIR)/dist/zig-cc $(ZIG) $(MACHINE_$*)-linux-gnu.$(GLIBC)
dist-%: ENGINE_ARCH = $(MACHINE_$*)
dist-%: RUNTIME = $(CURDIR)/$(DIST)/libc-$*.o -lunwind
dist-%: $(ZIG)
	@mkdir -p $(DIST)/linux-$*
	$(COMPILER) -c -o $(DIST)/libc-$*.o dist/libc.S
	@export GOOS=linux GOARCH=$* CGO_ENABLED=1 CC="$(COMPILER)"; \
		set -x; \
		$(GO) build $(GOFLAGS_LIBRARY) -buildmode=c-shared -o $(DIST)/linux-$*/$(notdir $(SO)) . && \
		$(GO) build $(GOFLAGS_BUILD) -o $(DIST)/linux-$*/$(notdir $(COMMAND)) ./cmd/flb-wasmtime
	@rm -f $(DIST)/linux-$*/*.h
	@$(call aliases,$(COMPILER),$(DIST)/linux-$*)
	$(GO) run ./test/dist -glibc $(GLIBC) $(DIST)/linux-$*/*

$(CURDIR)/$(BUILD)/zig/ziglang/zig:
	python3 -m pip install -q --target $(BUILD)/zig ziglang==$(ZIG_VERSION)

# FROM has the binaries, for this machine or another. COMMAND runs on this one, and writes the manual
# page and the completions.
PREFIX ?= /usr/local
FROM ?= $(BUILD)
DOC := share/doc/fluent-bit-wasmtime
# What flb-wasmtime new copies. It is not looked for among the documentation, which images leave out.
SHARE := share/fluent-bit-wasmtime
DOCUMENTS := *.md LICENSE docs examples sdk deploy wit fluent-bit.conf
install: ## installs what make build has made, below $(DESTDIR)$(PREFIX)
	@test -e $(FROM)/flb-wasmtime && test -e $(COMMAND) || { echo "there is nothing to install: run make build first"; exit 1; }
	@set -e; to="$(DESTDIR)$(PREFIX)"; \
	mkdir -p "$$to/bin" "$$to/lib/fluent-bit" "$$to/share/man/man1" "$$to/share/bash-completion/completions" \
		"$$to/share/zsh/site-functions" "$$to/share/fish/vendor_completions.d" "$$to/$(DOC)"; \
	install -m 755 $(FROM)/flb-wasmtime "$$to/bin/"; \
	install -m 644 $(addprefix $(FROM)/,$(notdir $(SO) $(ALIASES))) "$$to/lib/fluent-bit/"; \
	$(COMMAND) man >"$$to/share/man/man1/flb-wasmtime.1"; \
	$(COMMAND) completion bash >"$$to/share/bash-completion/completions/flb-wasmtime"; \
	$(COMMAND) completion zsh >"$$to/share/zsh/site-functions/_flb-wasmtime"; \
	$(COMMAND) completion fish >"$$to/share/fish/vendor_completions.d/flb-wasmtime.fish"; \
	{ git ls-files $(DOCUMENTS) 2>/dev/null || find $(DOCUMENTS) -type f ! -path '*/node_modules/*' ! -path '*/target/*'; } | \
		grep -v -e '\.gitignore$$' -e '_test\.go$$' | \
		while read -r file; do \
			for in in $(DOC) $$(case "$$file" in sdk/*) echo $(SHARE);; esac); do \
				mkdir -p "$$to/$$in/$$(dirname "$$file")"; install -m 644 "$$file" "$$to/$$in/$$file"; done; done

uninstall: ## removes what make install has installed there
	@to="$(DESTDIR)$(PREFIX)"; rm -rf "$$to/$(DOC)" "$$to/$(SHARE)"; \
	rm -f "$$to/bin/flb-wasmtime" $(foreach so,$(notdir $(SO) $(ALIASES)),"$$to/lib/fluent-bit/$(so)") \
		"$$to/share/man/man1/flb-wasmtime.1" "$$to/share/bash-completion/completions/flb-wasmtime" \
		"$$to/share/zsh/site-functions/_flb-wasmtime" "$$to/share/fish/vendor_completions.d/flb-wasmtime.fish"; \
	rmdir --ignore-fail-on-non-empty "$$to/lib/fluent-bit" 2>/dev/null || true

# The one place that the version of a release stands in.
version: ## prints the version
	@sed -n 's/^const Version = "\(.*\)"$$/\1/p' internal/version/version.go

# make dist has made what is packed.
package: build ## packs what make dist has built into build/packages: .deb, .rpm, tarball, checksums
	@for arch in $(ARCH); do packaging/package.sh $$arch $(DIST)/linux-$$arch $(BUILD)/packages || exit 1; done

image-tree: ## assembles what images hold in build/image, from what make package has packed
	@for arch in $(ARCH); do packaging/image/tree.sh $$arch || exit 1; done

engine: $(ENGINE_LIB) ## builds the supported wasmtime, for ENGINE_ARCH=x86_64 or aarch64, into build/engine/
$(ENGINES): build/engine/linux-%/libwasmtime.a: engine/build engine/Cargo.toml engine/Cargo.lock engine/src/lib.rs
	engine/build $* $(@D)

audit: ## looks up known vulnerabilities of the Go modules and of both engines, which needs the network
	GO="$(GO)" engine/audit

run: build ## filters sample logs: in Fluent Bit if it is installed, else without
	@./examples/run.sh

# The tests below test/ run what is in build/, which Go's cache of results does
# not know about.
TESTS ?= . ./cmd/... ./examples/... ./internal/... ./packaging/...
TESTS_OF_BUILD ?= ./test/...
test: build ## runs the tests; FLUENT_BIT=path[:path...] names real Fluent Bits
	$(GO_TEST) $(TESTS)
	$(GO_TEST) -count=1 -timeout 1h $(TESTS_OF_BUILD)
	@if [ -z "$$FLUENT_BIT" ] && ! command -v fluent-bit >/dev/null; then \
		echo "NOTE: no Fluent Bit was run: FLUENT_BIT is not set, and there is none on PATH"; fi

# A module of its own: it takes the types of Kubernetes' API.
.PHONY: test-browser
test-browser: build ## drives the page of flb-wasmtime play in chromium, if it is there
	cd test/browser && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./... && $(GO) mod tidy -diff && $(GO_TEST) -count=1 -v ./...

.PHONY: test-deploy
test-deploy: build ## checks deploy/ against the APIs; with FLUENT_BIT, root and runc also runs the pods
	cd test/deploy && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./... && $(GO) mod tidy -diff && $(GO_TEST) -count=1 -v ./...

# A module of its own: the registry has hundreds of others in it.
.PHONY: test-registry
test-registry: build ## has the command push, pull, sign and verify at a real registry, in the test's process
	cd test/registry && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./... && $(GO) mod tidy -diff && $(GO_TEST) -count=1 -v ./...

# A module of its own, for the types of OTLP.
.PHONY: test-otlp
test-otlp: build ## runs the processor in real Fluent Bits (FLUENT_BIT), between a client and a server of OTLP
	cd test/otlp && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./... && $(GO) mod tidy -diff && $(GO_TEST) -count=1 -v -timeout 30m ./...

# A module of its own, for the sake of Prometheus and Grafana.
.PHONY: test-grafana
test-grafana: build ## checks deploy/grafana by Grafana's types and promtool; with FLUENT_BIT also in a real Prometheus
	cd test/grafana && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./... && $(GO) mod tidy -diff && $(GO_TEST) -count=1 -v ./...

# Packages that have goroutines, locks or servers, in code or tests: in others, that do one thing after another, it would
# find nothing. Nor would it in the plugin of build/, which is not built for it: of the tests of that, those are run that
# have goroutines of their own.
CONCURRENT = $(sort $(dir $(shell grep -lE '^\s*go |AfterFunc|"sync|httptest|Parallel\(\)' *.go cmd/*/*.go internal/*/*.go)))
race: build ## runs the tests with the race detector
	$(GO_TEST) -race -vet=off -skip '^Fuzz' $(patsubst %/,./%,$(CONCURRENT))
	$(GO_TEST) -race -vet=off -count=1 -timeout 2h -run 'Output' ./test/host
	$(GO_TEST) -race -vet=off -count=1 -timeout 2h ./test/e2e ./test/soak ./test/forwardserver

# Shared objects of their own: the one in build/ is not sanitized. Bounds of memory are checked in
# the hot path and the guests' functions; the test host has an allocator of its own that checks. Two tests leave no memory
# for the sanitizer of addresses.
UBSAN_FLAGS := -fsanitize=undefined -fno-sanitize-recover=undefined
UBSAN = CGO_CFLAGS="-O1 -g $(UBSAN_FLAGS)" CGO_LDFLAGS="$(CGO_LDFLAGS) -fsanitize=undefined"
sanitize: ## runs the tests of the C code with gcc's sanitizers of addresses and undefined behaviour
	$(UBSAN) $(GO_TEST) -vet=off -asan -skip "NoExecutableMemory|HostHasNoMemory" ./internal/fast ./internal/state ./internal/tables ./internal/guest ./internal/delivery ./internal/filter ./internal/output
	$(UBSAN) $(GO_TEST) -vet=off -run "NoExecutableMemory|HostHasNoMemory" ./internal/guest
	@mkdir -p $(BUILD)/ubsan
	$(UBSAN) $(GO) build -ldflags='-extldflags "$(SONAME) $(EXPORTS)"' -buildmode=c-shared -o $(BUILD)/ubsan/$(notdir $(SO)) .
	@$(call aliases,$(CC),$(BUILD)/ubsan)
	FLB_WASMTIME_SO_DIR=$(CURDIR)/$(BUILD)/ubsan FLB_HOST_CFLAGS="$(UBSAN_FLAGS)" \
		$(GO_TEST) -count=1 -short ./test/host

# On another machine than arm64: what is built for that, in qemu's emulation of a process, with
# those of the tests that it can judge in short time. qemu 7.2 keeps 25 MB for each memory of a guest
# that was ever made in a process, so the tests of guests have a process each. The loader is told
# of its libc, since it would take another one of arm64 that is installed.
ARM64_LIBC := /usr/aarch64-linux-gnu
QEMU ?= qemu-aarch64 -L $(ARM64_LIBC) -E LD_LIBRARY_PATH=$(ARM64_LIBC)/lib
ARM64_CC ?= aarch64-linux-gnu-gcc
ARM64_GO = GOARCH=arm64 CGO_ENABLED=1 CC=$(ARM64_CC) FLB_EMULATOR='$(QEMU)' $(GO)
ARM64_GUEST_TESTS := TestTraps TestTrapKinds TestExceptions TestTimeout TestTimeoutAtStart TestTimeoutInHost \
	TestTimeoutAmongExceptions TestHandlersAreRestored TestExitStatus \
	TestLibc TestPrintf TestReplyAtTheEdge TestMemoryLimit TestPrecompiledRuns TestWASIFunctions TestDirectories
ARM64_HOST_TESTS := TestConfigMapIsTheOptionTable|TestTrapsSurviveTheHostsSignalHandlers/.*/5.0.3|TestHandlersWaitForEachOther|TestSignalsDuringTraps|TestTimeoutOnACoroutine|TestCoroutineStack/.*/5.0.3|TestReload/5.0.3|TestOutput$$
ARM64_EXAMPLES := $(patsubst examples/%/TOOLCHAIN,%,$(wildcard examples/*/TOOLCHAIN examples/*/bare/TOOLCHAIN))
ARM64_RUN := run --tag app.web --time 2023-11-14T22:13:20.123456789Z
arm64: build ## builds for arm64 and runs a part of the tests in qemu-aarch64
	$(MAKE) build GOARCH=arm64 CGO_ENABLED=1 CC=$(ARM64_CC) BUILD=$(BUILD)/arm64
	@for example in $(ARM64_EXAMPLES); do \
		set -- $(ARM64_RUN) --config examples/$$example/fluent-bit.conf examples/$${example%/bare}/input.ndjson; \
		echo "flb-wasmtime $$*"; \
		$(COMMAND) "$$@" >$(BUILD)/own.ndjson && $(QEMU) $(BUILD)/arm64/flb-wasmtime "$$@" >$(BUILD)/arm64/its.ndjson && \
			cmp $(BUILD)/own.ndjson $(BUILD)/arm64/its.ndjson || exit 1; \
	done
	$(ARM64_GO) test -exec '$(QEMU)' ./internal/mp ./internal/chunk ./internal/transcode ./internal/fast
	$(ARM64_GO) test -c -o $(BUILD)/arm64/guest.test ./internal/guest
	@cd internal/guest && for test in $(ARM64_GUEST_TESTS); do \
		FLB_EMULATOR='$(QEMU)' $(QEMU) $(CURDIR)/$(BUILD)/arm64/guest.test -test.run "^$$test$$" -test.v >$(CURDIR)/$(BUILD)/arm64/guest.log || \
			{ cat $(CURDIR)/$(BUILD)/arm64/guest.log; exit 1; }; \
		grep -E '^--- ' $(CURDIR)/$(BUILD)/arm64/guest.log || { echo "$$test: there is no such test"; exit 1; }; \
	done
	CGO_ENABLED=0 CC=$(ARM64_CC) FLB_EMULATOR='$(QEMU)' FLB_WASMTIME_SO_DIR=$(CURDIR)/$(BUILD)/arm64 \
		$(GO_TEST) -count=1 -short -run '$(ARM64_HOST_TESTS)' ./test/host

GO_FILES = $(shell find . -name '*.go' -not -path './$(BUILD)/*' -not -path '*/node_modules/*')
lint: ## vet, staticcheck, gofmt, which package may import what, go.mod, workflows
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(DEPGUARD) ./...
	$(GO) run $(ACTIONLINT)
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
	@for file in $(C_HOST); do gcc -fsyntax-only -O2 -std=gnu11 -Wall -Wextra -Werror -Itest/host/src/stub -DFAMILY=503 -DDEFINITION=511 $$file || exit 1; done

format: ## formats all C and Go
	$(CLANG_FORMAT) -i $(C_ALL)
	gofmt -w $(GO_FILES)

FUZZTIME ?= 30s
FUZZJOBS ?= 1
fuzz: ## runs every fuzz target for FUZZTIME (30s, or 300x), FUZZJOBS at once
	@mkdir -p $(BUILD)/fuzz && : >$(BUILD)/fuzz/targets
	@for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		[ ! -e $$dir/go.mod ] || continue; \
		$(GO) test -c -fuzz . -o $(BUILD)/fuzz/$$(basename $$dir).test $$dir || exit 1; \
		sed -n -E "s,^func (Fuzz[A-Za-z0-9_]*).*,$$dir \1,p" $$dir/*_test.go >>$(BUILD)/fuzz/targets; \
	done
	@GOCACHE=$$($(GO) env GOCACHE) xargs -a $(BUILD)/fuzz/targets -L 1 -P $(FUZZJOBS) test/fuzz $(CURDIR)/$(BUILD)/fuzz $(FUZZTIME)

# A count, since Go fails a target whose time is over while its seeds run. A target of so few runs waits most of the time.
fuzz-smoke: ## runs every fuzz target 300 times beyond its seeds
	$(MAKE) fuzz FUZZTIME=300x FUZZJOBS=4

# -v, since go test hides what a package that passes prints: here, the figures.
SOAK ?= 3m
SOAK_RELOADS ?= 200
SOAK_RECORDS ?= 10000000
SOAK_OUTPUT_RECORDS ?= 1000000
soak: build ## hostile guests, reloads, a leak, far sides that die: SOAK=3m per Fluent Bit, SOAK_RELOADS=200
	SOAK=$(SOAK) SOAK_RELOADS=$(SOAK_RELOADS) SOAK_RECORDS=$(SOAK_RECORDS) \
		$(GO_TEST) -count=1 -timeout 3h -v ./test/soak
	SOAK_OUTPUT_RECORDS=$(SOAK_OUTPUT_RECORDS) \
		$(GO_TEST) -count=1 -timeout 3h -v -run 'OutputKilledServer' ./test/host ./test/e2e

# BENCH_SVG and BENCH_MARKDOWN name files for the chart and the table.
BENCH_ROUNDS ?= 5
bench: build ## benchmarks; with FLUENT_BIT also what filters cost in a real one
	$(GO_TEST) -run '^$$' -bench . ./internal/...
	@# Another build, whose functions have names.
	@mkdir -p $(BUILD)/bench
	$(GO) build -ldflags='-extldflags "$(SONAME) $(EXPORTS)"' -buildmode=c-shared -o $(BUILD)/bench/$(notdir $(SO)) .
	@$(call aliases,$(CC),$(BUILD)/bench)
	FLB_WASMTIME_SO_DIR=$(CURDIR)/$(BUILD)/bench $(GO_TEST) -run '^$$' -bench . ./test/host
	$(GO) run ./test/bench -rounds $(BENCH_ROUNDS) $(if $(BENCH_SVG),-svg $(BENCH_SVG)) \
		$(if $(BENCH_MARKDOWN),-markdown $(BENCH_MARKDOWN))

examples: ## builds the example guests whose toolchain is there
	$(MAKE) -C examples

verify-examples: ## rebuilds the examples' and tests' guests and compares them with the committed ones
	$(MAKE) -C examples verify
	$(MAKE) -C test/toolchains verify

test-sdk: build ## tests the SDKs, and the filters of the examples that use them, without WebAssembly and as modules
	$(MAKE) -C sdk/rust test
	$(MAKE) -C sdk/go test
	$(MAKE) -C sdk/c test
	$(MAKE) -C sdk/assemblyscript test
	$(MAKE) -C sdk/zig test-project
	$(MAKE) -C test/sdkroute test
	$(MAKE) -C test/sdkotlp test

clean: ## removes what has been built
	rm -rf $(BUILD)
