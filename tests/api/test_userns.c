/*
 * An engine that remaps users (dockerd's userns-remap): root of a container is nobody on the host,
 * and a workspace's files are the owner's on both sides. For a server with USERNS=1, see
 * tests/with-server; groups that show what works alike run there as well, see Makefile.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/snap.h"
#include "tests/api/suite.h"
#include "tests/api/warm.h"

enum { OWNER_UID_FIRST = 200000 }; /* uid_first of the server's sandbox.yaml */

/* The only line of /proc/PID/uid_map of PID 1 of @id: how many uids it has from which one on. */
static void
read_map(const char *id, unsigned *ret_first, unsigned *ret_count, unsigned *ret_root)
{
    json_auto_t *what = warm_inspect(id);
    int pid = (int)json_integer_value(json_object_get(json_object_get(what, "State"), "Pid"));
    char path[64];
    struct stat process;
    unsigned inside = 1;
    FILE *map;

    snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
    map = fopen(path, "r");
    assert_non_null(map);
    assert_int_equal(fscanf(map, "%u %u %u", &inside, ret_first, ret_count), 3);
    assert_int_equal(fscanf(map, "%u", &inside), EOF);
    fclose(map);
    assert_int_equal(inside, 0);
    snprintf(path, sizeof(path), "/proc/%d/task", pid); /* a directory of the process's user */
    assert_int_equal(stat(path, &process), 0);
    *ret_root = process.st_uid;
}

static unsigned
uid_inside(const char *user, const char *agent)
{
    struct reply r = execute(user, "{s:s, s:s, s:s}", "agent_id", agent, "session_id", "1",
                             "command", "touch /workspace/made && id -u");
    unsigned uid;

    assert_status(&r, 200);
    uid = (unsigned)strtoul(text_at(&r, "stdout"), NULL, 10);
    reply_done(&r);
    return uid;
}

static struct stat
stat_made(const char *user, const char *agent)
{
    char name[128], path[STEP_PATH_SIZE];
    struct stat st;

    snprintf(name, sizeof(name), "workspaces/%s/%s/made", user, agent);
    state_path(name, path);
    assert_int_equal(stat(path, &st), 0);
    return st;
}

static void
root_of_a_container_is_nobody_on_the_host(void **state)
{
    unsigned first, count, root, user = uid_inside(ALICE, "snap");

    (void)state;
    read_map(snap.id, &first, &count, &root);
    assert_true(first > 0);
    assert_int_equal(root, first);
    assert_true(user >= 10000 && user < count);
}

static void
a_workspace_is_its_owners_on_the_host_and_inside(void **state)
{
    struct stat made;

    (void)state;
    snap_prints("touch /workspace/made && test $(stat -c %u /workspace/made) = $(id -u) && "
                "test $(stat -c %g /workspace/made) = $(id -g) && echo mine",
                "mine\n");
    made = stat_made(ALICE, "snap");
    assert_true(made.st_uid >= OWNER_UID_FIRST);
    assert_int_equal(made.st_gid, made.st_uid);
    assert_int_equal(host_shell("cd \"$SANDBOX_STATE/workspaces/alice/snap\" && umask 077 && "
                                "echo given >given && chown %u:%u given && echo root >roots",
                                made.st_uid, made.st_uid),
                     0);
    snap_prints("cat given; cat roots 2>/dev/null || echo refused; rm -f roots given; "
                "chown 0 made 2>/dev/null || echo kept",
                "given\nrefused\nkept\n");
}

static void
every_owner_has_a_uid_of_their_own(void **state)
{
    unsigned alice = uid_inside(ALICE, "own"), bob = uid_inside(BOB, "own");

    (void)state;
    assert_int_not_equal(alice, bob);
    assert_int_not_equal(stat_made(ALICE, "own").st_uid, stat_made(BOB, "own").st_uid);
}

static void
a_container_of_the_pool_is_its_owners(void **state)
{
    long long claimed = warm_figure("claimed");
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:s}", "agent_id", "pooled", "session_id", "1",
                             "tier", "Sandbox", "command",
                             "touch /workspace/made ~/made && stat -c %u /workspace/made ~/made");
    unsigned in_workspace = 0, in_home = 1;

    (void)state;
    assert_status(&r, 200);
    assert_int_equal(warm_figure("claimed"), claimed + 1);
    assert_int_equal(sscanf(text_at(&r, "stdout"), "%u %u", &in_workspace, &in_home), 2);
    assert_int_equal(in_workspace, in_home);
    reply_done(&r);
    assert_true(stat_made(ALICE, "pooled").st_uid >= OWNER_UID_FIRST);
}

int
suite_userns(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(root_of_a_container_is_nobody_on_the_host, snap_open,
                                        snap_close),
        cmocka_unit_test_setup_teardown(a_workspace_is_its_owners_on_the_host_and_inside, snap_open,
                                        snap_close),
        cmocka_unit_test(every_owner_has_a_uid_of_their_own),
        cmocka_unit_test_setup_teardown(a_container_of_the_pool_is_its_owners, warm_open,
                                        warm_close),
    };

    return cmocka_run_group_tests_name("userns", tests, NULL, remove_containers);
}
