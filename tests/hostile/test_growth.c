/*
 * After a thousand executions that fight, the service has the descriptors that it had, about the
 * memory that it had, and nothing has grown on the host but the audit.
 */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/box.h"

enum {
    REPEATS = 1000,
    WARM_UP = 100,         /* until every thread, cache and statement is there */
    GROWTH_KIB = 16 << 10, /* PSS of one process: malloc keeps what its threads have once used */
    PROCESSES_MAX = 8,
    BURST = 60, /* requests at one time */
    BURSTS = 8,
    LOG_KIB = 256 /* of all logs together */
};

static const char *const roles[] = {"worker", "broker", "janitor"};

/* One process of the service. */
struct figures {
    pid_t pid;
    const char *role;
    long fds, pss_kib;
};

static struct box box, small; /* where memory is soon full */

static int
open_box(void **state)
{
    world_note(state);
    box_open(&box, ALICE, "growth", "Standard");
    box_open(&small, ALICE, "growth2", "Sandbox");
    return 0;
}

static int
close_box(void **state)
{
    box_close(&box);
    box_close(&small);
    return world_check(state);
}

static long
count_fds(pid_t pid)
{
    char path[64];
    long n = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static long
pss_kib(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "Pss: %ld", &kib) == 1)
            break;
    fclose(f);
    return kib;
}

static size_t
take_figures(struct figures figures[PROCESSES_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        struct pids pids = host_role(roles[i]);

        for (size_t j = 0; j < pids.count && n < PROCESSES_MAX; j++)
            figures[n++] = (struct figures){
                .pid = pids.list[j],
                .role = roles[i],
                .fds = count_fds(pids.list[j]),
                .pss_kib = pss_kib(pids.list[j]),
            };
    }
    return n;
}

/* What a shell command of the test's own prints as a number. */
static long
number_of(const char *command)
{
    char line[64] = "";
    FILE *f = popen(command, "re"); /* NOLINT(cert-env33-c) */

    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    pclose(f);
    return strtol(line, NULL, 10);
}

/* Executions of every kind that leave something behind, or try to. */
static void
fight(int n)
{
    static const char *const attacks[] = {
        "(setsid sleep 999 >/dev/null 2>&1 &); setsid sh -c 'trap \"\" TERM; sleep 999' & exit 1",
        "head -c 300k /dev/zero; head -c 300k /dev/zero >&2; kill -SEGV $$",
        "exec no-such-program",
        "exec /workspace/exhaust inotify 9999",
        "exec /workspace/exhaust zombies 9999",
        "kill -9 1; kill -STOP -1 2>/dev/null; exit 7",
        "exec 0<&- 1>&- 2>&-; (sleep 999 &)",
        "(/bin/true & /bin/true & /bin/true & :); exec /workspace/exhaust eventfds 500",
    };
    size_t i = (size_t)n % ARRAY_LEN(attacks);
    struct reply r = box_try(&box, 60, "%s", attacks[i]);

    if (r.status != 200)
        fail_msg("%s got %s", attacks[i], r.body);
    reply_done(&r);
    if (n % 100 == 50) { /* and those that are cut off */
        r = box_try(&box, 1, "trap '' TERM; while :; do :; done");
        assert_status(&r, 200);
        reply_done(&r);
    }
    if (n % 100 == 0) {
        r = box_run(&small, 60, "exec /workspace/exhaust memfd 9999");
        assert_true(bool_at(&r, "oom_killed"));
        reply_done(&r);
    }
}

/* Have every thread of the service work, which opens what it keeps open. */
static void
burst(void)
{
    struct parallel calls[BURST];
    char path[96];

    snprintf(path, sizeof(path), "/containers/%s", box.id);
    for (size_t i = 0; i < BURST; i++)
        calls[i] = i % 4 ? (struct parallel){.user = ALICE, .method = "GET", .path = path}
                         : (struct parallel){.user = ALICE,
                                             .method = "POST",
                                             .path = box.exec,
                                             .body = "{\"command\": \"exec sleep 0.2\"}"};
    call_parallel(calls, BURST);
    for (size_t i = 0; i < BURST; i++)
        reply_done(&calls[i].reply);
}

/* Whether every process has the descriptors of @arg again: a thread may still be closing one. */
static bool
descriptors_are_as_before(void *arg)
{
    const struct figures *before = arg;
    bool same = true;

    for (size_t i = 0; i < PROCESSES_MAX && before[i].pid; i++)
        same = same && count_fds(before[i].pid) <= before[i].fds;
    return same;
}

static void
a_thousand_fights_leave_the_service_as_it_was(void **state)
{
    static const char log_kib[] = "du -sk \"$SANDBOX_STATE/log\"",
                      engine_logs[] =
                          "find \"$SANDBOX_STATE/docker/data/containers\" -name '*.log*' | wc -l",
                      leftovers[] = "find \"$SANDBOX_STATE/guests\" -type f | wc -l",
                      layer_kib[] = "du -sk \"$SANDBOX_STATE/guests\"";
    struct figures before[PROCESSES_MAX] = {0}, after[PROCESSES_MAX] = {0};
    long logs, spools;
    size_t count;

    (void)state;
    for (int i = 0; i < WARM_UP; i++)
        fight(i);
    for (int i = 0; i < BURSTS; i++)
        burst();
    count = take_figures(before);
    logs = number_of(log_kib);
    spools = number_of(layer_kib);
    for (int i = 0; i < REPEATS; i++)
        fight(i);
    wait_until(descriptors_are_as_before, before, 30, "descriptors to be as many as before");
    assert_int_equal(take_figures(after), count);
    for (size_t i = 0; i < count; i++) {
        print_message("    %-8s fds %ld -> %ld, PSS %ld -> %ld KiB\n", before[i].role,
                      before[i].fds, after[i].fds, before[i].pss_kib, after[i].pss_kib);
        assert_int_equal(after[i].pid, before[i].pid);
        assert_true(after[i].pss_kib - before[i].pss_kib < GROWTH_KIB);
    }
    assert_int_equal(number_of(engine_logs), 0);
    assert_int_equal(number_of(leftovers), 0);
    assert_true(number_of(log_kib) - logs < LOG_KIB);
    assert_true(number_of(layer_kib) <= spools);
    box_works(&box);
}

int
suite_growth(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_thousand_fights_leave_the_service_as_it_was, open_box,
                                        close_box),
    };

    return cmocka_run_group_tests_name("hostile: growth", tests, NULL, remove_containers);
}
