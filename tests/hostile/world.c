/* The world around an attack: see world.h. */
#include "tests/hostile/world.h"

#include "tests/test.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/hostile/canary.h"
#include "tests/hostile/ledger.h"
#include "tests/hostile/processes.h"

enum { PATIENCE_SECONDS = 15, DIFFERENCE_SIZE = 512 };

/* The mounts of a running container with a workspace: its slot onto itself, and the workspace. */
enum { SLOT_MOUNTS = 2 };

/* What is not as GET containers says; "" if all is. */
static char difference[DIFFERENCE_SIZE];

__attribute__((format(printf, 1, 2))) static bool
differs(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(difference, sizeof(difference), format, ap);
    va_end(ap);
    return true;
}

static const char *
member(const json_t *item, const char *name)
{
    return json_string_value(json_object_get(item, name));
}

/* Whether the directory @name of the state directory has other entries than @ids has members. */
static bool
directory_differs(const char *name, const json_t *ids)
{
    char path[PATH_MAX];
    _cleanup_(closedirp) DIR *dir = opendir(host_path(name, path));
    const struct dirent *entry;
    size_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): one thread */
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!json_object_get(ids, entry->d_name))
            return differs("%s/%s is no container's", name, entry->d_name);
        count++;
    }
    return count != json_object_size(ids) &&
           differs("%s: %zu entries for %zu containers", name, count, json_object_size(ids));
}

/* How many mounts there are at this very path of the state directory. */
static int
mounts_at(const char *name)
{
    char path[PATH_MAX], line[2 * PATH_MAX], at[PATH_MAX];
    _cleanup_(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
    int count = 0;

    assert_non_null(f);
    host_path(name, path);
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "%*d %*d %*s %*s %4095s", at) == 1 && strcmp(at, path) == 0)
            count++;
    return count;
}

/* Whether @name in the state directory is a socket. */
static bool
is_socket(const char *directory, const char *name)
{
    char path[PATH_MAX], relative[256];
    struct stat st;

    snprintf(relative, sizeof(relative), "%s/%s", directory, name);
    return lstat(host_path(relative, path), &st) == 0 && S_ISSOCK(st.st_mode);
}

/* Whether mounts, sockets or network of the container @item are not as they should be. */
static bool
container_differs(const json_t *item)
{
    const char *id = member(item, "id"), *status = member(item, "status");
    bool running = strcmp(status, "running") == 0;
    char slot[128], guest[128];
    int mounts;

    snprintf(slot, sizeof(slot), "slots/%s", id);
    snprintf(guest, sizeof(guest), "guests/%s", id);
    mounts = mounts_at(slot);
    if (!running && strcmp(status, "stopped") != 0)
        return differs("%s is %s", id, status);
    if (strcmp(member(item, "workspace_access"), "none") == 0 ? mounts != 0
                                                              : running && mounts != SLOT_MOUNTS)
        return differs("%s has %d mounts", id, mounts);
    if (running && (!is_socket(guest, "guest.sock") || !is_socket(guest, "control.sock")))
        return differs("%s has no sockets", id);
    return false;
}

/* The ids of containers that the engine has of this server, as an object's members; owned. */
static json_t *
engine_ids(void)
{
    _cleanup_(freep) char *instance = state_file("instance");
    json_t *ids = json_object();
    char path[256];
    struct reply r;
    json_t *item;
    size_t i;

    assert_non_null(instance);
    snprintf(path, sizeof(path),
             "/containers/json?all=1&filters=%%7B%%22label%%22%%3A%%5B%%22sandbox.instance%%3D%s"
             "%%22%%5D%%7D",
             instance);
    r = host_engine("GET", path, NULL);
    assert_status(&r, 200);
    json_array_foreach(r.json, i, item) json_object_set_new(
        ids, json_string_value(json_array_get(json_object_get(item, "Names"), 0)), json_true());
    reply_done(&r);
    return ids;
}

/* Whether the engine has other containers than @ids has members. */
static bool
engine_differs(json_t *ids)
{
    json_auto_t *names = engine_ids();
    char name[160] = "/";
    const char *id;
    json_t *unused;

    json_object_foreach(ids, id, unused)
    {
        host_engine_name(id, name + 1, sizeof(name) - 1);
        if (!json_object_get(names, name))
            return differs("the engine has no %s", id);
    }
    return json_object_size(names) != json_object_size(ids) &&
           differs("the engine has %zu containers, not %zu", json_object_size(names),
                   json_object_size(ids));
}

/* Whether an execution has no end, or processes are left of one that has. */
static bool
executions_differ(void)
{
    struct reply r = fetch(ADMIN, "/audit?status=running");
    size_t running = json_array_size(at(&r, "entries"));
    pid_t left = 0;

    reply_done(&r);
    if (running > 0)
        return differs("%zu executions are running", running);
    return processes_count(&left) > 0 && differs("a command's process is left, pid %d", (int)left);
}

static bool
is_settled(void *arg)
{
    struct reply list = fetch(ADMIN, "/containers?limit=500");
    json_auto_t *all = json_object();
    json_auto_t *with_slot = json_object();
    bool differing = false;
    json_t *item;
    size_t i;

    (void)arg;
    json_array_foreach(at(&list, "containers"), i, item)
    {
        json_object_set_new(all, member(item, "id"), json_true());
        if (strcmp(member(item, "workspace_access"), "none") != 0)
            json_object_set_new(with_slot, member(item, "id"), json_true());
        differing = differing || container_differs(item);
    }
    reply_done(&list);
    differing = differing || directory_differs("guests", all) ||
                directory_differs("slots", with_slot) || engine_differs(all) || executions_differ();
    return !differing;
}

/* Wait until all that is there is what GET containers tells of. */
static void
assert_settled(void)
{
    for (int i = 0; i < PATIENCE_SECONDS * 20; i++) {
        if (is_settled(NULL))
            return;
        usleep(50000);
    }
    fail_msg("after the attack: %s", difference);
}

/* Work in the neighbour's sandbox has to go on. */
static void
assert_neighbour(const char *command, const char *expected)
{
    struct reply r = execute(NEIGHBOUR, "{s:s, s:s, s:s}", "agent_id", NEIGHBOUR_AGENT,
                             "session_id", "neighbour", "command", command);

    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), expected);
    reply_done(&r);
}

static void
assert_status_answers(void)
{
    struct reply r = fetch(ADMIN, "/status");

    assert_true(bool_at(&r, "docker_available"));
    reply_done(&r);
}

int
world_note(void **state)
{
    char workspace[PATH_MAX];

    (void)state;
    assert_neighbour("echo here", "here\n"); /* makes the workspace */
    snprintf(workspace, sizeof(workspace), "workspaces/%s/%s", NEIGHBOUR, NEIGHBOUR_AGENT);
    canaries_set(workspace);
    return 0;
}

int
world_check(void **state)
{
    const char *finding = canaries_take();

    (void)state;
    if (finding)
        fail_msg("after the attack: %s", finding);
    assert_settled();
    assert_neighbour("echo still here", "still here\n");
    assert_status_answers();
    return 0;
}

int
world_done(void **state)
{
    remove_containers(state);
    assert_settled();
    ledger_assert_whole();
    return 0;
}
