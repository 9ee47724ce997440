# SPDX-License-Identifier: Apache-2.0
# Thin: every target says what it runs. JOBS=N for builds.
JOBS ?= $(shell nproc)
.PHONY: all build test test-clients demo bench fuzz tower tidy fmt clean install help

all: build

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

build: ## install what is missing and build the release program: build/release/weir
	@tools/setup build
	@tools/build release

test: ## install what is missing, build with sanitizers, pass every test
	@tools/setup test
	@tools/build release
	@tools/build asan
	@ctest --test-dir build/asan --output-on-failure --no-tests=error -j $(JOBS)

test-clients: ## MLflow's and Triton's own clients (fetched from PyPI) against the release program
	@tools/setup clients
	@tools/build release
	@tests/mlflow/clients
	@tests/triton/clients
	@tests/triton/qa

demo: ## the main job on three million real flights
	@tools/setup build
	@tools/build release
	@examples/flights/demo

bench: ## ratios against the peers: prints, and writes build/bench.json
	@tools/setup bench
	@tools/build release
	@tools/build bench
	@bench/run

fuzz: ## each fuzz target for FUZZ_SECONDS (default 20)
	@tools/setup fuzz
	@tools/build fuzz
	@fuzz/run $${FUZZ_SECONDS:-20}

tower: ## the floors and the calls between them; up must be 0
	@tools/tidy --tower

tidy: ## the rules of the house
	@tools/tidy

fmt: ## format the sources
	@git ls-files '*.c' '*.h' | xargs -d '\n' clang-format-14 -i

install: build ## to DESTDIR/PREFIX (default /usr/local): bin/weir, lib/weir/
	@install -D -s build/release/weir "$(DESTDIR)$(or $(PREFIX),/usr/local)/bin/weir"
	@install -D -t "$(DESTDIR)$(or $(PREFIX),/usr/local)/lib/weir" build/third_party/duckdb/libduckdb.so build/third_party/yyjson/lib/libyyjson.so.0
	@! test -e build/third_party/onnxruntime/libonnxruntime.so.1 || install -t "$(DESTDIR)$(or $(PREFIX),/usr/local)/lib/weir" build/third_party/onnxruntime/libonnxruntime.so.1
	@install -D -s build/release/libweir.so.0 "$(DESTDIR)$(or $(PREFIX),/usr/local)/lib/libweir.so.0"
	@ln -sf libweir.so.0 "$(DESTDIR)$(or $(PREFIX),/usr/local)/lib/libweir.so"
	@install -D -m 644 include/weir/weir.h "$(DESTDIR)$(or $(PREFIX),/usr/local)/include/weir/weir.h"

clean: ## remove the builds, keep what was fetched
	@rm -rf build/release build/debug build/asan build/tsan build/bench build/fuzz build/demo
