# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets. Everything is installed into .venv and build/; nothing outside the checkout but
# the Debian packages named in requirements/debian-*.txt.

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
export PYTHONDONTWRITEBYTECODE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export ANSIBLE_NOCOLOR ?= 1
# The venv's tools first: meson-python rebuilds the extension with the ninja it finds on PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# make demo FORMAT=1080p50 SECONDS=5 SPEED=1
DEMO_ARGS := $(if $(FORMAT),--format $(FORMAT)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SPEED),--speed $(SPEED))
# make lab PORTS=netmap|xdp KEEP=1
LAB_ARGS := $(if $(PORTS),--ports $(PORTS)) $(if $(KEEP),--keep)

C_FILES = $(shell git ls-files 'native/*.c' 'native/*.h')
SHELL_FILES = $(shell git ls-files '*.sh' .ci/run)

.PHONY: help setup demo test lab soak wheelhouse matrix bench bench-kernel bench-lab fuzz lint types c-test pytest format docs lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## forward real and generated ST 2110 media between network namespaces (root)
	$(PYTHON) -P demo/demo.py $(DEMO_ARGS)

test: lint types c-test fuzz pytest ## everything: lint, types, C tests with sanitizers, fuzzers for a minute each, pytest

.PHONY: lab-asked
lab-asked:
	@[ -n "$(NETMAP_SOURCE)$(PORTS)" ] || { echo "make lab: set NETMAP_SOURCE=<URL, git directory or tarball of netmap>, or PORTS=xdp to try the lab without netmap" >&2; exit 1; }

lab: lab-asked build/lab-packages.stamp setup ## deploy a QEMU guest with the playbook and forward media through it (NETMAP_SOURCE=… or PORTS=xdp)
	$(PYTHON) -P tests/vm/lab_cli.py run $(LAB_ARGS)

# make soak SOAK_SECONDS=600
SOAK_SECONDS ?= 600
soak: lab-asked build/lab-packages.stamp setup ## media through a deployed guest for SOAK_SECONDS (600): every frame, the account, memory (NETMAP_SOURCE=… or PORTS=xdp)
	$(PYTHON) -P tests/vm/lab_cli.py soak --seconds $(SOAK_SECONDS) $(LAB_ARGS)

bench: setup ## nanoseconds a frame of the true loop, beside a floor and testpmd; also as build/bench.json, and as a page (PAGE=…)
	@[ -d build/bench ] || meson setup -Dextension=false --buildtype=release build/bench >/dev/null
	ninja -C build/bench native/bench/bench_forward native/bench/bench_media native/bench/bench_hold >/dev/null
	$(PYTHON) -P native/bench/run_bench.py build/bench/native/bench/bench_forward build/bench.json $(PAGE)

.PHONY: netmap-asked
netmap-asked:
	@[ -n "$(NETMAP_SOURCE)" ] || { echo "$(MAKECMDGOALS): set NETMAP_SOURCE=<URL, git directory or tarball of netmap>" >&2; exit 1; }

matrix: netmap-asked build/lab-packages.stamp setup ## build and test drivers for every known kernel, write docs/reference/driver-matrix.* (NETMAP_SOURCE=…)
	driver-builds matrix --run --artifacts artifacts --output docs/reference

.PHONY: bench-programs
bench-programs: setup
	@[ -d build/bench ] || meson setup -Dextension=false --buildtype=release build/bench >/dev/null
	@meson compile -C build/bench >/dev/null

bench-kernel: bench-programs ## AF_XDP beside the Linux bridge and DPDK on the same veth pairs (root)
	$(PYTHON) -P bench/kernel.py

bench-lab: setup ## the worker beside netmap's bridge and VALE in one guest (NETMAP_SOURCE=…)
	$(PYTHON) -P bench/lab.py

wheelhouse: setup ## dist/wheelhouse: studio-bypass and all it depends on, for the appliance role
	@rm -rf dist/wheelhouse
	@pip wheel -q -w dist/wheelhouse --require-hashes -r requirements/appliance.lock
	@pip wheel -q -w dist/wheelhouse --no-deps --no-build-isolation .
	@echo "dist/wheelhouse: $$(ls dist/wheelhouse | wc -l) wheels"

# make fuzz FUZZ_SECONDS=1800
FUZZ_SECONDS ?= 60
FUZZERS := merge observe parse rewrite ring
fuzz: setup build/test-packages.stamp ## parser, rewrite, loop, merge and observation against any bytes, FUZZ_SECONDS (60) each, two at a time
	@[ -d build/fuzz ] || CC=clang meson setup -Dextension=false -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false build/fuzz >/dev/null
	ninja -C build/fuzz
	printf '%s\n' $(FUZZERS) | xargs -P 2 -I NAME native/fuzz/run_one.sh NAME $(FUZZ_SECONDS)

# ---- installing

setup: build/build-packages.stamp build/venv.stamp build/install.stamp ## install what the project needs into .venv

build/%-packages.stamp: requirements/debian-%.txt requirements/install_packages.sh
	@mkdir -p build
	@requirements/install_packages.sh $<
	@touch $@

build/venv.stamp: requirements/dev.lock | build/build-packages.stamp
	@[ -x $(PYTHON) ] || python3 -m venv $(VENV)
	@echo "installing Python packages (requirements/dev.lock)"
	@$(BIN)/pip install -q --require-hashes --only-binary :all: -r $<
	@touch $@

# Editable: Python from the checkout, the extension rebuilt by meson when a C file changed.
build/install.stamp: pyproject.toml meson.build meson.options | build/venv.stamp
	@echo "building the native fast path"
	@$(BIN)/pip install -q --no-deps --no-build-isolation -C build-dir=build/editable -C setup-args=-Dtests=true -e .
	@touch $@

# ---- checking

lint: setup build/test-packages.stamp ## every linter, no rule skipped
	ruff check .
	ruff format --check .
	$(PYTHON) -P requirements/lint_imports.py
	clang-format --dry-run -Werror $(C_FILES)
	@[ -d build/tidy ] || CC=clang meson setup -Dextension=false build/tidy >/dev/null
	clang-tidy -quiet -p build/tidy $(filter %.c,$(C_FILES))
	shellcheck $(SHELL_FILES)
	yamllint --strict .
	ansible-lint --offline --strict --profile production

types: setup ## mypy strict, the lab and the frame tests included
	mypy
	mypy -p tests.frames
	mypy -p tests.models
	MYPYPATH=tests/vm mypy -p lab
	MYPYPATH=tests/media:demo mypy --ignore-missing-imports demo tests/media
	MYPYPATH=tests/media mypy --ignore-missing-imports tests/kernel
	MYPYPATH=tests/media:tests/builds:bench mypy --ignore-missing-imports bench
	mypy --ignore-missing-imports docs/generate.py requirements/*.py

# meson setup keeps a configured folder as it is; a new option needs `make clean`.
c-test: setup build/test-packages.stamp ## C tests: plain, ASan + UBSan, TSan
	@[ -d build/asan ] || CC=clang meson setup -Dextension=false -Db_sanitize=address,undefined -Db_lundef=false build/asan >/dev/null
	@[ -d build/tsan ] || CC=clang meson setup -Dextension=false -Db_sanitize=thread -Db_lundef=false build/tsan >/dev/null
	meson test -C build/editable --print-errorlogs
	meson test -C build/asan --print-errorlogs
	meson test -C build/tsan --print-errorlogs

pytest: setup build/test-packages.stamp ## unit, contract, frames, kernel (root), builds (NETMAP_SOURCE)
	pytest

format: setup ## rewrite Python and C in the project's format
	ruff format .
	ruff check --fix .
	clang-format -i $(C_FILES)

docs: setup ## write docs/reference from the code
	$(PYTHON) -P docs/generate.py

LOCK := pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock: setup ## pin again what pyproject.toml declares
	$(PYTHON) requirements/declared.py dev >build/dev.in
	$(LOCK) -o requirements/dev.lock build/dev.in
	$(PYTHON) requirements/declared.py >build/appliance.in
	$(LOCK) -c requirements/dev.lock -o requirements/appliance.lock build/appliance.in

clean: ## remove what make made
	rm -rf build dist artifacts lab-report $(VENV)
