# The build. `make help` lists the targets; flavours sit side by side in build/FLAVOUR/.

FLAVOUR   ?= release
BUILD     := build/$(FLAVOUR)
STATE_DIR ?= /var/lib/sandboxd
PORT      ?= 8443
WERROR    ?= -Werror

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
THREADED  := $(addprefix $(BUILD)/tests/test_,pool fastcgi worker settings store shared turns)
TIDY_FILES = $(filter %.c,$(C_FILES))
C_FILES   := $(shell git ls-files -co --exclude-standard '*.c' '*.h' 2>/dev/null)

# `make V=1` shows whole commands.
Q    := $(if $(V),,@)
show  = @echo "  $(1) $@"

.DELETE_ON_ERROR:
.PHONY: all help deps run up down test unit api hostile readme lint bench asan tsan threads tidy format clean

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

$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(UNIT_OBJ) $(COMMON_OBJ) $(OBJ)
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

test: ## Install what is missing, build, and run every test
	@nginx/standalone/install --tests
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory api
	@$(MAKE) --no-print-directory hostile
	@$(MAKE) --no-print-directory readme
	@$(MAKE) --no-print-directory lint

unit: all $(UNIT) ## Run the unit tests
	@for t in $(UNIT); do \
	    GUEST_BINARY=$(BUILD)/sandbox-guest "$$t" || { echo "failed: $$t"; exit 1; }; \
	done

# The server under test: this flavour's, with its guest.
SERVER = SANDBOXD=$(CURDIR)/$(BUILD)/sandboxd GUEST=$(CURDIR)/$(BUILD)/sandbox-guest tests/with-server

api: all $(BUILD)/tests/api-tests ## Run the tests through nginx and Docker
	@$(SERVER) tests/api/users $(BUILD)/tests/api-tests
	@USERNS=1 $(SERVER) tests/api/users $(BUILD)/tests/api-tests \
	    userns posture snapshots pool network

hostile: all $(BUILD)/tests/hostile-tests ## Run the attacks of tests/hostile
	@ATTACKERS=$(CURDIR)/$(BUILD)/tests/attackers $(SERVER) tests/api/users $(BUILD)/tests/hostile-tests
	@ATTACKERS=$(CURDIR)/$(BUILD)/tests/attackers BTRFS_MB=8192 $(SERVER) tests/api/users \
	    $(BUILD)/tests/hostile-tests disk-enforced

readme: all ## Run the README's examples and compare what they print
	@$(SERVER) node tests/readme.mjs

lint: all ## Lint the API's description (needs npm)
	@SANDBOXD=$(CURDIR)/$(BUILD)/sandboxd tests/openapi/lint $(BUILD)/lint

bench: all $(BUILD)/tests/bench/bench ## Measure against Docker's exec API and a bare spawn
	@$(SERVER) $(BUILD)/tests/bench/bench

asan: ## Every test under AddressSanitizer and UndefinedBehaviorSanitizer
	@nginx/standalone/install --tests
	@$(MAKE) --no-print-directory FLAVOUR=asan unit
	@$(MAKE) --no-print-directory FLAVOUR=asan api

tsan: ## The unit tests of what has threads under ThreadSanitizer
	@$(MAKE) --no-print-directory FLAVOUR=tsan threads

threads: $(THREADED)
	@for t in $(THREADED); do "$$t" || { echo "failed: $$t"; exit 1; }; done

tidy: ## clang-tidy and cppcheck
	@for f in $(TIDY_FILES); do \
	    echo "clang-tidy $$f"; \
	    clang-tidy --quiet "$$f" -- -std=c11 -D_GNU_SOURCE -I. 2>/dev/null || exit 1; \
	done
	cppcheck --quiet --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --suppressions-list=.cppcheck -I. -D_GNU_SOURCE backend fcgi handlers tests

format: ## Lay the code out as .clang-format says
	clang-format -i $(C_FILES)

clean: ## Remove what was built
	rm -rf build
