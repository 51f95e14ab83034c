/* The resource snapshots of a container. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/snap.h"
#include "tests/api/suite.h"

enum { PATIENCE_SECONDS = 90 };

static void
a_snapshot_is_shown_with_every_field(void **state)
{
    static const char fields[] = "id container_id name created_at size_mb";
    struct reply named =
        call(ALICE, "POST", snap.list, "{\"name\": \"before the \xc3\xbcpgrade\"}", NULL);
    struct reply plain = call(ALICE, "POST", snap.list, "{}", NULL);
    struct reply list;

    (void)state;
    assert_status(&named, 201);
    assert_members(named.json, fields);
    assert_memory_equal(text_at(&named, "id"), "snapshot_", 9);
    assert_int_equal(strlen(text_at(&named, "id")), 9 + 12);
    assert_string_equal(text_at(&named, "container_id"), snap.id);
    assert_string_equal(text_at(&named, "name"), "before the \xc3\xbcpgrade");
    assert_time(text_at(&named, "created_at"));
    assert_true(number_at(&named, "size_mb") >= 0);
    assert_true(number_at(&named, "size_mb") < 1);
    assert_status(&plain, 201);
    assert_string_equal(text_at(&plain, "name"), text_at(&plain, "id"));
    list = fetch(ALICE, "%s", snap.list);
    assert_members(list.json, "snapshots next_cursor");
    assert_int_equal(json_array_size(at(&list, "snapshots")), 2);
    assert_true(json_equal(at(&list, "snapshots.0"), plain.json));
    assert_true(json_equal(at(&list, "snapshots.1"), named.json));
    assert_true(null_at(&list, "next_cursor"));
    reply_done(&named);
    reply_done(&plain);
    reply_done(&list);
}

static void
a_rollback_brings_every_file_back(void **state)
{
    _cleanup_(freep) char *before = NULL, *after = NULL;
    char id[STEP_ID_SIZE];

    (void)state;
    snap_prints("cd && mkdir -p d/e && echo one > d/file && echo two > gone && chmod 640 d/file &&"
                " chmod 1770 d/e && ln -s d/file link && ln -s /nowhere dead &&"
                " touch -d '2020-02-02 02:02:02' d/file && printf '#!/bin/sh\\necho ran' > run &&"
                " chmod 755 run && echo w > /workspace/kept && echo t > /tmp/lost",
                "");
    before = snap_files();
    snap_make(NULL, id);
    snap_prints("cd && rm -r gone link d/e && echo changed > d/file && chmod 600 run &&"
                " echo new > new && echo w2 > /workspace/kept && ls",
                "d\ndead\nnew\nrun\n");
    snap_roll_back(id);
    after = snap_files();
    assert_string_equal(before, after);
    snap_prints("cat /home/sandbox/link /home/sandbox/gone; /home/sandbox/run", "one\ntwo\nran\n");
    snap_prints("cat /workspace/kept; ls /tmp", "w2\n"); /* neither is part of it */
    snap_prints("whoami; cd; pwd; touch fresh; echo $HOME",
                "sandbox\n/home/sandbox\n/home/sandbox\n");
}

static void
two_snapshots_are_gone_back_and_forth_to(void **state)
{
    char one[STEP_ID_SIZE], two[STEP_ID_SIZE];

    (void)state;
    snap_prints("echo 1 > ~/file", "");
    snap_make("one", one);
    snap_prints("echo 2 > ~/file; echo more > ~/more", "");
    snap_make("two", two);
    for (int i = 0; i < 2; i++) {
        snap_roll_back(one);
        snap_prints("cat ~/file; ls ~", "1\nfile\n");
        snap_roll_back(two);
        snap_prints("cat ~/file ~/more; ls ~", "2\nmore\nfile\nmore\n");
    }
    assert_int_equal(snap_spare_containers(), 0);
}

static void
a_stopped_container_is_kept_and_rolled_back(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    snap_prints("echo 1 > ~/file", "");
    r = act(ALICE, "POST", "%s/stop", snap.path);
    assert_status(&r, 200);
    reply_done(&r);
    snap_make(NULL, id);
    r = fetch(ALICE, "%s", snap.path);
    assert_string_equal(text_at(&r, "status"), "stopped");
    reply_done(&r);
    snap_prints("echo 2 > ~/file", "");
    r = act(ALICE, "POST", "%s/stop", snap.path);
    reply_done(&r);
    snap_roll_back(id);
    snap_prints("cat ~/file", "1\n");
}

static double
size_of(const char *id)
{
    struct reply r = fetch(ALICE, "%s", snap.list);
    double size = -1;
    json_t *item;
    size_t i;

    json_array_foreach(at(&r, "snapshots"), i, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "id")), id) == 0)
            size = json_number_value(json_object_get(item, "size_mb"));
    }
    reply_done(&r);
    return size;
}

static void
a_snapshot_takes_what_was_written(void **state)
{
    char small[STEP_ID_SIZE], large[STEP_ID_SIZE], after[STEP_ID_SIZE];

    (void)state;
    snap_make(NULL, small);
    snap_prints("dd if=/dev/urandom of=$HOME/noise bs=1024 count=5120 2>/dev/null", "");
    snap_make(NULL, large);
    assert_true(size_of(small) < 1);
    assert_true(size_of(large) >= 5 && size_of(large) < 6);
    snap_roll_back(large); /* what is written after a rollback is a layer of its own */
    snap_prints("echo more > ~/more", "");
    snap_make(NULL, after);
    assert_true(size_of(after) < 1);
}

static void
deleting_one_frees_its_image(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    snap_make(NULL, id);
    assert_int_equal(snap_images(), 1);
    r = act(ALICE, "DELETE", "%s/%s", snap.list, id);
    assert_status(&r, 204);
    reply_done(&r);
    assert_int_equal(snap_images(), 0);
    assert_int_equal(snap_count(), 0);
    r = act(ALICE, "DELETE", "%s/%s", snap.list, id);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
}

static bool
no_image_is_left(void *arg)
{
    (void)arg;
    host_nudge_janitor();
    return snap_images() == 0;
}

static void
one_that_the_container_stands_on_is_freed_later(void **state)
{
    char base[STEP_ID_SIZE], upper[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    snap_prints("echo base > ~/file", "");
    snap_make(NULL, base);
    snap_roll_back(base);
    r = act(ALICE, "DELETE", "%s/%s", snap.list, base);
    assert_status(&r, 204);
    reply_done(&r);
    assert_int_equal(snap_count(), 0);
    snap_prints("cat ~/file; echo upper > ~/file", "base\n");
    snap_make(NULL, upper); /* a layer upon what is deleted */
    snap_prints("rm ~/file", "");
    snap_roll_back(upper);
    snap_prints("cat ~/file", "upper\n");
    r = act(ALICE, "DELETE", "%s", snap.path);
    assert_status(&r, 204);
    reply_done(&r);
    wait_until(no_image_is_left, NULL, PATIENCE_SECONDS, "the images to be freed");
}

static void
deleting_the_container_deletes_its_snapshots(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    snap_make(NULL, id);
    snap_prints("touch ~/more", "");
    snap_make(NULL, id);
    r = act(ALICE, "DELETE", "%s", snap.path);
    assert_status(&r, 204);
    reply_done(&r);
    assert_int_equal(snap_images(), 0);
    assert_int_equal(host_shell("test \"$(sqlite3 $SANDBOX_STATE/sandbox.db"
                                " 'SELECT COUNT(*) FROM snapshot')\" = 0"),
                     0);
    r = act(ALICE, "GET", "%s", snap.list);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
}

/* A command on its way, and the file in the workspace that it makes. */
struct beginning {
    struct pending *pending;
    char path[STEP_PATH_SIZE];
};

static bool
has_begun(void *arg)
{
    const struct beginning *b = arg;

    pending_poll(b->pending);
    return access(b->path, F_OK) == 0;
}

static void
a_rollback_kills_what_runs(void **state)
{
    struct parallel call = {
        .user = ALICE,
        .method = "POST",
        .path = "/execute",
        .body = "{\"agent_id\": \"snap\", \"session_id\": \"1\", \"command\":"
                " \"trap '' TERM INT HUP; touch /workspace/begun; sleep 1000\"}",
    };
    struct beginning b = {0};
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    snap_prints("rm -f /workspace/begun", "");
    snap_make(NULL, id);
    state_path("workspaces/alice/snap/begun", b.path);
    b.pending = pending_start(&call);
    wait_until(has_begun, &b, 60, "a command that has begun");
    snap_roll_back(id);
    pending_finish(b.pending);
    assert_status(&call.reply, 200);
    assert_string_equal(text_at(&call.reply, "signal"), "SIGKILL");
    r = fetch(ALICE, "/audit/%s", text_at(&call.reply, "id"));
    assert_string_equal(text_at(&r, "status"), "killed");
    reply_done(&r);
    reply_done(&call.reply);
    snap_prints("echo next", "next\n");
}

static void
a_snapshot_is_of_one_moment_of_a_running_command(void **state)
{
    struct parallel call = {
        .user = ALICE,
        .method = "POST",
        .path = "/execute",
        .body = "{\"agent_id\": \"snap\", \"session_id\": \"1\", \"command\":"
                " \"touch /workspace/begun; while [ ! -e /workspace/go ]; do sleep 0.1; done;"
                " echo went on\"}",
    };
    struct beginning b = {0};
    char id[STEP_ID_SIZE];

    (void)state;
    snap_prints("rm -f /workspace/begun /workspace/go", "");
    state_path("workspaces/alice/snap/begun", b.path);
    b.pending = pending_start(&call);
    wait_until(has_begun, &b, 60, "a command that has begun");
    snap_make(NULL, id);
    snap_prints("touch /workspace/go", "");
    pending_finish(b.pending);
    assert_status(&call.reply, 200);
    assert_string_equal(text_at(&call.reply, "stdout"), "went on\n");
    reply_done(&call.reply);
}

/* How the engine describes the test's container. The caller frees it. */
static struct reply
inspect(void)
{
    char name[128], path[192];
    struct reply r;

    host_engine_name(snap.id, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s/json", name);
    r = host_engine("GET", path, NULL);
    assert_status(&r, 200);
    return r;
}

static void
the_posture_is_the_same_after_a_rollback(void **state)
{
    static const char *const same[] = {"HostConfig",
                                       "Config.User",
                                       "Config.Entrypoint",
                                       "Config.Cmd",
                                       "Config.Env",
                                       "Config.Hostname",
                                       "Config.WorkingDir",
                                       "Config.Healthcheck",
                                       "Config.StopSignal",
                                       "Mounts",
                                       "Path",
                                       "Args",
                                       "AppArmorProfile",
                                       NULL};
    struct reply before = inspect(), after;
    char id[STEP_ID_SIZE];

    (void)state;
    snap_make(NULL, id);
    snap_roll_back(id);
    after = inspect();
    assert_string_not_equal(text_at(&before, "Id"), text_at(&after, "Id"));
    assert_string_equal(text_at(&before, "Name"), text_at(&after, "Name"));
    for (size_t i = 0; same[i]; i++)
        if (!json_equal(at(&before, same[i]), at(&after, same[i])))
            fail_msg("%s is not the same: %s", same[i], after.body);
    reply_done(&before);
    reply_done(&after);
}

static void
many_at_one_time_are_put_in_an_order(void **state)
{
    enum { CALLS = 6 };
    struct parallel calls[CALLS];
    char id[STEP_ID_SIZE], rollback[256];

    (void)state;
    snap_prints("echo kept > ~/file", "");
    snap_make(NULL, id);
    snprintf(rollback, sizeof(rollback), "%s/%s/rollback", snap.list, id);
    for (size_t i = 0; i < CALLS; i++)
        calls[i] = (struct parallel){.user = ALICE,
                                     .method = "POST",
                                     .path = i % 2 ? snap.list : rollback,
                                     .body = i % 2 ? "{}" : NULL};
    call_parallel(calls, CALLS);
    for (size_t i = 0; i < CALLS; i++) {
        assert_status(&calls[i].reply, i % 2 ? 201 : 200);
        reply_done(&calls[i].reply);
    }
    assert_int_equal(snap_count(), 1 + CALLS / 2);
    assert_int_equal(snap_spare_containers(), 0);
    snap_prints("cat ~/file", "kept\n");
}

#define snap_test(f) cmocka_unit_test_setup_teardown(f, snap_open, snap_close)

int
suite_snapshots(void)
{
    const struct CMUnitTest tests[] = {
        snap_test(a_snapshot_is_shown_with_every_field),
        snap_test(a_rollback_brings_every_file_back),
        snap_test(two_snapshots_are_gone_back_and_forth_to),
        snap_test(a_stopped_container_is_kept_and_rolled_back),
        snap_test(a_snapshot_takes_what_was_written),
        snap_test(deleting_one_frees_its_image),
        snap_test(one_that_the_container_stands_on_is_freed_later),
        snap_test(deleting_the_container_deletes_its_snapshots),
        snap_test(a_rollback_kills_what_runs),
        snap_test(a_snapshot_is_of_one_moment_of_a_running_command),
        snap_test(the_posture_is_the_same_after_a_rollback),
        snap_test(many_at_one_time_are_put_in_an_order),
    };

    return cmocka_run_group_tests_name("snapshots", tests, NULL, remove_containers);
}
