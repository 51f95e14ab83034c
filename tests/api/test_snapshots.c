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

enum { SNAPSHOTS_MAX = 10, PATIENCE_SECONDS = 90 };

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
a_list_comes_in_pages(void **state)
{
    char ids[3][STEP_ID_SIZE];
    struct reply first, second, bad;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        snap_make("same name", ids[i]);
    first = fetch(ALICE, "%s?limit=2", snap.list);
    assert_int_equal(json_array_size(at(&first, "snapshots")), 2);
    assert_string_equal(text_at(&first, "snapshots.0.id"), ids[2]);
    assert_string_equal(text_at(&first, "snapshots.1.id"), ids[1]);
    second = fetch(ALICE, "%s?limit=2&cursor=%s", snap.list, text_at(&first, "next_cursor"));
    assert_int_equal(json_array_size(at(&second, "snapshots")), 1);
    assert_string_equal(text_at(&second, "snapshots.0.id"), ids[0]);
    assert_true(null_at(&second, "next_cursor"));
    bad = act(ALICE, "GET", "%s?cursor=zebra", snap.list);
    assert_problem(&bad, 400, "bad_query");
    reply_done(&first);
    reply_done(&second);
    reply_done(&bad);
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
a_container_has_a_limited_number(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    for (int i = 0; i < SNAPSHOTS_MAX; i++)
        snap_make(NULL, id);
    r = call(ALICE, "POST", snap.list, "{}", NULL);
    assert_problem(&r, 429, "quota_exceeded");
    reply_done(&r);
    assert_int_equal(snap_count(), SNAPSHOTS_MAX);
    assert_int_equal(snap_images(), SNAPSHOTS_MAX);
    r = act(ALICE, "DELETE", "%s/%s", snap.list, id);
    assert_status(&r, 204);
    reply_done(&r);
    snap_make(NULL, id);
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
names_and_bodies_are_checked(void **state)
{
    char huge[32 + 128];
    const struct {
        const char *body, *pointer;
    } cases[] = {
        {"{\"name\": \"\"}", "/name"},
        {"{\"name\": 7}", "/name"},
        {"{\"name\": null}", "/name"},
        {"{\"name\": [\"a\"]}", "/name"},
        {"{\"name\": \"a\\nb\"}", "/name"},
        {"{\"name\": \"\\u001b[31m\"}", "/name"},
        {"{\"name\": \"\\u007f\"}", "/name"},
        {"{\"name\": \"\\u0085\"}", "/name"},
        {huge, "/name"},
        {"{\"nmae\": \"a\"}", "/nmae"},
        {"{\"name\": \"a\", \"image\": \"b\"}", "/image"},
    };
    struct reply r;

    (void)state;
    snprintf(huge, sizeof(huge), "{\"name\": \"%065d\"}", 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].body);
        r = call(ALICE, "POST", snap.list, cases[i].body, NULL);
        assert_violation(&r, cases[i].pointer);
        reply_done(&r);
    }
    r = call(ALICE, "POST", snap.list, "[]", NULL);
    assert_status(&r, 422);
    reply_done(&r);
    r = call(ALICE, "POST", snap.list, "{\"name\": \"a\\u0000\"}", NULL);
    assert_problem(&r, 400, "bad_json");
    reply_done(&r);
    assert_int_equal(snap_count(), 0);
    assert_int_equal(snap_images(), 0);
}

/* Every operation on a snapshot that is not the caller's to see. */
static void
assert_nothing_there(const char *user, const char *container, const char *snapshot)
{
    const struct {
        const char *method, *tail;
    } cases[] = {{"POST", "/rollback"}, {"DELETE", ""}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = act(user, cases[i].method, "/containers/%s/snapshots/%s%s", container,
                             snapshot, cases[i].tail);
        struct reply never =
            act(user, cases[i].method, "/containers/%s/snapshots/snapshot_000000000000%s",
                container, cases[i].tail);

        print_message("%s %s: %s %s%s\n", user, container, cases[i].method, snapshot,
                      cases[i].tail);
        assert_problem(&r, 404, "not_found");
        assert_same_problem(&r, &never);
        reply_done(&r);
        reply_done(&never);
    }
}

static void
what_is_not_ones_own_is_not_there(void **state)
{
    char other[STEP_ID_SIZE], id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    snap_prints("echo mine > ~/file", "");
    snap_make(NULL, id);
    make_container(BOB, "{\"agent_id\": \"snap\", \"session_id\": \"1\"}", other);
    assert_nothing_there(BOB, snap.id, id);                       /* another's container */
    assert_nothing_there(BOB, other, id);                         /* another's snapshot */
    assert_nothing_there(ADMIN, other, id);                       /* another container's */
    assert_nothing_there(ALICE, snap.id, "snapshot_00000000000"); /* no id at all */
    assert_nothing_there(ALICE, snap.id, "snapshot_0123456789ab..");
    assert_nothing_there(ALICE, "container_000000000000", id);
    r = call(BOB, "POST", snap.list, "{}", NULL);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = act(BOB, "GET", "%s", snap.list);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = act(ALICE, "DELETE", "%s/..%%2f..%%2fx", snap.list);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
    r = act(ADMIN, "GET", "%s", snap.list);
    assert_status(&r, 200);
    reply_done(&r);
    assert_int_equal(snap_count(), 1);
    snap_prints("cat ~/file", "mine\n");
    r = act(BOB, "DELETE", "/containers/%s", other);
    reply_done(&r);
}

static void
a_viewer_may_only_list(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    snap_make(NULL, id);
    r = call(VIEWER, "POST", snap.list, "{}", NULL);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = act(VIEWER, "POST", "%s/%s/rollback", snap.list, id);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = act(VIEWER, "DELETE", "%s/%s", snap.list, id);
    assert_problem(&r, 403, "forbidden");
    reply_done(&r);
    r = act(VIEWER, "GET", "%s", snap.list); /* may, and has none of its own */
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
}

static void
each_act_leaves_a_change_entry(void **state)
{
    char id[STEP_ID_SIZE], expected[256];
    struct reply r;

    (void)state;
    snap_make("noted", id);
    snap_roll_back(id);
    r = act(ALICE, "DELETE", "%s/%s", snap.list, id);
    assert_status(&r, 204);
    reply_done(&r);
    r = fetch(ALICE, "/audit?kind=change&container_id=%s&limit=3", snap.id);
    snprintf(expected, sizeof(expected), "DELETE %s/%s", snap.list, id);
    assert_string_equal(text_at(&r, "entries.0.command"), expected);
    assert_string_equal(text_at(&r, "entries.0.before.snapshot.name"), "noted");
    assert_true(null_at(&r, "entries.0.after"));
    snprintf(expected, sizeof(expected), "POST %s/%s/rollback", snap.list, id);
    assert_string_equal(text_at(&r, "entries.1.command"), expected);
    snprintf(expected, sizeof(expected), "POST %s", snap.list);
    assert_string_equal(text_at(&r, "entries.2.command"), expected);
    assert_string_equal(text_at(&r, "entries.2.after.snapshot.id"), id);
    assert_string_equal(text_at(&r, "entries.2.owner"), ALICE);
    reply_done(&r);
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
        snap_test(a_list_comes_in_pages),
        snap_test(a_rollback_brings_every_file_back),
        snap_test(two_snapshots_are_gone_back_and_forth_to),
        snap_test(a_stopped_container_is_kept_and_rolled_back),
        snap_test(a_snapshot_takes_what_was_written),
        snap_test(a_container_has_a_limited_number),
        snap_test(deleting_one_frees_its_image),
        snap_test(one_that_the_container_stands_on_is_freed_later),
        snap_test(deleting_the_container_deletes_its_snapshots),
        snap_test(a_rollback_kills_what_runs),
        snap_test(a_snapshot_is_of_one_moment_of_a_running_command),
        snap_test(the_posture_is_the_same_after_a_rollback),
        snap_test(names_and_bodies_are_checked),
        snap_test(what_is_not_ones_own_is_not_there),
        snap_test(a_viewer_may_only_list),
        snap_test(each_act_leaves_a_change_entry),
        snap_test(many_at_one_time_are_put_in_an_order),
    };

    return cmocka_run_group_tests_name("snapshots", tests, NULL, remove_containers);
}
