# `make run` and `make test` are all that a fresh machine needs; `make help` lists the rest.

.DEFAULT_GOAL := help
.PHONY: help run test unit-test test-build test-sqlite test-redis web-test simulation end-to-end-test soak build install \
    uninstall check format clean

SWIFT ?= swift
export BIN_DIR PREFIX DESTDIR SYSCONFDIR LOCALSTATEDIR
# Statically linked against the Swift library, as it is shipped.
RELEASE := -c release --static-swift-stdlib
VENV := .build/venv
# Several things at once, each one's output in one piece when it ends.
BESIDE = $(MAKE) --no-print-directory --output-sync=target
# The built tests themselves: `swift test` would keep everything else out of `.build` for as long as they run. What they
# leave behind when they end early goes with their directory.
TESTS := set -e; TMPDIR=$$(mktemp -d); export TMPDIR; trap 'rm -rf "$$TMPDIR"' EXIT; \
    .build/debug/support-chatPackageTests.xctest --testing-library swift-testing --no-parallel
# The suites that run over both engines.
REDIS_SUITES := AuthServiceTests $(addprefix PresenceServiceTests., \
    RoutingStoreTests StatusStoreTests LeadershipStoreTests AssignmentRoutesTests PresenceRoutesTests) \
    $(addprefix FilesServiceTests., FileStoreTests FileAccessTests FileCollectionTests FullDiskTests \
    PartialUploadTests QuotaTests StoreIdentityTests TusRoutesTests UploadRoutesTests) \
    $(addprefix GatewayServiceTests., ConversationLogTests ConversationListTests LogMembershipTests LogModelTests \
    LogOutboxTests LogRecallTests LogReceiptTests GatewayRulesTests)
SOURCES := Package.swift Services Shared Tests

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## install what is missing, build, start everything on PORT (6006); Ctrl-C stops it
	@deploy/run

test: ## every test: install what is missing, unit tests, then the built binaries end to end
	@deploy/install test
	@$(MAKE) --no-print-directory test-build
	@# Tests wait more than they compute: the release build takes what they leave.
	@echo "the Swift tests over SQLite and over Redis, those of the web client, and the release build beside them"
	@$(BESIDE) -j4 test-sqlite test-redis web-test build NICE='nice -n 19'
	@$(MAKE) --no-print-directory simulation
	@$(MAKE) --no-print-directory end-to-end-test
	@echo "make test: all tests passed"

unit-test: test-build ## the Swift tests alone, those of stores over SQLite and over Redis
	@$(BESIDE) -j2 test-sqlite test-redis

test-build:
	$(SWIFT) build --build-tests $(TEST_FLAGS)

test-sqlite:
	@$(TESTS)

test-redis:
	@export STORE_ENGINE=redis; $(TESTS) $(addprefix --filter ,$(REDIS_SUITES))

web-test: ## the web client's types, and its rules without a browser (SEED=…)
	tsc -p deploy/web/services
	tsc -p deploy/web
	node --test Tests/WebTests

end-to-end-test: build $(VENV)/ready ## the built binaries behind real nginx, driven by foreign clients (ARGS=…)
	BIN_DIR="$$($(SWIFT) build $(RELEASE) --show-bin-path)" \
	    $(VENV)/bin/python -m pytest Tests/EndToEndTests -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

simulation: build ## the protocol's state machines in 100,000 seeded worlds, and the mistakes that they have to find (ARGS=…)
	.build/release/simulation $(ARGS)
	@[ -n "$(ARGS)" ] || .build/release/simulation --planted

soak: build $(VENV)/ready ## the long tests: twenty thousand messages, a gibibyte, a thousand kills of files, rolling restart, chaos, compose
	SOAK=1 BIN_DIR="$$($(SWIFT) build $(RELEASE) --show-bin-path)" \
	    $(VENV)/bin/python -m pytest Tests/EndToEndTests/test_delivery.py Tests/EndToEndTests/test_crash.py \
	    Tests/EndToEndTests/test_routing_load.py Tests/EndToEndTests/test_tus.py \
	    Tests/EndToEndTests/test_file_crash.py Tests/EndToEndTests/test_files_instances.py \
	    Tests/EndToEndTests/test_rolling.py Tests/EndToEndTests/test_chaos.py \
	    Tests/EndToEndTests/test_pages_access.py Tests/EndToEndTests/test_compose.py $(ARGS)

build: ## the release executables
	$(NICE) $(SWIFT) build $(RELEASE)

install: ## what `make build` built, as system services, below PREFIX (/usr/local; DESTDIR=… stages it)
	@deploy/systemd/install

uninstall: ## remove that again; settings and data stay
	@deploy/systemd/install --uninstall

$(VENV)/ready: Tests/EndToEndTests/requirements.txt
	@rm -rf $(VENV)
	@if [ -x /usr/bin/python3 ]; then /usr/bin/python3 -m venv $(VENV); else python3 -m venv $(VENV); fi
	$(VENV)/bin/pip --disable-pip-version-check --quiet install -r Tests/EndToEndTests/requirements.txt
	@touch $@

check: ## format, imports against the table of layers, every test
	$(SWIFT) format lint --strict -rp $(SOURCES)
	$(SWIFT) build --explicit-target-dependency-import-check error
	@$(MAKE) --no-print-directory test

format: ## rewrite the sources as `make check` wants them
	$(SWIFT) format format -irp $(SOURCES)

clean: ## remove what was built (.data stays)
	rm -rf .build
