/*
 * Filling the disk where the storage driver has no limit (overlay2): the container is watched, and
 * stopped within seconds of being over; it starts again only after a rollback.
 */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/box.h"

enum { SANDBOX_DISK_MB = 512, SANDBOX_FILES = SANDBOX_DISK_MB * 64, WATCH_SECONDS = 30 };

static struct box box;

static int
open_box(void **state)
{
    world_note(state);
    box_open(&box, ALICE, "disk", "Sandbox");
    return 0;
}

static int
close_box(void **state)
{
    box_close(&box);
    return world_check(state);
}

static bool
is_stopped(void *arg)
{
    struct reply r = fetch(ALICE, "/containers/%s", box.id);
    bool stopped = strcmp(text_at(&r, "status"), "stopped") == 0;

    (void)arg;
    reply_done(&r);
    return stopped;
}

/* The box is stopped, says so wherever it is asked to run something, and why. */
static void
assert_over_its_limit(void)
{
    struct reply r;

    wait_until(is_stopped, NULL, WATCH_SECONDS, "the container to be stopped");
    r = act(ALICE, "POST", "/containers/%s/start", box.id);
    assert_problem(&r, 429, "quota_exceeded");
    assert_non_null(strstr(text_at(&r, "detail"), "512 MB"));
    reply_done(&r);
    r = execute(ALICE, "{s:s, s:s, s:s, s:s}", "agent_id", "disk", "session_id", "attack", "tier",
                "Sandbox", "command", "true");
    assert_problem(&r, 429, "quota_exceeded");
    reply_done(&r);
    r = box_try(&box, 5, "true");
    assert_problem(&r, 409, "container_not_running");
    reply_done(&r);
}

/* Whether the audit has an entry of a change of the box. */
static bool
is_noted(void *arg)
{
    struct reply r = fetch(ALICE, "/audit?kind=change&container_id=%s&limit=1", box.id);
    const char *command =
        json_string_value(json_object_get(json_array_get(at(&r, "entries"), 0), "command"));
    bool noted = command && strcmp(command, "disk limit") == 0;

    (void)arg;
    reply_done(&r);
    return noted;
}

/* The owner's audit tells what happened. */
static void
assert_audited(void)
{
    struct reply r;
    bool found = false;
    json_t *entry;
    size_t i;

    wait_until(is_noted, NULL, WATCH_SECONDS, "the stop to be audited");
    r = fetch(ALICE, "/audit?kind=change&container_id=%s", box.id);
    json_array_foreach(at(&r, "entries"), i, entry)
    {
        const json_t *before = json_object_get(entry, "before");

        if (strcmp(json_string_value(json_object_get(entry, "command")), "disk limit") != 0)
            continue;
        found = true;
        assert_int_equal(json_integer_value(json_object_get(before, "disk_mb_limit")),
                         SANDBOX_DISK_MB);
        assert_true(json_integer_value(json_object_get(before, "disk_mb")) >= SANDBOX_DISK_MB ||
                    json_integer_value(json_object_get(before, "files")) > SANDBOX_FILES);
    }
    if (!found)
        fail_msg("no entry says that the disk limit stopped it: %s", r.body);
    reply_done(&r);
}

static void
what_fills_the_disk_is_stopped(void **state)
{
    static const struct {
        const char *command;
        bool freed; /* with its processes */
    } attacks[] = {
        {"head -c 530m /dev/zero > big; exec sleep 999", false},
        /* What was freed by name only is still there. */
        {"exec 3> big; rm big; fallocate -l 700m /proc/self/fd/3; exec sleep 999", true},
        /* In the middle of a directory that moves about. */
        {"mkdir -p a/x b; fallocate -l 700m a/x/big; while :; do mv a/x b/x; mv b/x a/x; done",
         false},
        {"exec /workspace/exhaust files 100000 /home/sandbox/files hold", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(attacks); i++) {
        struct reply r;

        print_message("    %s\n", attacks[i].command);
        if (i > 0)
            box_open(&box, ALICE, "disk", "Sandbox");
        r = box_run(&box, 60, "cd; %s", attacks[i].command);
        if (strcmp(text_at(&r, "status"), "killed") != 0)
            fail_msg("it was not killed: %s", r.body);
        reply_done(&r);
        if (!attacks[i].freed)
            assert_over_its_limit();
        assert_audited();
        neighbour_works();
        if (i + 1 < ARRAY_LEN(attacks))
            box_close(&box);
    }
}

static void
what_ended_before_it_was_seen_is_stopped_too(void **state)
{
    struct reply r = box_run(&box, 30, "fallocate -l 600m ~/big");

    (void)state;
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
    assert_over_its_limit();
}

static void
holes_hard_links_and_what_lies_elsewhere_count_for_what_they_take(void **state)
{
    struct reply r = box_run(&box, 30,
                             "cd; truncate -s 100g hole; fallocate -l 300m one;"
                             " for i in 1 2 3 4 5; do ln one link$i; done;"
                             " fallocate -l 600m /workspace/mine; echo made; sleep 6; echo there");

    (void)state;
    assert_string_equal(text_at(&r, "stdout"), "made\nthere\n");
    reply_done(&r);
    r = box_run(&box, 30, "rm /workspace/mine");
    reply_done(&r);
}

static void
a_rollback_brings_it_back(void **state)
{
    char sid[STEP_ID_SIZE];
    struct reply r = act(ALICE, "POST", "/containers/%s/snapshots", box.id);

    (void)state;
    assert_status(&r, 201);
    snprintf(sid, sizeof(sid), "%s", text_at(&r, "id"));
    reply_done(&r);
    r = box_run(&box, 30, "fallocate -l 600m ~/big");
    reply_done(&r);
    assert_over_its_limit();
    r = act(ALICE, "POST", "/containers/%s/snapshots/%s/rollback", box.id, sid);
    assert_status(&r, 200);
    reply_done(&r);
    box_works(&box);
}

static void
what_is_as_deep_as_it_gets_can_be_removed(void **state)
{
    /* Docker alone fails on it for want of descriptors, and the container would stay for ever. */
    (void)state;
    box_exhaust(&box, "depth 25000 /home/sandbox/deep", "got");
}

static void
a_one_shot_over_its_limit_is_killed_and_gone(void **state)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:i}", "tier", "Sandbox", "command",
                             "fallocate -l 600m ~/big; exec sleep 999", "timeout_seconds", 60);

    (void)state;
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "status"), "killed");
    assert_false(host_engine_has(text_at(&r, "container_id")));
    reply_done(&r);
}

static void
status_says_that_disks_are_watched(void **state)
{
    struct reply r = fetch(ALICE, "/status");

    (void)state;
    assert_string_equal(text_at(&r, "disk_limit"), "monitored");
    reply_done(&r);
}

#define disk_test(f) cmocka_unit_test_setup_teardown(f, open_box, close_box)

int
suite_disk(void)
{
    const struct CMUnitTest tests[] = {
        disk_test(what_fills_the_disk_is_stopped),
        disk_test(what_ended_before_it_was_seen_is_stopped_too),
        disk_test(holes_hard_links_and_what_lies_elsewhere_count_for_what_they_take),
        disk_test(a_rollback_brings_it_back),
        disk_test(what_is_as_deep_as_it_gets_can_be_removed),
        cmocka_unit_test(a_one_shot_over_its_limit_is_killed_and_gone),
        cmocka_unit_test(status_says_that_disks_are_watched),
    };

    return cmocka_run_group_tests_name("hostile: disk", tests, NULL, remove_containers);
}
