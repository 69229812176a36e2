# A thin face on meson and ninja. `make help` says what there is.

BUILD ?= build
# Given to meson when the build folder is made, for instance MESON_OPTIONS=-Dwerror=true.
MESON_OPTIONS ?=
# Groups of packages that `make setup` looks after: build, test, deep, bench.
NEED ?= build test

.DEFAULT_GOAL := all
.PHONY: all setup setup-build demo test peer bench check-deep lint install uninstall clean help

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)
	ln -sfn tool/tenon $(BUILD)/tenon

$(BUILD)/build.ninja:
	meson setup $(MESON_OPTIONS) $(BUILD)

setup:
	scripts/setup.sh $(NEED)

# What a demo needs is less than what the tests need.
setup-build:
	scripts/setup.sh build

# One after the other, whatever -j says: nothing can be built before setup is done.
demo: setup-build
	$(MAKE) all
	scripts/demo.sh $(BUILD)

# A build folder may be older than the tests' library and Python's headers.
test: setup
	if rm -v $(BUILD)/tests/without-cmocka $(BUILD)/python/tenon/without-headers 2>/dev/null | grep -q .; then \
		meson setup --reconfigure $(BUILD); fi
	$(MAKE) all
	BUILD=$(BUILD) scripts/run-tests.sh

# A build folder may be older than the library of the peer that is measured.
peer:
	if pkg-config --exists fuse3 && rm $(BUILD)/bench/without-libfuse 2>/dev/null; then meson setup --reconfigure $(BUILD); fi

# ROUNDS, CASES, SIZE, FILES, OUT and WORK are told to the driver: see docs/benchmarks.md.
bench: setup
	$(MAKE) peer
	$(MAKE) all
	ninja -C $(BUILD) bench-programs
	BUILD=$(BUILD) python3 -m bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(CASES),--cases '$(CASES)') \
		$(if $(SIZE),--size $(SIZE)) $(if $(FILES),--files $(FILES)) $(if $(OUT),--out '$(OUT)') $(if $(WORK),--work '$(WORK)')

check-deep:
	scripts/setup.sh build test deep bench
	scripts/check-deep.sh

lint:
	scripts/setup.sh build test deep bench
	$(MAKE) peer
	$(MAKE) all
	BUILD=$(BUILD) scripts/lint.sh

install: all
ifdef PREFIX
	meson configure $(BUILD) -Dprefix='$(PREFIX)'
endif
	DESTDIR='$(DESTDIR)' meson install -C $(BUILD)

# Meson has written down what the last install brought, and where.
uninstall:
	ninja -C $(BUILD) uninstall

clean:
	rm -rf $(BUILD) build-asan build-tsan build-fuzz

help:
	@echo 'make             build the library, the drives and the command; the command is $(BUILD)/tenon'
	@echo 'make demo        install what a build needs, build, and show a drive'
	@echo 'make test        install what the tests need, build, and run all fast tests'
	@echo 'make bench       measure the drives beside their peers, some minutes, as root (ROUNDS=5 CASES="vault-*" SIZE=1G OUT=folder)'
	@echo 'make setup       install what is missing (NEED="build test deep bench" chooses; default: $(NEED))'
	@echo 'make lint        formatting, clang-tidy, cppcheck, shellcheck, manual pages'
	@echo 'make check-deep  the tests under sanitizers, longer random runs, lint and fuzzing: takes long'
	@echo 'make install     into PREFIX (default /usr/local), below DESTDIR; as root'
	@echo '                 (without: MESON_OPTIONS=-Dmount-helper-dir= and a PREFIX of your own)'
	@echo 'make uninstall   remove what the last make install has installed'
	@echo 'make clean       remove what was built'
