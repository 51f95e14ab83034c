/* Files that would give their reader or runner more than it has: set-user-ID programs, devices. */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <string.h>

#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/image.h"

static const char refused[] = "root: no\nbecome root: Operation not permitted\n";

/* As if the host's administrator, or a tool of theirs, had put it there. */
static void
a_setuid_program_in_the_workspace_gives_nothing(void **state)
{
    struct reply r;

    (void)state;
    attack_place(ALICE, "setuid", "identity");
    assert_int_equal(host_shell("cd \"$SANDBOX_STATE/workspaces/%s/setuid\" &&"
                                " chown 0:0 identity && chmod 6755 identity",
                                ALICE),
                     0);
    r = attack_shell(ALICE, "setuid", "ls -ln identity | cut -c 1-10; ./identity");
    assert_got(&r, "-rwsr-sr-x\nroot: no\nbecome root: Operation not permitted\n");
    reply_done(&r);
}

static void
a_device_in_the_workspace_does_not_open(void **state)
{
    struct reply r;

    (void)state;
    run_in(ALICE, "setuid", "attack", "true");
    assert_int_equal(host_shell("cd \"$SANDBOX_STATE/workspaces/%s/setuid\" &&"
                                " mknod -m 666 null c 1 3 && mknod -m 666 memory c 1 1 &&"
                                " mknod -m 666 disk b 254 0",
                                ALICE),
                     0);
    r = attack(ALICE, "setuid", "writer", "null memory disk /workspace/null");
    assert_got(&r, "null: Permission denied\n"
                   "memory: Permission denied\n"
                   "disk: Permission denied\n"
                   "/workspace/null: Permission denied\n");
    reply_done(&r);
    assert_int_equal(
        host_shell("cd \"$SANDBOX_STATE/workspaces/%s/setuid\" && rm null memory disk", ALICE), 0);
}

/* A snapshot, a restart and a rollback are other ways into the same posture. */
static void
a_setuid_program_of_the_image_gives_nothing(void **state)
{
    struct reply r;

    (void)state;
    image_make("hostile-setuid",
               "cp \"$ATTACKERS/identity\" bin/identity; chmod 6755 bin/identity; rm bin/su;"
               " cp bin/busybox bin/su; chmod 4755 bin/su; cp bin/busybox bin/rootsh;"
               " chmod 4755 bin/rootsh; mknod -m 666 null c 1 3",
               "USER 0:0");
    r = image_shell(ALICE, "setuid", "hostile-setuid", "identity");
    assert_got(&r, refused);
    reply_done(&r);
    r = image_shell(ALICE, "setuid", "hostile-setuid",
                    "rootsh id -u 2>&1; su -c 'id -u' root 2>&1");
    assert_status(&r, 200);
    assert_null(strstr(text_at(&r, "stdout"), "\n0\n"));
    assert_int_not_equal(text_at(&r, "stdout")[0], '0');
    reply_done(&r);
    image_remove("hostile-setuid");
}

int
suite_setuid(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_setuid_program_in_the_workspace_gives_nothing, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(a_device_in_the_workspace_does_not_open, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(a_setuid_program_of_the_image_gives_nothing, world_note,
                                        image_check),
    };

    return cmocka_run_group_tests_name("setuid", tests, NULL, world_done);
}
