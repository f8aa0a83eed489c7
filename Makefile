# Renga's commands. `make help` lists them. Not here: what installs packages (.ci/needs) and how each part is built (Package.swift, bindings/).
SHELL := /bin/bash
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DOCDIR ?= $(PREFIX)/share/doc/renga
DESTDIR ?=
SECONDS ?= 60
PLAN ?= short
JOBS ?= 1
# The header is the law: the version is written there and nowhere else.
version_part = $(shell sed -n 's/^\#define RENGA_VERSION_$(1) \([0-9][0-9]*\)$$/\1/p' include/renga.h)
VERSION := $(call version_part,MAJOR).$(call version_part,MINOR).$(call version_part,PATCH)

SWIFT ?= swift
PYTHON ?= python3
VENV := .venv
BENCH_VENV := .venv-bench
LIBRARY := .build/release/librenga.so

export SWIFT_BACKTRACE := enable=no

.DEFAULT_GOAL := help
.PHONY: onnx-models onnx-large onnx-operators abi-record docs needs-docs help demo test build install uninstall bench experiments format lint clean wheel sdist deb fuzz sanitize \
	test-experiments test-engine test-outside lint-python test-install test-documents test-packages test-cross test-fuzz check-library needs-swift needs-build needs-demo needs-test needs-venv

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

# ---- what must be installed ----

needs-build needs-demo needs-test: needs-%:
	@.ci/needs build $*

needs-swift:
	@.ci/needs

needs-venv:
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.ready: bindings/python/pyproject.toml | needs-venv
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check 'setuptools>=77' numpy
	@touch $@

# onnx's node tests: later wheels do not carry their data.
$(VENV)/.ready-test: $(VENV)/.ready
	$(VENV)/bin/pip install --quiet --disable-pip-version-check pytest scikit-learn pillow ruff mypy auditwheel
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check onnx==1.19.0 onnxruntime safetensors \
		|| echo "onnx, onnxruntime or safetensors are not to be had here: the tests that compare with them are skipped" >&2
	@touch $@

# ---- build and install ----

build: needs-build ## build the release library
	$(SWIFT) build -c release --product renga
	@.ci/check-library $(LIBRARY)

check-library: ## check size, symbols and dependencies of the built library
	@.ci/check-library $(LIBRARY)

INSTALL_TREE = PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' DOCDIR='$(DOCDIR)' DESTDIR='$(DESTDIR)' bindings/c/install.sh

install: build ## install library, headers, pkg-config and CMake files (PREFIX=/usr/local DESTDIR=)
	@$(INSTALL_TREE) install '$(LIBRARY)' '$(VERSION)'

uninstall: ## remove exactly what install put there (same PREFIX and DESTDIR)
	@$(INSTALL_TREE) uninstall '$(LIBRARY)' '$(VERSION)'

# ---- packages ----

wheel: build $(VENV)/.ready ## build the Python wheel, with the library inside, into dist/
	@rm -rf dist/*.whl bindings/python/build
	RENGA_WHEEL_LIBRARY=$(CURDIR)/$(LIBRARY) $(VENV)/bin/pip wheel --quiet --disable-pip-version-check \
		--no-build-isolation --no-deps --wheel-dir dist bindings/python
	@$(VENV)/bin/python bindings/python/check_wheel.py dist/*.whl

sdist: $(VENV)/.ready ## make the Python source distribution, which pip builds where Swift is, into dist/
	@rm -f dist/*.tar.gz
	@bindings/python/sdist.sh $(VENV)/bin/python

deb: build ## build librenga0 and librenga-dev for Debian into dist/
	@rm -f dist/*.deb
	@bindings/deb/build.sh $(LIBRARY) $(VERSION) dist

demo: needs-demo wheel ## train on Fashion-MNIST, run from C, write demo/report.html (under 4 minutes)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps dist/*.whl
	@$(VENV)/bin/python examples/demo/demo.py

# ---- documents ----

$(VENV)/.ready-docs: $(VENV)/.ready
	$(VENV)/bin/pip install --quiet --disable-pip-version-check 'pdoc>=15' 'markdown2>=2.5'
	@touch $@

needs-docs: needs-build
	@.ci/needs docs

docs: needs-docs $(VENV)/.ready-docs ## build the documentation site into dist/docs (guides, C, Swift, Python; DOCS_BASE= where it is served)
	$(SWIFT) build --target Renga
	@docs/site/build.sh dist/docs $(VENV)/bin/python

# ---- prove ----

test: needs-test lint lint-python build test-engine docs test-outside test-experiments test-install test-documents test-packages test-cross test-fuzz ## run everything (under 15 minutes)

test-engine: # the Swift and C tests, in debug
	$(SWIFT) build --build-tests
	$(SWIFT) test --skip-build --disable-swift-testing

test-outside: $(VENV)/.ready-test # the library from C and Python, as a host sees it
	RENGA_LIBRARY=$(CURDIR)/$(LIBRARY) $(VENV)/bin/python -m pytest -q Tests/ABITests
	RENGA_LIBRARY=$(CURDIR)/$(LIBRARY) $(VENV)/bin/python -m pytest -q -rs bindings/python/tests

test-install: build $(VENV)/.ready # the installed tree: examples by pkg-config and by CMake, moved, uninstalled
	@Tests/ABITests/test_install.sh $(LIBRARY) $(VERSION) $(VENV)/bin/python

abi-record: needs-test ## record the ABI of the present header, at a release (refuses an unannounced break)
	@$(PYTHON) Tests/ABITests/record.py write

test-documents: build $(VENV)/.ready-test # every code block of the README and the guides
	RENGA_LIBRARY=$(CURDIR)/$(LIBRARY) $(VENV)/bin/python -m pytest -q Tests/DocumentTests

test-packages: wheel sdist deb $(VENV)/.ready-test # each package installed, used and removed
	@Tests/PackageTests/test_python.sh dist/*.whl dist/*.tar.gz $(VENV)/bin/python
	@Tests/PackageTests/test_deb.sh dist
	@Tests/PackageTests/test_swift.sh

fuzz: needs-build ## fuzz the file readers and the C interface (SECONDS=60 each)
	@Tests/Fuzz/run.sh '$(SECONDS)'

sanitize: needs-build ## run the suites under the address, thread and undefined-behaviour sanitizers
	@.ci/sanitize

lint-python: $(VENV)/.ready-test # the Python package's style and types
	$(VENV)/bin/ruff check --quiet --config bindings/python/pyproject.toml bindings/python examples docs/site Benchmarks/experiments Benchmarks/onnx Benchmarks/peers
	$(VENV)/bin/ruff format --check --quiet --config bindings/python/pyproject.toml bindings/python examples docs/site Benchmarks/experiments Benchmarks/onnx Benchmarks/peers
	cd bindings/python && $(CURDIR)/$(VENV)/bin/mypy

test-cross: # the kernels for aarch64
	@.ci/cross-aarch64

test-fuzz: # a short run of each fuzz target
	@Tests/Fuzz/run.sh 30

# ---- measure ----

$(BENCH_VENV)/.ready: Benchmarks/peers/requirements.txt | needs-venv
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Every figure and picture comes from Benchmarks/results/*.json, which these two write row by row.
BENCH = cd Benchmarks/peers && RENGA_LIBRARY=$(CURDIR)/$(LIBRARY) PYTHONPATH=$(CURDIR)/bindings/python/src $(CURDIR)/$(BENCH_VENV)/bin/python

bench: build $(BENCH_VENV)/.ready ## time Renga beside its peers (ROWS="…" BENCH_FLAGS="--missing --limit S"; see Benchmarks/peers)
	@$(BENCH) bench.py $(BENCH_FLAGS) $(ROWS)
	@$(if $(ROWS)$(BENCH_FLAGS),true,$(BENCH) roofline.py)
	@$(MAKE) --no-print-directory bench-report

growth: build $(BENCH_VENV)/.ready ## time and memory against batch, image size and depth (BENCH_FLAGS=)
	@$(BENCH) growth.py $(BENCH_FLAGS)
	@$(MAKE) --no-print-directory bench-report

roofline: build $(BENCH_VENV)/.ready ## each step of Renga's plans beside the machine's peaks
	@$(BENCH) roofline.py
	@$(MAKE) --no-print-directory bench-report

bench-report: $(BENCH_VENV)/.ready ## pictures and the README's tables from the stored results
	@$(BENCH) pictures.py
	@$(BENCH) readme.py ../../README.md

# ---- networks of other programs ----

ONNX_VENV := .venv-onnx
$(ONNX_VENV)/.ready: Benchmarks/onnx/requirements.txt Benchmarks/onnx/packages.txt | needs-venv
	$(PYTHON) -m venv $(ONNX_VENV)
	$(ONNX_VENV)/bin/pip install --quiet --disable-pip-version-check -r Benchmarks/onnx/requirements.txt
	$(ONNX_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps -r Benchmarks/onnx/packages.txt
	@touch $@

ONNX = RENGA_LIBRARY=$(CURDIR)/$(LIBRARY) PYTHONPATH=$(CURDIR)/bindings/python/src

onnx-models: build $(ONNX_VENV)/.ready ## import trained networks and compare with ONNX Runtime (several GB of packages)
	$(ONNX) $(CURDIR)/$(ONNX_VENV)/bin/python Benchmarks/onnx/check.py --store Benchmarks/results/onnx_models.json

onnx-large: build $(ONNX_VENV)/.ready ## time and memory to import VGG-16 beside ONNX Runtime
	@$(ONNX) $(CURDIR)/$(ONNX_VENV)/bin/python Benchmarks/onnx/large.py

onnx-operators: build $(VENV)/.ready-test ## write docs/onnx-operators.md from the node tests of the package onnx
	$(ONNX) $(VENV)/bin/python -W ignore bindings/python/tests/onnx_support.py docs/onnx-operators.md

# ---- keep tidy ----

SWIFT_SOURCES := Package.swift Sources Tests examples/swift
C_SOURCES = $(shell git ls-files 'Sources/CRengaKernels/*.c' 'Sources/CRengaKernels/*.h' 'examples/*.c' 'examples/*.cpp' 'Tests/*.c')

format: needs-swift $(VENV)/.ready-test ## format Swift, C and Python sources
	$(SWIFT) format -i -r $(SWIFT_SOURCES)
	@command -v clang-format >/dev/null || { echo "clang-format is missing: apt-get install clang-format" >&2; exit 1; }
	clang-format -i $(C_SOURCES)
	$(VENV)/bin/ruff format --quiet --config bindings/python/pyproject.toml bindings/python examples docs/site Benchmarks/experiments Benchmarks/onnx Benchmarks/peers

lint: needs-swift ## check formatting and the house's rules
	@$(SWIFT) format lint --strict -r $(SWIFT_SOURCES)
	@.ci/lint

clean: ## remove everything built
	rm -rf .build .build-* $(VENV) $(BENCH_VENV) $(ONNX_VENV) demo dist bindings/python/build bindings/python/src/*.egg-info
