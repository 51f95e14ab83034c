/*
 * Snapshots and rollbacks that are cut off: whatever dies, and whenever, the container is
 * afterwards as it was before or as it was to become, and nothing is left over.
 */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/snap.h"
#include "tests/api/suite.h"

enum { PATIENCE_SECONDS = 90, STEPS = 7, SNAPSHOT_MS = 420, ROLLBACK_MS = 1400 };

static void
wait_ms(int ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    nanosleep(&time, NULL);
}

static bool
service_answers(void *arg)
{
    struct reply r = call(ALICE, "GET", "/status", NULL, NULL);
    bool answers = r.status == 200 && bool_at(&r, "docker_available");

    (void)arg;
    reply_done(&r);
    return answers;
}

/* Kill every process of @role, and wait until there are as many again. */
static void
kill_role(const char *role)
{
    struct pids pids = host_role(role);

    assert_true(pids.count > 0);
    for (size_t i = 0; i < pids.count; i++)
        kill(pids.list[i], SIGKILL);
    for (size_t i = 0; i < pids.count; i++)
        host_wait_role(role, pids.count, pids.list[i]);
    wait_until(service_answers, NULL, PATIENCE_SECONDS, "the service to answer");
}

/* Whether the engine has exactly what the API shows. */
static bool
nothing_is_left_over(void *arg)
{
    (void)arg;
    host_nudge_janitor();
    return snap_spare_containers() == 0 && snap_images() == snap_count();
}

static void
settle(void)
{
    wait_until(nothing_is_left_over, NULL, PATIENCE_SECONDS, "the janitor to be done");
}

/* Taking turns, each lives long enough between two kills to be started again at once. */
static const char *const roles[] = {"broker", "worker"};

/* POST @path, and kill @role after @ms. Returns the status of the answer, 0 for none. */
static long
post_and_kill(const char *path, const char *role, int ms)
{
    struct flight *f = flight_post(ALICE, path, "{}");
    struct reply r;
    long status;

    wait_ms(ms);
    kill_role(role);
    r = flight_land(f);
    status = r.status;
    print_message("%s killed after %d ms: %ld\n", role, ms, status);
    reply_done(&r);
    return status;
}

static void
a_snapshot_that_is_cut_off_is_whole_or_not_there(void **state)
{
    (void)state;
    snap_prints("dd if=/dev/urandom of=$HOME/noise bs=1024 count=5120 2>/dev/null; echo 1 > ~/file",
                "");
    for (int ms = 0; ms <= SNAPSHOT_MS; ms += SNAPSHOT_MS / STEPS)
        for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
            size_t before = snap_count();
            long status = post_and_kill(snap.list, roles[i], ms);
            struct reply list;

            settle();
            list = fetch(ALICE, "%s", snap.list);
            if (status == 201)
                assert_int_equal(json_array_size(at(&list, "snapshots")), before + 1);
            if (json_array_size(at(&list, "snapshots")) > before) {
                struct reply r;

                assert_true(number_at(&list, "snapshots.0.size_mb") >= 5);
                r = act(ALICE, "DELETE", "%s/%s", snap.list, text_at(&list, "snapshots.0.id"));
                assert_status(&r, 204);
                reply_done(&r);
            }
            reply_done(&list);
            snap_prints("cat ~/file", "1\n");
        }
}

static void
a_rollback_that_is_cut_off_is_done_or_not(void **state)
{
    char id[STEP_ID_SIZE], path[256];

    (void)state;
    snap_prints("echo old > ~/file", "");
    snap_make(NULL, id);
    snprintf(path, sizeof(path), "%s/%s/rollback", snap.list, id);
    for (int ms = 0; ms <= ROLLBACK_MS; ms += ROLLBACK_MS / STEPS)
        for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
            long status;
            struct reply r;

            snap_prints("echo new > ~/file; echo more > ~/more", "");
            status = post_and_kill(path, roles[i], ms);
            settle();
            r = snap_run("cat ~/file; cat ~/more 2>/dev/null; true");
            if (strcmp(text_at(&r, "stdout"), "old\n") != 0 &&
                (status == 200 || strcmp(text_at(&r, "stdout"), "new\nmore\n") != 0))
                fail_msg("after %ld: %s", status, r.body);
            print_message("the files are %s", text_at(&r, "stdout"));
            reply_done(&r);
            settle();
        }
    snap_roll_back(id);
    snap_prints("cat ~/file; ls ~", "old\nfile\n");
}

#define snap_test(f) cmocka_unit_test_setup_teardown(f, snap_open, snap_close)

int
suite_snapshot_crashes(void)
{
    const struct CMUnitTest tests[] = {
        snap_test(a_snapshot_that_is_cut_off_is_whole_or_not_there),
        snap_test(a_rollback_that_is_cut_off_is_done_or_not),
    };

    return cmocka_run_group_tests_name("snapshot-crashes", tests, NULL, remove_containers);
}
