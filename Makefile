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
# SwiftPM orders the flags of traits by their hashes, which differ from run to run; then packages that nobody has touched
# are compiled again.
BUILD    := SWIFT_DETERMINISTIC_HASHING=1 swift build
BENCH_VENV := .build/bench-venv
SOURCES  := Package.swift Sources Tests cmd Benchmarks/Package.swift Benchmarks/Sources

# Targets that start processes, containers or whole systems: slower, and not needed to see that a change is sound.
# Each runs in a process of its own, one after the other, so that none starves another one's deadlines; those that put the
# machine under stress (suites named so) run last, alone.
SLOW_TESTS := PostgresStoreTests LinuxHostTests GVisorTests OCIImagesTests SidekickServiceTests LocalRuntimeTests CompositionTests
# So many tests of a process at once: more of them, with the processes they start, only starve each other's deadlines.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH = 8
# The base image that tests run computes from, kept between runs.
IMAGES   := .build/images

.PHONY: help run build check test bench bench-sidekick bench-store bench-fairness soak fuzz format clean
.PHONY: check-format check-architecture test-build unit-tests slow-tests client-tests fuzz-tests base-image
.PHONY: release-sidekick strip-sidekick

help:
	@echo 'make run      install what is missing, build release, start the system, print how to use it'
	@echo 'make build    leave release binaries in $(RELEASE): $(PRODUCTS)'
	@echo 'make check    format, architecture, warnings as errors, unit tests; needs no running system'
	@echo 'make test     every test, also the slow ones and the ones with the public Python client'
	@echo 'make bench    time to interactive beside its floor, then bench-sidekick; needs root, takes an hour'
	@echo 'make bench-sidekick   the Sidekick beside ssh, nginx, terminado and inotifywait, here and in gVisor'
	@echo 'make bench-store   the event store beside pgbench and GRDB, then reading and rebuilding as the log grows'
	@echo 'make bench-fairness   the p99 of one group beside the burst of another one, as a ratio'
	@echo 'make soak     gigabytes through one Sidekick, then ten minutes of everything: memory stays flat, nothing is left'
	@echo 'make fuzz     everything that is fuzzed, for five minutes each: FUZZ_SECONDS=N for more'
	@echo 'make format   format the Swift sources in place'
	@echo 'make clean    remove everything that was built'

run: build
	@exec $(RELEASE)/computesdk serve

build:
	@scripts/install-packages run
	@for product in $(PRODUCTS); do $(BUILD) -c release --product "$$product"; done
	@$(MAKE) --no-print-directory $(addprefix $(RELEASE)/,$(BESIDE_SIDEKICK)) strip-sidekick

# Plain shared objects and a small static program, which SwiftPM cannot make. They lie beside the Sidekick, which is put into
# computes with them.
BESIDE_SIDEKICK := libstatflags.so libwaitingshell.so terminal-signals
%/libstatflags.so: Sources/CStatFlags/stat_flags.c
	@$(SHARED_OBJECT) -o $@ $<
%/libwaitingshell.so: Sources/CWaitingShell/waiting_shell.c
	@$(SHARED_OBJECT) -o $@ $<
%/terminal-signals: Sources/CTerminalSignals/terminal_signals.c
	@cc -static -s -O2 -Wall -Wextra -Werror -o $@ $<
SHARED_OBJECT := cc -shared -fPIC -O2 -nostdlib -Wall -Wextra -Werror

# What lies in every compute is small. Nothing in it unwinds a stack: Swift throws no exceptions, and a crash is not reported
# from in there. So the tables for that go as well; they are a sixth of it.
strip-sidekick:
	@objcopy --strip-all --remove-section .eh_frame --remove-section .eh_frame_hdr $(RELEASE)/sidekick

check: check-format check-architecture test-build unit-tests

test: test-build unit-tests slow-tests client-tests fuzz-tests

# BENCH is handed on: `make bench BENCH="--count 20 --only warm"`. RUNSC names another runsc than the one in PATH.
bench: build
	@mkdir -p .build/bench
	cd Benchmarks && $(BUILD) -c release --product tti
	Benchmarks/.build/release/tti --binaries $(RELEASE) --images $(abspath .build/bench/images) \
	    --json .build/bench/tti.json $(if $(RUNSC),--runsc $(RUNSC)) $(BENCH)
	@$(MAKE) --no-print-directory bench-sidekick

# BENCH_SIDEKICK is handed on: `make bench-sidekick BENCH_SIDEKICK="--place plain --only commands --quick"`. RUNSC as above.
bench-sidekick: release-sidekick $(BENCH_VENV)/.installed
	@scripts/install-packages bench
	$(BENCH_VENV)/bin/python Benchmarks/sidekick/bench.py --sidekick $(RELEASE)/sidekick \
	    --json .build/bench/sidekick.json $(if $(RUNSC),--runsc $(RUNSC)) $(BENCH_SIDEKICK)

# BENCH_STORE is handed on: `make bench-store BENCH_STORE="commits --seconds 20"`, `BENCH_STORE="growth --events 300000"`.
bench-store:
	@scripts/install-packages test
	@$(BUILD) -c release --product store-bench
	$(RELEASE)/store-bench $(BENCH_STORE)

# What one group notices of another one's burst of a thousand creates; BENCH_FAIRNESS="--unfair" shows it without turns.
bench-fairness:
	@$(BUILD) -c release --product fairness-bench
	$(RELEASE)/fairness-bench $(BENCH_FAIRNESS)

# SOAK is handed on: `make soak SOAK="--seconds 60 --gigabytes 1"`.
soak: release-sidekick $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python Benchmarks/sidekick/soak.py --sidekick $(RELEASE)/sidekick $(SOAK)

# The suites with Fuzz in their names, then the routes and the socket of a running Sidekick. FUZZ is handed on to the latter:
# `make fuzz FUZZ="--seed 7"` repeats a run.
FUZZ_SECONDS ?= 300
fuzz: test-build $(BENCH_VENV)/.installed
	COMPUTESDK_FUZZ_SECONDS=$(FUZZ_SECONDS) swift test --skip-build --disable-xctest --filter Fuzz
	$(BENCH_VENV)/bin/python Tests/Fuzz/fuzz.py --sidekick .build/debug/sidekick --seconds $(FUZZ_SECONDS) $(FUZZ)

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
	$(BUILD) --build-tests
	@$(MAKE) --no-print-directory $(addprefix .build/debug/,$(BESIDE_SIDEKICK))

unit-tests:
	@mkdir -p $(RESULTS) && rm -f $(RESULTS)/unit*
	swift test --skip-build --disable-xctest --xunit-output $(RESULTS)/unit.xml \
	    $(addprefix --skip ,$(SLOW_TESTS)) 2>&1 | tee $(RESULTS)/unit.log

# All of them, also after one has failed.
slow-tests: base-image
	@mkdir -p $(RESULTS) && rm -f $(RESULTS)/slow-*
	@failed=; \
	run() { \
	    echo "swift test: $$1"; \
	    swift test --skip-build --disable-xctest --xunit-output $(RESULTS)/slow-$$1.xml "$${@:2}" 2>&1 \
	        | tee $(RESULTS)/slow-$$1.log || failed+=" $$1"; \
	}; \
	for target in $(SLOW_TESTS); do run $$target --filter "^$$target\\." --skip StressTests; done; \
	run StressTests --filter StressTests --no-parallel; \
	[[ -z $$failed ]] || { echo "failed:$$failed"; exit 1; }

# Under gVisor where it can run, and without any isolation, which is what other machines have.
client-tests: base-image $(VENV)/.installed
	@mkdir -p $(RESULTS) && rm -f $(RESULTS)/clients*
	@failed=; for isolation in process $$(scripts/base-image --can-run && echo gvisor); do \
	    COMPUTESDK_TEST_ISOLATION=$$isolation $(VENV)/bin/python -m pytest -p no:cacheprovider \
	        --junitxml $(RESULTS)/clients-$$isolation.xml -o junit_suite_name=clients-$$isolation Tests/Clients \
	        || failed+=" $$isolation"; \
	done; [[ -z $$failed ]] || { echo "failed:$$failed"; exit 1; }

# What `make fuzz` does for long, for a moment.
fuzz-tests: $(BENCH_VENV)/.installed
	@mkdir -p $(RESULTS) && rm -f $(RESULTS)/fuzz*
	$(BENCH_VENV)/bin/python -m pytest -p no:cacheprovider \
	    --junitxml $(RESULTS)/fuzz.xml -o junit_suite_name=fuzz Tests/Fuzz

# Minutes, once. A machine that cannot run containers goes on without; the tests that need it are skipped then.
base-image:
	@scripts/base-image $(IMAGES) .build/debug/computesdk

release-sidekick:
	@scripts/install-packages run
	@$(BUILD) -c release --product sidekick
	@$(MAKE) --no-print-directory $(addprefix $(RELEASE)/,$(BESIDE_SIDEKICK)) strip-sidekick

$(BENCH_VENV)/.installed: Benchmarks/sidekick/requirements.txt
	@scripts/install-packages run
	python3 -m venv --clear $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check -r Benchmarks/sidekick/requirements.txt
	@touch $@

$(VENV)/.installed: Tests/Clients/requirements.txt
	@scripts/install-packages test
	python3 -m venv --clear $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r Tests/Clients/requirements.txt
	@touch $@
