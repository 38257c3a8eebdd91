# The doors into this project. `make` alone prints them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
# One after the other: SwiftPM builds with all cores anyway, and holds a lock on .build.
.NOTPARALLEL:

PRODUCTS := api gateway sidekick computesdk
RELEASE  := .build/release
RESULTS  := .build/results
VENV     := .build/clients-venv
SOURCES  := Package.swift Sources Tests cmd

# Targets that start processes or whole systems: slower, and not needed to see that a change is sound.
SLOW_TESTS := CompositionTests LocalRuntimeTests SidekickServiceTests

.PHONY: help run build check test format clean
.PHONY: check-format check-architecture test-build unit-tests swift-tests client-tests

help:
	@echo 'make run      install what is missing, build release, start the system, print how to use it'
	@echo 'make build    leave release binaries in $(RELEASE): $(PRODUCTS)'
	@echo 'make check    format, architecture, warnings as errors, unit tests; needs no running system'
	@echo 'make test     every test, also the slow ones and the ones with the public Python client'
	@echo 'make format   format the Swift sources in place'
	@echo 'make clean    remove everything that was built'

run: build
	@exec $(RELEASE)/computesdk serve

build:
	@scripts/install-packages run
	@for product in $(PRODUCTS); do swift build -c release --product "$$product"; done

check: check-format check-architecture test-build unit-tests

test: test-build swift-tests client-tests

format:
	swift format format -i -r -p $(SOURCES)

clean:
	rm -rf .build

# --- the parts of `check` and `test` ---

check-format:
	swift format lint -s -r -p $(SOURCES)

check-architecture:
	@scripts/check-architecture --self-test
	@scripts/count-results --self-test
	@scripts/check-architecture

# Debug is the one build configuration of all tests, so that everything is compiled once.
test-build:
	@scripts/install-packages test
	swift build --build-tests

unit-tests:
	@mkdir -p $(RESULTS) && rm -f $(RESULTS)/unit.*
	swift test --skip-build --disable-xctest --xunit-output $(RESULTS)/unit.xml \
	    $(addprefix --skip ,$(SLOW_TESTS)) 2>&1 | tee $(RESULTS)/unit.log

swift-tests:
	@mkdir -p $(RESULTS) && rm -f $(RESULTS)/swift.*
	swift test --skip-build --disable-xctest --xunit-output $(RESULTS)/swift.xml 2>&1 | tee $(RESULTS)/swift.log

client-tests: $(VENV)/.installed
	@mkdir -p $(RESULTS) && rm -f $(RESULTS)/clients.*
	$(VENV)/bin/python -m pytest -p no:cacheprovider --junitxml $(RESULTS)/clients.xml Tests/Clients

$(VENV)/.installed: Tests/Clients/requirements.txt
	@scripts/install-packages test
	python3 -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r Tests/Clients/requirements.txt
	@touch $@
