/* Steps of the tests of snapshots: see snap.h. */
#include "tests/test.h"

#include "tests/api/snap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"

struct snap snap;

int
snap_open(void **state)
{
    (void)state;
    make_container(ALICE, "{\"agent_id\": \"snap\", \"session_id\": \"1\"}", snap.id);
    snprintf(snap.path, sizeof(snap.path), "/containers/%s", snap.id);
    snprintf(snap.list, sizeof(snap.list), "%s/snapshots", snap.path);
    return 0;
}

int
snap_close(void **state)
{
    struct reply r = act(ADMIN, "DELETE", "%s", snap.path);

    (void)state;
    reply_done(&r);
    return 0;
}

struct reply
snap_run(const char *command)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "snap", "session_id", "1",
                             "command", command);

    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "container_id"), snap.id);
    if (null_at(&r, "exit_code") || int_at(&r, "exit_code") != 0)
        fail_msg("'%s' failed: %s", command, r.body);
    return r;
}

void
snap_prints(const char *command, const char *expected)
{
    struct reply r = snap_run(command);

    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("%s: expected \"%s\" in %s", command, expected, r.body);
    reply_done(&r);
}

char *
snap_files(void)
{
    struct reply r = snap_run("find /home/sandbox | sort | xargs stat -c '%N %f %u:%g %s %Y'");
    char *text = strdup(text_at(&r, "stdout"));

    assert_non_null(text);
    reply_done(&r);
    return text;
}

void
snap_make(const char *name, char ret_id[STEP_ID_SIZE])
{
    json_auto_t *body = json_pack("{s:s*}", "name", name);
    _cleanup_(freep) char *text = json_dumps(body, 0);
    struct reply r = call(ALICE, "POST", snap.list, text, NULL);

    assert_status(&r, 201);
    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
}

void
snap_roll_back(const char *id)
{
    struct reply r = act(ALICE, "POST", "%s/%s/rollback", snap.list, id);

    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "id"), snap.id);
    assert_string_equal(text_at(&r, "status"), "running");
    reply_done(&r);
}

size_t
snap_count(void)
{
    struct reply r = fetch(ALICE, "%s?limit=500", snap.list);
    size_t count = json_array_size(at(&r, "snapshots"));

    reply_done(&r);
    return count;
}

/* How long the engine's list at @path is, which is filtered by this server's label, and by @more:
 * an escaped part of a list in JSON. */
static size_t
engine_count(const char *path, const char *more)
{
    _cleanup_(freep) char *instance = state_file("instance");
    char full[512];
    struct reply r;
    size_t count;

    assert_non_null(instance);
    snprintf(full, sizeof(full),
             "%sfilters=%%7B%%22label%%22%%3A%%5B%%22sandbox.instance%%3D%s%%22%s%%5D%%7D", path,
             instance, more);
    r = host_engine("GET", full, NULL);
    assert_status(&r, 200);
    count = json_array_size(r.json);
    reply_done(&r);
    return count;
}

size_t
snap_images(void)
{
    return engine_count("/images/json?", "%2C%22sandbox.snapshot%22");
}

size_t
snap_spare_containers(void)
{
    struct reply r = fetch(ADMIN, "/containers?limit=500");
    size_t count = engine_count("/containers/json?all=1&", "");
    size_t known = json_array_size(at(&r, "containers"));

    reply_done(&r);
    return count > known ? count - known : 0;
}
