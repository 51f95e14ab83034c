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
#include "backend/id.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/api/snap.h"
#include "tests/api/suite.h"

enum { PATIENCE_SECONDS = 90, KILLS = 6, LIFE_MS = 10500 };

/* Whom the kills hit in turn. */
static const char *const roles[] = {"broker", "worker"};

/* When each was back after its last death; who lives for LIFE_MS is started again at once. */
static int64_t back_ms[ARRAY_LEN(roles)];

static void
wait_ms(int64_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    if (ms > 0)
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

/* Kill every process of roles[@who], and wait until there are as many again. */
static void
kill_role(size_t who)
{
    struct pids pids = host_role(roles[who]);

    assert_true(pids.count > 0);
    for (size_t i = 0; i < pids.count; i++)
        kill(pids.list[i], SIGKILL);
    for (size_t i = 0; i < pids.count; i++)
        host_wait_role(roles[who], pids.count, pids.list[i]);
    wait_until(service_answers, NULL, PATIENCE_SECONDS, "the service to answer");
    back_ms[who] = time_monotonic_ms();
}

/* Whether the engine has exactly what the API shows. */
static bool
nothing_is_left_over(void *arg)
{
    (void)arg;
    if (snap_spare_containers() == 0 && snap_images() == snap_count())
        return true;
    host_nudge_janitor();
    return false;
}

static void
settle(void)
{
    wait_until(nothing_is_left_over, NULL, PATIENCE_SECONDS, "the janitor to be done");
}

/* How long POST @path takes when nothing disturbs it. Returns milliseconds. */
static int64_t
time_of(const char *path, long status)
{
    int64_t start_ms = time_monotonic_ms();
    struct reply r = call(ALICE, "POST", path, "{}", NULL);

    assert_status(&r, status);
    reply_done(&r);
    return time_monotonic_ms() - start_ms;
}

/*
 * POST @path, which takes @whole_ms, and kill somebody in the middle: later with each @turn, of
 * KILLS. Returns the status of the answer, 0 for none.
 */
static long
post_and_kill(const char *path, int64_t whole_ms, int turn)
{
    size_t who = (size_t)turn % ARRAY_LEN(roles);
    int64_t ms = whole_ms * (2 * turn + 1) / (2 * KILLS);
    struct flight *f;
    struct reply r;
    long status;

    if (back_ms[who])
        wait_ms(back_ms[who] + LIFE_MS - time_monotonic_ms());
    f = flight_post(ALICE, path, "{}");
    wait_ms(ms);
    kill_role(who);
    r = flight_land(f);
    status = r.status;
    print_message("%s killed after %d of %d ms: %ld\n", roles[who], (int)ms, (int)whole_ms, status);
    reply_done(&r);
    return status;
}

static void
a_snapshot_that_is_cut_off_is_whole_or_not_there(void **state)
{
    int64_t whole_ms;

    (void)state;
    snap_prints("dd if=/dev/urandom of=$HOME/noise bs=1024 count=5120 2>/dev/null; echo 1 > ~/file",
                "");
    whole_ms = time_of(snap.list, 201);
    for (int turn = 0; turn < KILLS; turn++) {
        size_t before = snap_count();
        long status = post_and_kill(snap.list, whole_ms, turn);
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
    int64_t whole_ms;

    (void)state;
    snap_prints("echo old > ~/file", "");
    snap_make(NULL, id);
    snprintf(path, sizeof(path), "%s/%s/rollback", snap.list, id);
    whole_ms = time_of(path, 200);
    for (int turn = 0; turn < KILLS; turn++) {
        long status;
        struct reply r;

        snap_prints("echo new > ~/file; echo more > ~/more", "");
        status = post_and_kill(path, whole_ms, turn);
        settle();
        r = snap_run("cat ~/file; cat ~/more 2>/dev/null; true");
        if (strcmp(text_at(&r, "stdout"), "old\n") != 0 &&
            (status == 200 || strcmp(text_at(&r, "stdout"), "new\nmore\n") != 0))
            fail_msg("after %ld: %s", status, r.body);
        print_message("the files are %s", text_at(&r, "stdout"));
        reply_done(&r);
    }
    settle();
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
