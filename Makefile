# The build. `make help` lists the targets; flavours sit side by side in build/FLAVOUR/.

FLAVOUR   ?= release
BUILD     := build/$(FLAVOUR)
STATE_DIR ?= /var/lib/sandboxd
PORT      ?= 8443
DESTDIR   ?=
PREFIX    ?= /usr/local
WERROR    ?= -Werror
# How many compilers and test programs `make test` runs at once; most of the tests wait a lot.
JOBS      ?= $(shell expr $$(nproc) + 1)

CC       ?= gcc
MUSL_CC  ?= musl-gcc
PKGS     := libcurl jansson sqlite3 yaml-0.1 libsodium libarchive libevent libidn2 libnftables
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wformat=2 -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wswitch-enum $(WERROR)
BASE     := -std=c11 -D_GNU_SOURCE -I. -fno-common -g $(WARNINGS)
HARDEN   := -fstack-protector-strong -fstack-clash-protection -fcf-protection

FLAGS_release := -O2 -D_FORTIFY_SOURCE=2 $(HARDEN)
FLAGS_asan    := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan    := -O1 -fno-omit-frame-pointer -fsanitize=thread
FLAGS         := $(FLAGS_$(FLAVOUR))
CFLAGS   += $(BASE) $(FLAGS) -fPIE -pthread $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDFLAGS  += $(FLAGS) -pie -pthread -Wl,-z,relro,-z,now
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lfcgi -lhttp_parser -lm

# The guest is its own small static world: musl, no sanitizers, no libraries.
GUEST_CFLAGS := $(BASE) -O2 -D_FORTIFY_SOURCE=2 $(HARDEN) -fPIE
# musl-gcc's specs know no static-pie: its start file (rcrt1.o) and linker flags are named here.
MUSL_LIB     := /usr/lib/$(shell uname -m)-linux-musl
GUEST_LDFLAGS := -nostartfiles -Wl,-static,-pie,--no-dynamic-linker,-z,text,-z,relro,-z,now \
                 -Wl,--gc-sections -s
GUEST_START  = $(MUSL_LIB)/rcrt1.o $(MUSL_LIB)/crti.o $(shell $(CC) -print-file-name=crtbeginS.o)
GUEST_END    = $(shell $(CC) -print-file-name=crtendS.o) $(MUSL_LIB)/crtn.o

SRC       := $(filter-out fcgi/main.c,$(wildcard fcgi/*.c handlers/*.c handlers/*/*.c backend/*.c backend/*/*.c))
SRC_S     := $(wildcard backend/store/*.S backend/docker/*.S handlers/openapi/*.S)
GUEST_SRC := $(wildcard backend/guest/inside/*.c)
OBJ       := $(SRC:%.c=$(BUILD)/%.o) $(SRC_S:%.S=$(BUILD)/%.o)
GUEST_OBJ := $(GUEST_SRC:%.c=$(BUILD)/musl/%.o)
UNIT      := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
UNIT_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/unit/test_%.c,$(wildcard tests/unit/*.c)))
COMMON_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/common/*.c))
ATTACKERS := $(patsubst tests/hostile/attackers/%.c,$(BUILD)/tests/attackers/%,$(wildcard tests/hostile/attackers/*.c))
# What the groups of API tests stand on, without the groups themselves.
API_BASE_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/api/main.c tests/api/test_%,$(wildcard tests/api/*.c)))
HOSTILE_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/hostile/*.c))
API_OBJ   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/api/*.c))
BENCH_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bench/*.c))
UNIT_NAMES := $(notdir $(UNIT))
THREADED  := $(addprefix test_,pool fastcgi worker settings store shared turns)
# Parts of the tests, each with a server of its own, so that they can run side by side. They take
# about as long as each other; what is in no other part is in *-rest.
API_NETWORK := network network-upkeep network-clients full full-changes tools posture runtimes gvisor \
    gvisor-network
API_JOBS    := templates builds pulls idempotency resume stream output background kill cleanup
API_PLACES  := containers container-lists scopes snapshots snapshot-rules snapshot-crashes pool pool-upkeep
API_PARTS   := api-rest api-network api-jobs api-places api-userns
HOSTILE_LIMITS := limits-tiers disk exhaustion
HOSTILE_PARTS  := hostile-limits hostile-rest hostile-btrfs
TIDY_FILES = $(filter %.c,$(C_FILES))
C_FILES   := $(shell git ls-files -co --exclude-standard '*.c' '*.h' 2>/dev/null)

# `make V=1` shows whole commands.
Q    := $(if $(V),,@)
show  = @echo "  $(1) $@"

.DELETE_ON_ERROR:
# Kept, so that a change elsewhere links the unit programs again and does not compile them.
.SECONDARY: $(UNIT:$(BUILD)/tests/%=$(BUILD)/tests/unit/%.o)
.PHONY: all help deps run up down install test unit api hostile readme lint bench asan tsan tidy format clean
.PHONY: $(UNIT_NAMES) $(API_PARTS) api-groups $(HOSTILE_PARTS) hostile-groups

all: $(BUILD)/sandboxd $(BUILD)/sandbox-guest ## Build the program and the guest

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BUILD)/sandboxd: $(BUILD)/fcgi/main.o $(OBJ)
	$(call show,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/sandbox-guest: $(GUEST_OBJ)
	$(call show,LD)
	$(Q)$(MUSL_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -o $@ $(GUEST_START) $^ $(GUEST_END)

$(BUILD)/musl/%.o: %.c
	@mkdir -p $(@D)
	$(call show,CC)
	$(Q)$(MUSL_CC) $(GUEST_CFLAGS) -ffunction-sections -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call show,CC)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.S $(wildcard backend/store/migrations/*.sql backend/docker/*.json handlers/openapi/*.json)
	@mkdir -p $(@D)
	$(call show,AS)
	$(Q)$(CC) -I. -c -o $@ $<

# What the unit tests stand on, as an archive: each takes what it needs, and is linked in a blink.
# Appended (q), because files of different folders have one name.
$(BUILD)/tests/unit.a: $(UNIT_OBJ) $(COMMON_OBJ) $(OBJ)
	@mkdir -p $(@D)
	$(call show,AR)
	$(Q)rm -f $@ && $(AR) qcs $@ $^

$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(BUILD)/tests/unit.a
	@mkdir -p $(@D)
	$(call show,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(BUILD)/tests/nvml-double.so: tests/doubles/nvml.c
	@mkdir -p $(@D)
	$(call show,LD)
	$(Q)$(CC) $(BASE) -O2 -fPIC -shared -o $@ $<

$(BUILD)/tests/api-tests: $(API_OBJ) $(COMMON_OBJ) $(OBJ) | $(BUILD)/tests/nvml-double.so
	$(call show,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(BUILD)/tests/hostile-tests: $(HOSTILE_OBJ) $(API_BASE_OBJ) $(COMMON_OBJ) $(OBJ) | $(ATTACKERS)
	$(call show,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

# Programs that are run inside a sandbox, in any image: static, and without its libraries.
$(BUILD)/tests/attackers/%: tests/hostile/attackers/%.c $(wildcard tests/hostile/attackers/*.h)
	@mkdir -p $(@D)
	$(call show,CC)
	$(Q)$(MUSL_CC) $(BASE) -O1 -static -pthread -o $@ $<

$(BUILD)/tests/bench/bench: $(BENCH_OBJ) $(OBJ)
	$(call show,LD)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

-include $(BUILD)/fcgi/main.d $(OBJ:.o=.d) $(GUEST_OBJ:.o=.d) $(UNIT_OBJ:.o=.d) $(API_OBJ:.o=.d)
-include $(HOSTILE_OBJ:.o=.d)
-include $(COMMON_OBJ:.o=.d)
-include $(BENCH_OBJ:.o=.d) $(UNIT:$(BUILD)/tests/%=$(BUILD)/tests/unit/%.d)

# `deps` comes before the build, and the build is a make of its own: what pkg-config answers is read
# when the Makefile is, before the packages are there.
deps: ## Install what building and running need (Debian, root)
	@nginx/standalone/install

run: deps ## Build and run a server until Ctrl-C (STATE_DIR=, PORT=)
	@$(MAKE) --no-print-directory all
	@nginx/standalone/run $(STATE_DIR) $(PORT)

up: deps ## The same in the background; returns when the API answers
	@$(MAKE) --no-print-directory all
	@nginx/standalone/up $(STATE_DIR) $(PORT)

down: ## End what `make up` started
	@nginx/standalone/down $(STATE_DIR)

# Where the system's own files of services are, whatever the prefix.
UNIT_DIR     := /usr/lib/systemd/system
SYSUSERS_DIR := /usr/lib/sysusers.d
TMPFILES_DIR := /usr/lib/tmpfiles.d
place = sed 's|@PREFIX@|$(PREFIX)|g' fcgi/systemd/$(1) >'$(DESTDIR)$(2)' && chmod 644 '$(DESTDIR)$(2)'

install: all ## Install for systemd (DESTDIR=, PREFIX=)
	install -D -m 755 $(BUILD)/sandboxd '$(DESTDIR)$(PREFIX)/sbin/sandboxd'
	install -D -m 755 $(BUILD)/sandbox-guest '$(DESTDIR)$(PREFIX)/libexec/sandboxd/sandbox-guest'
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/sandboxd/yaml' yaml/*.yaml
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/sandboxd/nginx' nginx/*.conf
	install -D -m 755 -t '$(DESTDIR)$(PREFIX)/libexec/sandboxd' nginx/standalone/base-image
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/libexec/sandboxd' $(addprefix nginx/standalone/,lib.sh engine.sh image.sh)
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/doc/sandboxd' README.md SECURITY.md
	install -d '$(DESTDIR)$(UNIT_DIR)' '$(DESTDIR)$(SYSUSERS_DIR)' '$(DESTDIR)$(TMPFILES_DIR)'
	$(call place,sandboxd.service.in,$(UNIT_DIR)/sandboxd.service)
	$(call place,tmpfiles.conf.in,$(TMPFILES_DIR)/sandboxd.conf)
	$(call place,sysusers.conf,$(SYSUSERS_DIR)/sandboxd.conf)

# Jobs side by side; what one of them prints is shown when it ends, whole.
SIDE_BY_SIDE = @$(MAKE) --no-print-directory -j$(JOBS) --output-sync=target

test: ## Install what is missing, build, and run every test (JOBS= at once)
	@nginx/standalone/install --tests
	$(SIDE_BY_SIDE) unit
	$(SIDE_BY_SIDE) api hostile readme lint

unit: $(UNIT_NAMES) ## Run the unit tests (or one: make test_NAME)

$(UNIT_NAMES): test_%: $(BUILD)/tests/test_% $(BUILD)/sandbox-guest
	@GUEST_BINARY=$(BUILD)/sandbox-guest $<

# The server under test: this flavour's, with its guest.
SERVER = SANDBOXD=$(CURDIR)/$(BUILD)/sandboxd GUEST=$(CURDIR)/$(BUILD)/sandbox-guest tests/with-server
API     = $(SERVER) tests/api/users $(BUILD)/tests/api-tests
HOSTILE = ATTACKERS=$(CURDIR)/$(BUILD)/tests/attackers $(SERVER) tests/api/users $(BUILD)/tests/hostile-tests

api: $(if $(GROUPS),api-groups,$(API_PARTS)) ## Run the tests through nginx and Docker (or GROUPS=)
hostile: $(if $(GROUPS),hostile-groups,$(HOSTILE_PARTS)) ## Run the attacks of tests/hostile (or GROUPS=)

$(API_PARTS) api-groups: all $(BUILD)/tests/api-tests
$(HOSTILE_PARTS) hostile-groups: all $(BUILD)/tests/hostile-tests

api-groups:
	@$(API) $(GROUPS)
api-network:
	@$(API) $(API_NETWORK)
api-jobs:
	@$(API) $(API_JOBS)
api-places:
	@$(API) $(API_PLACES)
api-rest:
	@$(API) --but $(API_NETWORK) $(API_JOBS) $(API_PLACES)
api-userns: # an engine that remaps users
	@USERNS=1 $(API) userns posture snapshots pool run-as network
hostile-groups:
	@$(HOSTILE) $(GROUPS)
hostile-limits:
	@$(HOSTILE) $(HOSTILE_LIMITS)
hostile-rest:
	@$(HOSTILE) --but $(HOSTILE_LIMITS)
hostile-btrfs: # the engine's data where a disk limit can be enforced
	@BTRFS_MB=8192 $(HOSTILE) disk-enforced

readme: all ## Run the README's examples and compare what they print
	@$(SERVER) node tests/readme.mjs
	@tests/walkthrough/run

lint: all ## Lint the API's description (needs npm)
	@SANDBOXD=$(CURDIR)/$(BUILD)/sandboxd tests/openapi/lint $(BUILD)/lint

bench: all $(BUILD)/tests/bench/bench ## Measure against Docker's exec API and a bare spawn
	@$(SERVER) $(BUILD)/tests/bench/bench

asan: ## Every test under AddressSanitizer and UndefinedBehaviorSanitizer
	@nginx/standalone/install --tests
	$(SIDE_BY_SIDE) FLAVOUR=asan unit api

tsan: ## The unit tests of what has threads under ThreadSanitizer
	$(SIDE_BY_SIDE) FLAVOUR=tsan $(THREADED)

tidy: ## clang-tidy and cppcheck
	@printf '%s\n' $(TIDY_FILES) | xargs -P $$(nproc) -I{} sh -c \
	    'echo "clang-tidy {}"; clang-tidy --quiet {} -- -std=c11 -D_GNU_SOURCE -I. 2>/dev/null'
	cppcheck --quiet --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --suppressions-list=.cppcheck -I. -D_GNU_SOURCE backend fcgi handlers tests

format: ## Lay the code out as .clang-format says
	clang-format -i $(C_FILES)

clean: ## Remove what was built
	rm -rf build
