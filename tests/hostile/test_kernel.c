/* The kernel: clock and names, mounts, namespaces, sockets below the transport, set-user-ID. */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/hostile/attack.h"

enum { KERNEL_ATTEMPTS = 44 };

static void
no_call_changes_or_leaves_the_sandbox(void **state)
{
    struct reply r = attack(ALICE, "kernel", "kernel", "");

    (void)state;
    assert_refused(&r, KERNEL_ATTEMPTS);
    assert_int_equal(bool_at(&r, "timed_out"), false);
    reply_done(&r);
}

static void
the_clock_and_the_name_are_as_they_were(void **state)
{
    struct reply before = attack_shell(ALICE, "kernel", "hostname; uname -n"), after;

    (void)state;
    assert_status(&before, 200);
    after = attack_shell(ALICE, "kernel",
                         "hostname mine; date -s 1999-01-01; hwclock -w; hostname; uname -n;"
                         " [ $(date +%s) -gt 1700000000 ]");
    assert_status(&after, 200);
    assert_int_equal(int_at(&after, "exit_code"), 0);
    assert_non_null(strstr(text_at(&after, "stdout"), text_at(&before, "stdout")));
    reply_done(&before);
    reply_done(&after);
}

/* Nor for the guest, which is root in its container with four capabilities, should it go bad. */
static void
no_more_is_there_for_a_bad_guest(void **state)
{
    struct reply r = attack_shell(ALICE, "kernel", "true");
    _cleanup_(freep) char *calls = NULL;
    _cleanup_(freep) char *files = NULL;

    (void)state;
    assert_status(&r, 200);
    calls = attack_as_guest(text_at(&r, "container_id"), "kernel", "");
    assert_refusals(calls, KERNEL_ATTEMPTS);
    files = attack_as_guest(text_at(&r, "container_id"), "writer",
                            ", \"/.sandbox/guest\", \"/proc/1/exe\", \"/proc/1/mem\","
                            " \"/proc/sys/kernel/core_pattern\", \"/proc/sysrq-trigger\","
                            " \"/sys/kernel/uevent_helper\", \"/sys/power/state\","
                            " \"/sys/fs/cgroup/memory/memory.limit_in_bytes=-1\","
                            " \"/sys/fs/cgroup/memory/cgroup.procs=1\","
                            " \"/sys/fs/cgroup/cgroup.procs=1\","
                            " \"/sys/fs/cgroup/devices/devices.allow=a\","
                            " \"/proc/self/oom_score_adj=-1000\", \"/workspace/x\"");
    assert_refusals(files, 13);
    reply_done(&r);
}

int
suite_kernel(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_call_changes_or_leaves_the_sandbox, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(the_clock_and_the_name_are_as_they_were, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(no_more_is_there_for_a_bad_guest, world_note, world_check),
    };

    return cmocka_run_group_tests_name("kernel", tests, NULL, world_done);
}
