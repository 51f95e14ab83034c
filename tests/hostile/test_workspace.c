/*
 * A workspace is its tenant's to fill with whatever a file system takes; the host mounts it, makes
 * it and finds it again, and follows nothing in it.
 */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/image.h"

enum { ROUNDS = 2, COMMAND_SIZE = 1024, MANY_FILES = 10000 };

/* Do it to what @path names, below the container @id. */
static void
assert_act(const char *method, long status, const char *id, const char *path)
{
    struct reply r = act(ALICE, method, "/containers/%s%s", id, path);

    assert_status(&r, status);
    reply_done(&r);
}

/* A life of a container that shares the workspace of @agent: each step is one that the host takes.
 */
static void
live(const char *agent, int round)
{
    char body[COMMAND_SIZE], id[STEP_ID_SIZE], rollback[STEP_PATH_SIZE];
    struct reply r;

    snprintf(body, sizeof(body), "{\"agent_id\": \"%s\", \"session_id\": \"life-%d\"%s}", agent,
             round, round % 2 == 0 ? "" : ", \"workspace_access\": \"ro\"");
    make_container(ALICE, body, id);
    r = act(ALICE, "POST", "/containers/%s/snapshots", id);
    assert_status(&r, 201);
    snprintf(rollback, sizeof(rollback), "/snapshots/%s/rollback", text_at(&r, "id"));
    reply_done(&r);
    assert_act("POST", 200, id, "/stop");
    assert_act("POST", 200, id, "/start");
    assert_act("POST", 200, id, rollback);
    assert_act("POST", 200, id, "/restart");
    assert_act("DELETE", 204, id, "");
}

/* The attacker changes the workspace without end while containers of it come and go. */
static void
no_race_moves_what_the_host_does(void **state)
{
    const char *state_dir = getenv("SANDBOX_STATE");
    char command[COMMAND_SIZE], id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    attack_place(ALICE, "workspace", "mover");
    snprintf(command, sizeof(command), "./mover %s/canary-of-root", state_dir);
    r = execute(ALICE, "{s:s, s:s, s:s, s:b}", "command", command, "agent_id", "workspace",
                "session_id", "attack", "background", 1);
    assert_status(&r, 202);
    snprintf(id, sizeof(id), "%s", text_at(&r, "id"));
    reply_done(&r);
    for (int round = 0; round < ROUNDS; round++)
        live("workspace", round);
    r = act(ALICE, "POST", "/audit/%s/kill", id);
    assert_status(&r, 200);
    reply_done(&r);
    r = execute(ALICE, "{s:s, s:s, s:s, s:s}", "command",
                "chmod 700 /workspace; rm -rf /workspace/*; ls -A /workspace", "agent_id",
                "workspace", "session_id", "attack", "cwd", "/");
    assert_got(&r, "");
    reply_done(&r);
}

static void
no_name_and_no_number_of_files_is_too_much(void **state)
{
    struct reply r = attack(ALICE, "names", "namer", "");

    (void)state;
    assert_got(&r, "filled\n");
    reply_done(&r);
    live("names", 0);
    r = attack_shell(ALICE, "names", "ls | grep -c '^file-'; rm -rf /workspace/* /workspace/..?*");
    assert_status(&r, 200);
    assert_int_equal(strtol(text_at(&r, "stdout"), NULL, 10), MANY_FILES);
    reply_done(&r);
}

/* Hard links cannot be made to what is not the tenant's, nor out of the workspace. */
static void
no_link_reaches_out_of_it(void **state)
{
    struct reply r = attack_shell(
        ALICE, "links",
        "for target in /etc/passwd /bin/busybox /.sandbox/guest /home/sandbox/x /proc/self/exe; do"
        " ln $target hard && echo got $target; done 2>/dev/null;"
        " mv /home /workspace/home; mv /.sandbox /workspace/s; rmdir /workspace; rm -rf /workspace;"
        " mv /workspace /tmp/w; rmdir /home/sandbox; ln -s / /home/sandbox2; ln -sfn / /.sandbox;"
        " mv /home/sandbox /tmp/h; ls -d /workspace /home/sandbox /.sandbox/guest");

    (void)state;
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "/.sandbox/guest\n/home/sandbox\n/workspace\n");
    reply_done(&r);
}

/* Where containers are given their directories, an image may have symlinks to the host's paths. */
static void
no_symlink_of_an_image_leads_out(void **state)
{
    static const char *const links[] = {
        "ln -s \"$SANDBOX_STATE\"-canary workspace; rm -rf home;"
        " ln -s \"$SANDBOX_STATE\"-canary home",
        "ln -s \"$SANDBOX_STATE\"-canary .sandbox; ln -s /proc/self/root/tmp workspace",
        "ln -s /workspace .sandbox; rm -rf tmp; ln -s ../../../../../../../../tmp tmp",
        "mkdir -p home; ln -s \"$SANDBOX_STATE\"-canary home/sandbox; rm -f etc/passwd etc/group;"
        " ln -s \"$SANDBOX_STATE\"-canary/of-all etc/passwd;"
        " ln -s \"$SANDBOX_STATE\"-canary/of-root etc/group",
        "rm -rf etc; ln -s \"$SANDBOX_STATE\"-canary etc",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        struct reply r;

        print_message("  %s\n", links[i]);
        image_make("hostile-links", links[i], "");
        r = image_shell(ALICE, "links", "hostile-links",
                        "ls -A / /workspace/ /home/ /.sandbox/ /etc/ | grep of-; echo looked");
        /* 126: what stands at /workspace there is no directory to start in. */
        if (r.status == 200 && strcmp(text_at(&r, "stdout"), "looked\n") != 0 &&
            (null_at(&r, "exit_code") || int_at(&r, "exit_code") != 126 ||
             text_at(&r, "stdout")[0]))
            fail_msg("%s: %s", links[i], r.body);
        if (r.status != 200)
            assert_problem(&r, 502, "docker_error");
        reply_done(&r);
        image_remove("hostile-links");
    }
    assert_int_equal(host_shell("[ \"$(ls -A \"$SANDBOX_STATE\"-canary)\" = \"$(printf"
                                " 'of-all\\nof-root')\" ]"),
                     0);
}

int
suite_workspace(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_race_moves_what_the_host_does, world_note, world_check),
        cmocka_unit_test_setup_teardown(no_name_and_no_number_of_files_is_too_much, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(no_link_reaches_out_of_it, world_note, world_check),
        cmocka_unit_test_setup_teardown(no_symlink_of_an_image_leads_out, world_note, image_check),
    };

    return cmocka_run_group_tests_name("workspace", tests, NULL, world_done);
}
