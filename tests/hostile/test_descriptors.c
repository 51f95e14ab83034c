/* Descriptors of the host's, and working directories that are reached by them (CVE-2024-21626). */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/jobs.h"
#include "tests/api/steps.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/image.h"

enum { DESCRIPTORS_TRIED = 24, CWD_SIZE = 64 };

/* Run the attacker as alice with @cwd. Where the command does not start, it has not looked. */
static void
look_from(const char *cwd)
{
    struct reply r = execute(ALICE, "{s:[s], s:s, s:s, s:s}", "argv", "/workspace/descriptors",
                             "agent_id", "descriptors", "session_id", "attack", "cwd", cwd);

    assert_status(&r, 200);
    if (strcmp(text_at(&r, "stdout"), "looked\n") != 0 &&
        (null_at(&r, "exit_code") || int_at(&r, "exit_code") != 126 ||
         strcmp(text_at(&r, "stdout"), "") != 0))
        fail_msg("from %s the attacker got: %s", cwd, r.body);
    reply_done(&r);
}

static void
a_command_has_the_three_streams_alone(void **state)
{
    struct reply r = attack(ALICE, "descriptors", "descriptors", "");

    (void)state;
    assert_got(&r, "looked\n");
    reply_done(&r);
}

static void
no_cwd_leads_out(void **state)
{
    static const char *const directories[] = {
        "/proc/1/cwd",     "/proc/1/root",          "/proc/1/root/../..",
        "/proc/self/root", "/proc/self/cwd/../..",  "/proc/thread-self/root/../../..",
        "/proc/self/exe",  "/../../../../../../..", "/dev/fd/3",
        "/proc/1/fd/3",    "/.sandbox/run",
    };
    char cwd[CWD_SIZE];

    (void)state;
    attack_place(ALICE, "descriptors", "descriptors");
    for (size_t i = 0; i < ARRAY_LEN(directories); i++)
        look_from(directories[i]);
    for (int fd = 0; fd < DESCRIPTORS_TRIED; fd++) {
        snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", fd);
        look_from(cwd);
        snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d/../../../..", fd);
        look_from(cwd);
    }
}

/* The image's own WORKDIR is not gone to, by the guest or by a command. */
static void
no_workdir_of_an_image_leads_out(void **state)
{
    static const char *const workdirs[] = {"/proc/self/fd/7", "/proc/self/fd/8/../../..",
                                           "/proc/1/cwd"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(workdirs); i++) {
        char changes[CWD_SIZE];
        struct reply r;

        snprintf(changes, sizeof(changes), "WORKDIR %s", workdirs[i]);
        image_make("hostile-workdir", "true", changes);
        r = image_attack(ALICE, "descriptors", "descriptors", "hostile-workdir");
        assert_got(&r, "looked\n");
        reply_done(&r);
        image_remove("hostile-workdir");
    }
}

int
suite_descriptors(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_command_has_the_three_streams_alone, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(no_cwd_leads_out, world_note, world_check),
        cmocka_unit_test_setup_teardown(no_workdir_of_an_image_leads_out, world_note, image_check),
    };

    return cmocka_run_group_tests_name("descriptors", tests, NULL, world_done);
}
