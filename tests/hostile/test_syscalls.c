/* System calls that a tenant has no business with, made past every library. */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/steps.h"
#include "tests/hostile/attack.h"

/* Every call is refused, also those that were no more than a question. */
static void
every_forbidden_call_is_refused(void **state)
{
    static const char *const refused[] = {"clone3: Function not implemented\n",
                                          "io_uring_setup: Function not implemented\n",
                                          "keyctl: Operation not permitted\n",
                                          "add_key: Operation not permitted\n",
                                          "request_key: Operation not permitted\n",
                                          "userfaultfd: Operation not permitted\n",
                                          "unshare(CLONE_NEWUSER): Operation not permitted\n",
                                          "clone(CLONE_NEWUSER): Operation not permitted\n",
                                          "socket(AF_ALG): Operation not permitted\n",
                                          "socket(AF_VSOCK): Operation not permitted\n",
                                          "sethostname: Operation not permitted\n",
                                          "clock_settime: Operation not permitted\n"};
    struct reply r = attack(ALICE, "syscalls", "syscalls", "");
    const char *out = text_at(&r, "stdout");

    (void)state;
    print_message("%s", out);
    assert_null(strstr(out, "got it"));
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (!strstr(out, refused[i]))
            fail_msg("not '%s'", refused[i]);
    reply_done(&r);
    run_in(ALICE, "syscalls", "attack", "true");
}

int
suite_syscalls(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_forbidden_call_is_refused, world_note, world_check),
    };

    return cmocka_run_group_tests_name("syscalls", tests, NULL, remove_containers);
}
