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

int
suite_kernel(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_call_changes_or_leaves_the_sandbox, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(the_clock_and_the_name_are_as_they_were, world_note,
                                        world_check),
    };

    return cmocka_run_group_tests_name("kernel", tests, NULL, world_done);
}
