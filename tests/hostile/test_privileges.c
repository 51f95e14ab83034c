/* Becoming more than a command is: another uid, capabilities. */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include "tests/api/steps.h"
#include "tests/hostile/attack.h"

static void
a_command_gets_no_more_rights_than_it_has(void **state)
{
    struct reply r = attack(ALICE, "privileges", "privileges", "");

    (void)state;
    assert_got(&r, "setuid(0): Operation not permitted\n"
                   "setgid(0): Operation not permitted\n"
                   "setresuid of the guest: Operation not permitted\n"
                   "chroot: Operation not permitted\n"
                   "keep capabilities: Operation not permitted\n"
                   "take back new privileges: Invalid argument\n");
    reply_done(&r);
}

int
suite_privileges(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_command_gets_no_more_rights_than_it_has, world_note,
                                        world_check),
    };

    return cmocka_run_group_tests_name("privileges", tests, NULL, world_done);
}
