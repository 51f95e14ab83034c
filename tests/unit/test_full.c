/*
 * The network of tier Full where the machine cannot offer it, each time really: a network namespace
 * without forwarding, a user without the right to filter, a broker that is not root. Containers get
 * no network then, and who asks is told why.
 */
#include "tests/test.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include "backend/broker/full.h"
#include "backend/warnings.h"

enum { PATIENCE_MS = 20000, LOOK_MS = 20, CHILD_SECONDS = 60 };

#define NOT_FORWARDING "the machine does not forward packets (net.ipv4.ip_forward is 0)"

static struct current *settings; /* lives as long as the process */

/* The broker's surroundings, with the settings as shipped: a tier has network Full. */
struct surroundings {
    char dir[64];
    struct service_context context;
};

static void
write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int
setup(void **state)
{
    struct surroundings *s = calloc(1, sizeof(*s));
    struct error err = {0};
    char path[96];

    assert_non_null(s);
    snprintf(s->dir, sizeof(s->dir), "/tmp/test-full.XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(path, sizeof(path), "%s/run", s->dir);
    assert_int_equal(chmod(s->dir, 0755) | mkdir(path, 0755) | chmod(path, 0777), 0);
    snprintf(path, sizeof(path), "%s/shared", s->dir);
    s->context = (struct service_context){.state_dir = s->dir, .instance = "0123456789ab"};
    if (shared_create(path, &s->context.shared, &err) < 0 ||
        current_new("yaml", &settings, &err) < 0)
        fail_msg("%s", err.msg);
    s->context.current = settings;
    atomic_store(&s->context.shared->full_gate, SHARED_GATE_OPEN);
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    static const char *const files[] = {"run/resolv.conf", "run", "shared", ""};
    struct surroundings *s = *state;
    char path[96];

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", s->dir, files[i]);
        remove(path);
    }
    free(s);
    return 0;
}

/* What a container of tier Full would get, and what GET status says of it. */
static void
assert_offers_nothing(struct full *f, const struct surroundings *s, const char *why)
{
    struct engine_info engine = {.full_network = ""};
    _cleanup_(settings_unrefp) struct settings *now = NULL;
    json_auto_t *warnings = NULL;
    struct full_place place = {.network = "untouched"};
    struct error err = {0};
    unsigned generation;
    char expected[320];

    assert_int_equal(full_offer(f, NULL, &place, &err), 0); /* without a word to the engine */
    assert_string_equal(place.network, "");
    assert_int_equal(full_state(f, engine.full_trouble), FULL_NONE);
    assert_string_equal(full_state_names[FULL_NONE], "none");
    assert_string_equal(engine.full_trouble, why);
    now = current_get(s->context.current, &generation);
    warnings = warnings_of_networks(now, &engine);
    snprintf(expected, sizeof(expected), "containers of network Full get no network: %s", why);
    assert_string_equal(json_string_value(json_array_get(warnings, 0)), expected);
}

/* Wait until @f gives @state; @trouble is what it says then. */
static void
await_state(struct full *f, enum full_state state, char trouble[FULL_TROUBLE_SIZE])
{
    for (int i = 0; full_state(f, trouble) != state; i++) {
        if (i > PATIENCE_MS / LOOK_MS)
            fail_msg("not %s: '%s'", full_state_names[state], trouble);
        poll(NULL, 0, LOOK_MS);
    }
}

/* The thread that keeps the filter lives as long as its process: each test has one of its own. */
static void
in_a_process_of_its_own(void (*test)(const struct surroundings *), const struct surroundings *s)
{
    char path[96];
    int status = -1;
    pid_t pid;

    snprintf(path, sizeof(path), "%s/run/resolv.conf", s->dir);
    unlink(path); /* whoever is not root could not write root's */
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("CMOCKA_TEST_ABORT", "1", 1); /* what fails here ends here */
        alarm(CHILD_SECONDS);
        /* What /sys shows of the network is that of whoever mounted it. */
        if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("sysfs", "/sys", "sysfs", 0, NULL) < 0)
            _exit(2);
        test(s);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        print_error("SKIPPED: no network namespace of one's own here (not root?)\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void
forwarding_is_turned_off_and_on(const struct surroundings *s)
{
    struct full *f = full_new(&s->context);
    char trouble[FULL_TROUBLE_SIZE];

    write_file("/proc/sys/net/ipv4/ip_forward", "0");
    assert_int_equal(full_start(f, NULL), 0);
    assert_offers_nothing(f, s, NOT_FORWARDING);
    write_file("/proc/sys/net/ipv4/ip_forward", "1");
    await_state(f, FULL_BRIDGE, trouble);
    assert_string_equal(trouble, "");
    write_file("/proc/sys/net/ipv4/ip_forward", "0");
    await_state(f, FULL_NONE, trouble);
    assert_offers_nothing(f, s, NOT_FORWARDING);
}

static void
a_machine_that_does_not_forward_offers_nothing(void **state)
{
    in_a_process_of_its_own(forwarding_is_turned_off_and_on, *state);
}

/* Leave this process root, but for the right to change the network. */
static void
drop_net_admin(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];

    assert_int_equal(syscall(SYS_capget, &header, sets), 0);
    sets[0].effective &= ~(1U << CAP_NET_ADMIN);
    sets[0].permitted &= ~(1U << CAP_NET_ADMIN);
    sets[0].inheritable &= ~(1U << CAP_NET_ADMIN);
    assert_int_equal(syscall(SYS_capset, &header, sets), 0);
}

static void
nftables_refuse(const struct surroundings *s)
{
    struct full *f = full_new(&s->context);

    write_file("/proc/sys/net/ipv4/ip_forward", "1");
    drop_net_admin();
    assert_int_equal(full_start(f, NULL), 0);
    assert_offers_nothing(f, s, "nftables refuses the packet filter");
}

static void
without_the_right_to_filter_nothing_is_offered(void **state)
{
    in_a_process_of_its_own(nftables_refuse, *state);
}

/* As nobody, who has no right at all. */
static void
nobody_starts_it(const struct surroundings *s)
{
    struct full *f = full_new(&s->context);

    assert_int_equal(setgid(65534) | setuid(65534), 0);
    assert_int_equal(full_start(f, NULL), 0);
    assert_offers_nothing(f, s, "nftables refuses the packet filter");
}

static void
nobody_is_offered_nothing(void **state)
{
    in_a_process_of_its_own(nobody_starts_it, *state);
}

/* The broker starts it only where it is root. */
static void
a_broker_that_is_not_root_offers_nothing(void **state)
{
    struct surroundings *s = *state;
    struct full *f = full_new(&s->context);

    assert_offers_nothing(f, s, "the broker is not root");
    free(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_does_not_forward_offers_nothing),
        cmocka_unit_test(without_the_right_to_filter_nothing_is_offered),
        cmocka_unit_test(nobody_is_offered_nothing),
        cmocka_unit_test(a_broker_that_is_not_root_offers_nothing),
    };

    return cmocka_run_group_tests_name("full", tests, setup, teardown);
}
