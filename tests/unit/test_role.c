/* A role's first steps: what its manager tells it before it listens is not lost. */
#include "tests/test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fcgi/role.h"

/* In a child of a manager that has all signals come by a descriptor. Returns its exit status. */
static int
begin_and_be_told(int number, pid_t manager)
{
    const struct service_context ctx = {0};
    struct error err = {0};
    sigset_t told;

    if (raise(number) != 0 || role_enter("worker", &ctx, false, manager, &err) < 0)
        return 2;
    sigpending(&told);
    return sigismember(&told, number) ? 0 : 1;
}

/* The settings may have been read again since the fork. */
static void
a_reload_waits_until_the_role_listens(void **state)
{
    pid_t manager = getpid(), pid;
    sigset_t all, before;
    int status = -1;

    (void)state;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        _exit(begin_and_be_told(SIGHUP, manager));
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reload_waits_until_the_role_listens),
    };

    return cmocka_run_group_tests_name("role", tests, NULL, NULL);
}
