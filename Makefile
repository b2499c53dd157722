# midwatch: build, run, check. `make help` lists the targets.
#
# One non-recursive makefile. A room (docs/ARCHITECTURE.md) is a folder and becomes one static
# library; `may_include` below is the one table of arrows between rooms: unit tests link only what
# their room may use, and `make lint` holds every #include against it.

SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

VERSION := 0.1.0
BUILD ?= build
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr/local
# One short line a step; V=1 shows the commands.
quiet = $(if $(V),,@echo "  $(1)	$(2)";)

# ---- rooms and arrows ------------------------------------------------------------------------

rooms := lib/base proto lib/net lib/store lib/state lib/access triage collector webhook exporters \
         cli server

may_include_lib/base :=
may_include_proto := lib/base
may_include_lib/net := lib/base
may_include_lib/store := lib/base proto
may_include_lib/state := lib/base
may_include_lib/access := lib/base lib/state
may_include_triage := lib/base lib/store lib/state
may_include_collector := lib/base proto lib/net lib/store lib/state lib/access
may_include_webhook := lib/base proto lib/net lib/store lib/state lib/access triage
may_include_exporters := lib/base proto lib/net lib/store lib/state lib/access
may_include_cli := lib/base
may_include_server := lib/base proto lib/net lib/store lib/state lib/access triage collector \
                      webhook exporters cli

# A room may have folders. They are drawn from the bottom up: what a folder's files may include
# beside their own folder and the room's own headers. One archive all the same.
folders_lib/store := format segment rollup merge query
may_see_lib/store/format :=
may_see_lib/store/segment := format
may_see_lib/store/rollup := format segment
may_see_lib/store/merge := format segment rollup
may_see_lib/store/query := format segment rollup
folders_triage := decision evidence conclusion
may_see_triage/decision :=
may_see_triage/evidence :=
may_see_triage/conclusion := evidence

# What a room's archive needs behind it at link time, itself first.
closure = $(1) $(may_include_$(1)) $(foreach r,$(may_include_$(1)),$(may_include_$(r)))
uniq = $(if $(1),$(firstword $(1)) $(call uniq,$(filter-out $(firstword $(1)),$(1))))
archive = $(BUILD)/lib$(subst /,-,$(1)).a
# The hooks of server/ need everything; --start-group lets archives refer to each other's needs.
link_rooms = -Wl,--start-group $(foreach r,$(call uniq,$(call closure,$(1))),$(call archive,$(r))) -Wl,--end-group

# ---- packages --------------------------------------------------------------------------------

packages_build := build-essential pkg-config libprotobuf-c-dev protobuf-c-compiler libnghttp2-dev \
    libsqlite3-dev libjansson-dev libcurl4-openssl-dev libevent-dev libssl-dev zlib1g-dev \
    libzstd-dev liblz4-dev libxxhash-dev libpcre2-dev libyaml-dev uthash-dev
packages_test := libcmocka-dev python3 openssl curl
packages_lint := clang clang-format clang-tidy cppcheck libclang-rt-dev
# What a toolchain that somebody installed by hand already has is not installed beside it.
without = $(if $(shell command -v $(1) 2>/dev/null),,$(2))
packages_interop = python3-venv nodejs npm $(call without,javac,default-jdk-headless) \
    $(call without,mvn,maven) $(call without,go,golang-go)
pkgs := libprotobuf-c libnghttp2 sqlite3 jansson libcurl libevent_core openssl zlib libzstd liblz4 \
    libxxhash libpcre2-8 yaml-0.1

# ---- flags -----------------------------------------------------------------------------------

warnings := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
    -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2
hardening := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
OPT ?= -O2 -g -D_FORTIFY_SOURCE=2
SANITIZE ?=
# gcc clears and copies structures with "rep stos" and "rep movs", whose start alone costs some 30
# cycles; clang does not, and does not know the options. docs/PERFORMANCE.md has the figures.
no_rep := vector_loop:256:noalign,libcall:-1:noalign
no_rep := -mmemset-strategy=$(no_rep) -mmemcpy-strategy=$(no_rep)
tuning := $(if $(shell $(CC) $(no_rep) -x c -c -o /dev/null /dev/null 2>&1 || echo no),,$(no_rep))
CPPFLAGS_ALL := -I. -I$(BUILD)/gen -D_GNU_SOURCE -DMW_VERSION='"$(VERSION)"' $(CPPFLAGS)
CFLAGS_ALL = -std=c17 $(OPT) $(tuning) $(warnings) $(WERROR) $(hardening) $(SANITIZE) -pthread \
    $(shell_pkg_cflags) $(CFLAGS)
LDFLAGS_ALL = -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack $(SANITIZE) $(LDFLAGS)
shell_pkg_cflags := $(shell pkg-config --cflags $(pkgs) 2>/dev/null)
libs := $(shell pkg-config --libs $(pkgs) 2>/dev/null) -lm

# ---- sources ---------------------------------------------------------------------------------

sources_of = $(sort $(wildcard $(1)/*.c $(1)/*/*.c))
protos := $(sort $(wildcard proto/*.proto))
generated := $(protos:proto/%.proto=$(BUILD)/gen/proto/%.pb-c.c)
generated_objects := $(generated:$(BUILD)/gen/%.c=$(BUILD)/obj/gen/%.o)
objects_of = $(patsubst %.c,$(BUILD)/obj/%.o,$(call sources_of,$(1))) \
    $(if $(filter proto,$(1)),$(generated_objects))
all_objects := $(foreach r,$(rooms),$(call objects_of,$(r)))

# tests/unit/lib-net/test_http1.c is a program of room lib/net
unit_sources := $(sort $(wildcard tests/unit/*/test_*.c))
unit_programs := $(unit_sources:tests/%.c=$(BUILD)/tests/%)
fuzz_sources := $(sort $(wildcard tests/fuzz/*/fuzz_*.c))
replay_programs := $(fuzz_sources:tests/%.c=$(BUILD)/tests/%_replay)
fuzz_programs := $(fuzz_sources:tests/%.c=$(BUILD)/tests/%)
bench_sources := $(sort $(wildcard tests/bench/*.c tests/bench/*/*.c))
bench_programs := $(bench_sources:tests/%.c=$(BUILD)/tests/%)
refusing_disk := $(BUILD)/tests/refusing_disk.so
test_room = $(subst -,/,$(notdir $(patsubst %/,%,$(dir $(1)))))

.SECONDARY: $(generated)
.PHONY: all deps deps-test deps-lint deps-interop run test check-unit interop soak accuracy lint format asan \
    tsan fuzz bench bench-long install uninstall clean help print-rooms tests-built

all: $(BUILD)/midwatch ## build the program: build/midwatch

$(BUILD)/midwatch: $(foreach r,$(rooms),$(call archive,$(r)))
	@mkdir -p $(@D)
	$(call quiet,LINK,$@)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(call link_rooms,server) $(libs)

# An empty room still has an archive, so that every link line is the same.
define room_rule
$(call archive,$(1)): $(call objects_of,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call quiet,AR,$$@)$$(AR) rcs $$@ $$^
endef
$(foreach r,$(rooms),$(eval $(call room_rule,$(r))))

# A changed flag or compiler rebuilds what it touches.
flags_now := $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL)
$(shell mkdir -p $(BUILD); echo '$(subst ','"'"',$(flags_now))' | cmp -s - $(BUILD)/flags || echo '$(subst ','"'"',$(flags_now))' > $(BUILD)/flags)

# Generated headers exist before anything that may include them is compiled.
$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(generated)
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call quiet,CC,$<)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -Wno-conversion -Wno-shadow -MMD -MP -c -o $@ $<

$(BUILD)/gen/proto/%.pb-c.c: proto/%.proto
	@mkdir -p $(@D)
	$(call quiet,PROTOC,$<)protoc-c --proto_path=proto --c_out=$(@D) $<

-include $(all_objects:.o=.d)

# ---- run -------------------------------------------------------------------------------------

deps: ## install the Debian packages the program needs
	@packaging/install-packages.sh $(packages_build)
deps-test:
	@packaging/install-packages.sh $(packages_build) $(packages_test)
deps-lint:
	@packaging/install-packages.sh $(packages_build) $(packages_test) $(packages_lint)
deps-interop:
	@packaging/install-packages.sh $(packages_build) $(packages_test) $(packages_interop)

run: deps ## install what is missing, build, start the daemon, print what to do next
	@+$(MAKE) --no-print-directory -j$$(nproc) all
	@exec $(BUILD)/midwatch serve $(ARGS)

# ---- checks ----------------------------------------------------------------------------------

tests-built: $(BUILD)/midwatch $(unit_programs) $(replay_programs) $(bench_programs) $(refusing_disk)

test: deps-test ## build and run every check that needs Debian packages alone
	@+$(MAKE) --no-print-directory -j$$(nproc) tests-built
	@tests/run.py --build $(BUILD) unit replay e2e

check-unit: deps-test
	@+$(MAKE) --no-print-directory -j$$(nproc) $(unit_programs)
	@tests/run.py --build $(BUILD) unit

define test_link
	@mkdir -p $(@D)
	$(call quiet,LINK,$@)$(CC) $(CPPFLAGS_ALL) -Itests $(CFLAGS_ALL) $(LDFLAGS_ALL) $(1) -MMD -MP -MF $@.d -MT $@ -o $@ $(filter %.c,$^) \
	    $(call link_rooms,$(call test_room,$<)) $(libs)
endef

.SECONDEXPANSION:
room_archives = $(foreach r,$(call uniq,$(call closure,$(call test_room,$(1)))),$(call archive,$(r)))

$(BUILD)/tests/unit/%: tests/unit/%.c $$(call room_archives,tests/unit/%.c)
	$(call test_link,) -lcmocka
$(BUILD)/tests/fuzz/%_replay: tests/fuzz/%.c tests/fuzz/replay_main.c $$(call room_archives,tests/fuzz/%.c)
	$(call test_link,)
$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $$(call room_archives,tests/fuzz/%.c)
	$(call test_link,-fsanitize=fuzzer)
$(BUILD)/tests/bench/%: tests/bench/%.c $(wildcard tests/bench/*.h) $(foreach r,$(rooms),$(call archive,$(r)))
	@mkdir -p $(@D)
	$(call quiet,LINK,$@)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(call link_rooms,$(if $(findstring /triage/,$<),triage,collector)) $(libs)
# Preloaded into a daemon; never instrumented.
$(refusing_disk): tests/e2e/refusing_disk.c
	@mkdir -p $(@D)
	$(call quiet,LINK,$@)$(CC) -D_GNU_SOURCE -std=c17 -O1 -g $(warnings) $(WERROR) -fPIC -shared -o $@ $< -ldl
-include $(wildcard $(BUILD)/tests/*/*/*.d)

asan_flags := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
asan: deps-test ## every check under AddressSanitizer and UndefinedBehaviorSanitizer
	@+$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/asan OPT="-O1 -g" SANITIZE="$(asan_flags)" tests-built
	@tests/run.py --build $(BUILD)/asan --label asan unit replay e2e

tsan: deps-test ## the concurrent parts under ThreadSanitizer
	@+$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/tsan OPT="-O1 -g" SANITIZE="-fsanitize=thread" tests-built
	@TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tsan.supp halt_on_error=0 exitcode=66" \
	    tests/run.py --build $(BUILD)/tsan --label tsan unit e2e

FUZZ_SECONDS ?= 600
fuzz: deps-lint ## every fuzzer (or FUZZ="http1 json") for FUZZ_SECONDS (600) of CPU each
	@+$(MAKE) --no-print-directory -j$$(nproc) BUILD=$(BUILD)/fuzz CC=clang OPT="-O1 -g" \
	    SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined" fuzz-built
	@tests/fuzz/run.sh $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZ)
.PHONY: fuzz-built
fuzz-built: $(fuzz_programs)

interop: deps-interop ## unmodified SDK clients against the real program
	@+$(MAKE) --no-print-directory -j$$(nproc) all
	@tests/interop/run.sh $(BUILD)

soak_programs := $(addprefix $(BUILD)/tests/unit/,lib-store/test_power_loss lib-state/test_power_loss \
    triage/test_storm)
soak: deps-interop ## long checks: other senders, kill cycles, power loss (SOAK=WORD)
	@+$(MAKE) --no-print-directory -j$$(nproc) all $(bench_programs) $(soak_programs)
	@tests/soak/run.sh $(BUILD) $(SOAK)

bench: deps-test ## speed, memory, disk: medians and ratios
	@+$(MAKE) --no-print-directory -j$$(nproc) all $(bench_programs)
	@tests/bench/run.py --build $(BUILD)

bench-long: deps-test ## growth to 50 M spans, look-ups in 10 M, causes in 50 M, a steady state of 20 minutes
	@+$(MAKE) --no-print-directory -j$$(nproc) all $(bench_programs)
	@tests/bench/run_long.py --build $(BUILD)

# The cause among the first, over real faults: DATA has one folder per data set (tests/data/rca has
# three cases). Ends with 1 below the bars.
DATA ?= tests/data/rca
accuracy: deps-test ## real faults, and how often the cause is named first (DATA=DIR)
	@+$(MAKE) --no-print-directory -j$$(nproc) all $(BUILD)/tests/bench/triage/grid
	@tests/accuracy/run.py $(DATA) --build $(BUILD) --grid --at-least nezha=0.55 --at-least petshop=0.75

c_files = $(shell git ls-files -co --exclude-standard '*.c' '*.h')
lint: deps-lint ## arrows between rooms, sizes, warnings as errors (gcc, clang), clang-tidy, cppcheck
	@+MAKE="$(MAKE)" BUILD=$(BUILD) tests/lint/run.sh

format: deps-lint ## clang-format over every C file
	clang-format -i $(c_files)

print-rooms:
	@$(foreach r,$(rooms),echo "$(r): $(may_include_$(r))"; \
	    $(foreach f,$(folders_$(r)),echo "folder $(r)/$(f): $(may_see_$(r)/$(f):%=$(r)/%)";))

# ---- install ---------------------------------------------------------------------------------

install: all ## put midwatch on PATH (PREFIX, DESTDIR)
	install -D -m 0755 $(BUILD)/midwatch $(DESTDIR)$(PREFIX)/bin/midwatch
uninstall: ## take it off again
	rm -f $(DESTDIR)$(PREFIX)/bin/midwatch

clean: ## remove the build directory
	rm -rf $(BUILD)

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
