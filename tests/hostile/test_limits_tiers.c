/* What each tier, and no tier, gets of everything that is limited: what is set, and what is had. */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/guest/protocol.h"
#include "tests/api/said.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/box.h"

enum {
    PERIOD_US = 100000,
    SLICE_MS = 10, /* the scheduler hands a quota out in slices, which a CPU may keep for long */
    OPEN_FILES = 16384,
    STREAMS = 3,
    SHM_MB = 64,
    OUTPUT_KEPT = 1 << 20
};

/* As yaml/tiers.yaml and, without a name, sandbox.yaml's resource_limits have them. */
static const struct tier_case {
    const char *name; /* NULL: none */
    double cpu_cores;
    long memory_mb, disk_mb, max_processes, timeout_seconds;
    long relays; /* tasks of the guest's for the egress proxy */
} tiers[] = {
    {"Sandbox", 0.25, 128, 512, 16, 60, 0},
    {"Restricted", 0.5, 256, 1024, 32, 120, 0},
    {NULL, 1.0, 512, 2048, 50, 300, GUEST_RELAY_TASKS},
    {"Standard", 1.0, 512, 2048, 50, 300, GUEST_RELAY_TASKS},
    {"Elevated", 2.0, 1024, 5120, 100, 600, GUEST_RELAY_TASKS},
    {"Unrestricted", 4.0, 2048, 10240, 200, 1800, GUEST_RELAY_TASKS},
};

static struct box box;

/* Call @check for a new container of each tier. */
static void
for_each_tier(void (*check)(const struct tier_case *t))
{
    for (size_t i = 0; i < ARRAY_LEN(tiers); i++) {
        print_message("    %s\n", tiers[i].name ? tiers[i].name : "(no tier)");
        box_open(&box, ADMIN, "tiers", tiers[i].name);
        check(&tiers[i]);
        box_close(&box);
    }
}

/* A number in a cgroup file of v1 or, where that is not there, of v2. */
static long long
either(const char *controller, const char *file_v1, const char *file_v2)
{
    long long value = box_cgroup(&box, controller, file_v1);

    return value >= 0 ? value : box_cgroup(&box, controller, file_v2);
}

/* The number behind @key in the file of the cgroup. */
static long long
keyed(const char *file, const char *key)
{
    _cleanup_(freep) char *text = box_cgroup_text(&box, "cpu", file);
    const char *at;

    assert_non_null(text);
    at = strstr(text, key);
    assert_non_null(at);
    return strtoll(at + strlen(key), NULL, 10);
}

/* CPU time used so far, in ms. */
static double
cpu_used_ms(void)
{
    long long ns = box_cgroup(&box, "cpuacct", "cpuacct.usage");

    return ns >= 0 ? (double)ns / 1e6 : (double)keyed("cpu.stat", "usage_usec ") / 1e3;
}

static void
check_cpu(const struct tier_case *t)
{
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    long long quota = either("cpu", "cpu.cfs_quota_us", "cpu.max");
    long long periods = keyed("cpu.stat", "nr_periods ");
    double before = cpu_used_ms(), used, allowed;
    struct reply r;

    assert_int_equal(quota, (long long)(t->cpu_cores * PERIOD_US));
    /* One loop more than it has cores. What is held against its share is counted in the kernel's
     * own periods, whatever the clock says. */
    r = box_run(&box, 2, "for i in 1 2 3 4 5; do while :; do :; done & done; wait");
    assert_true(bool_at(&r, "timed_out"));
    reply_done(&r);
    periods = keyed("cpu.stat", "nr_periods ") - periods + 1;
    used = cpu_used_ms() - before;
    allowed = (double)periods * t->cpu_cores * PERIOD_US / 1e3 + (double)(cpus * SLICE_MS);
    print_message("      %.0f ms of CPU, %.0f allowed in %lld periods\n", used, allowed, periods);
    assert_true(used > 0 && used <= allowed);
    if (t->cpu_cores * 4 <= (double)cpus) /* more than that, others here may keep it from */
        assert_true(keyed("cpu.stat", "nr_throttled ") > 0);
}

static void
check_memory(const struct tier_case *t)
{
    const long long bytes = t->memory_mb << 20;
    long long swap = box_cgroup(&box, "memory", "memory.memsw.limit_in_bytes");
    struct reply r;

    assert_int_equal(either("memory", "memory.limit_in_bytes", "memory.max"), bytes);
    /* v1 counts memory and swap together; v2 swap alone; a kernel without swap has neither. */
    if (swap >= 0)
        assert_int_equal(swap, bytes);
    else
        assert_true(box_cgroup(&box, "memory", "memory.swap.max") <= 0);
    r = box_run(&box, 60, "exec /workspace/exhaust anonymous 100000");
    assert_true(bool_at(&r, "oom_killed"));
    assert_true(number_at(&r, "usage.max_memory_mb") <= (double)t->memory_mb);
    assert_true(number_at(&r, "usage.max_memory_mb") >= (double)t->memory_mb * 0.8);
    reply_done(&r);
    assert_true(either("memory", "memory.max_usage_in_bytes", "memory.peak") <= bytes);
    box_works(&box);
}

static void
check_processes(const struct tier_case *t)
{
    assert_int_equal(box_cgroup(&box, "pids", "pids.max"),
                     t->max_processes + GUEST_RESERVED_TASKS + t->relays);
    /* The attacker is one of them. */
    assert_int_equal(box_exhaust(&box, "processes", "Resource temporarily unavailable"),
                     t->max_processes - 1);
    assert_int_equal(box_exhaust(&box, "threads", "Resource temporarily unavailable"),
                     t->max_processes - 1);
    assert_int_equal(box_exhaust(&box, "zombies", "Resource temporarily unavailable"),
                     t->max_processes - 1);
    box_works(&box);
}

static bool
is_stopped(void *arg)
{
    struct reply r = fetch(ADMIN, "/containers/%s", box.id);
    bool stopped = strcmp(text_at(&r, "status"), "stopped") == 0;

    (void)arg;
    reply_done(&r);
    return stopped;
}

static void
check_disk(const struct tier_case *t)
{
    struct reply r = box_run(&box, 60, "cd; fallocate -l %ldm big; exec sleep 999", t->disk_mb + 1);
    char rule[96];

    assert_string_equal(text_at(&r, "status"), "killed");
    reply_done(&r);
    wait_until(is_stopped, NULL, 30, "the container to be stopped");
    r = act(ADMIN, "POST", "/containers/%s/start", box.id);
    assert_problem(&r, 429, "quota_exceeded");
    snprintf(rule, sizeof(rule), "%s%s.disk_mb",
             t->name ? "tiers.yaml: tiers." : "sandbox.yaml: resource_limits",
             t->name ? t->name : "");
    assert_rule_said(&r, rule);
    reply_done(&r);
}

static void
check_time(const struct tier_case *t)
{
    struct reply r = box_try(&box, (int)t->timeout_seconds + 1, "true");

    assert_problem(&r, 422, "validation_failed");
    assert_string_equal(text_at(&r, "errors.0.pointer"), "/timeout_seconds");
    reply_done(&r);
    r = box_run(&box, (int)t->timeout_seconds, "true");
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
    r = box_run(&box, 1, "trap '' TERM HUP INT; while :; do sleep 999; done");
    assert_true(bool_at(&r, "timed_out"));
    assert_string_equal(text_at(&r, "signal"), "SIGKILL");
    reply_done(&r);
}

static void
check_the_rest(const struct tier_case *t)
{
    struct reply r = box_run(&box, 30, "head -c 3m /dev/zero; head -c 3m /dev/zero >&2");
    long shm_mb = t->memory_mb / 4 < SHM_MB ? t->memory_mb / 4 : SHM_MB;

    assert_int_equal(int_at(&r, "stdout_bytes"), 3 << 20);
    assert_int_equal(int_at(&r, "stderr_bytes"), 3 << 20);
    assert_true(bool_at(&r, "stdout_truncated") && bool_at(&r, "stderr_truncated"));
    assert_true(json_string_length(at(&r, "stdout")) <= OUTPUT_KEPT);
    assert_true(json_string_length(at(&r, "stderr")) <= OUTPUT_KEPT);
    reply_done(&r);
    assert_int_equal(box_exhaust(&box, "descriptors", "No file descriptors available"),
                     OPEN_FILES - STREAMS);
    assert_true(box_exhaust(&box, "inotify", "No file descriptors available") < OPEN_FILES);
    assert_int_equal(box_exhaust(&box, "file 9999 /dev/shm/full", "No space left on device"),
                     shm_mb);
    r = box_run(&box, 30,
                "ulimit -c; ulimit -Hc; ulimit -c 1 2>/dev/null || echo refused;"
                " cd; sh -c 'kill -SEGV $$'; ls | grep -c core");
    if (strcmp(text_at(&r, "stdout"), "0\n0\nrefused\n0\n") != 0)
        fail_msg("core dumps: %s", r.body);
    reply_done(&r);
}

#define each_tier(name, check)                                                                     \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        for_each_tier(check);                                                                      \
    }

each_tier(the_cpu_share_is_set_and_kept,
          check_cpu) each_tier(memory_ends_at_its_limit_and_not_in_swap, check_memory)
    each_tier(processes_threads_and_zombies_end_at_their_limit, check_processes)
        each_tier(a_full_disk_is_noticed, check_disk) each_tier(time_ends_at_its_limit, check_time)
            each_tier(output_open_files_inotify_shm_and_core_dumps_are_bounded, check_the_rest)

    /* A test that failed has left its container. */
    static int leave(void **state)
{
    remove_containers(state);
    return world_check(state);
}

#define tier_test(f) cmocka_unit_test_setup_teardown(f, world_note, leave)

/* Mode `selective` does not run Unrestricted. */
static int
run_all(void **state)
{
    struct reply r = call(ADMIN, "PUT", "/config", "{\"mode\": \"all\"}", NULL);

    (void)state;
    assert_status(&r, 200);
    reply_done(&r);
    return 0;
}

static int
run_selected(void **state)
{
    struct reply r = call(ADMIN, "PUT", "/config", "{\"mode\": null}", NULL);

    assert_status(&r, 200);
    reply_done(&r);
    return remove_containers(state);
}

int
suite_limits_tiers(void)
{
    const struct CMUnitTest tests[] = {
        tier_test(the_cpu_share_is_set_and_kept),
        tier_test(memory_ends_at_its_limit_and_not_in_swap),
        tier_test(processes_threads_and_zombies_end_at_their_limit),
        tier_test(a_full_disk_is_noticed),
        tier_test(time_ends_at_its_limit),
        tier_test(output_open_files_inotify_shm_and_core_dumps_are_bounded),
    };

    return cmocka_run_group_tests_name("hostile: limits-tiers", tests, run_all, run_selected);
}
