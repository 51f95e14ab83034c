/*
 * What a container may do, as the engine says and as is seen from inside, whichever way it came to
 * its owner: made cold, restarted, rolled back, or out of the pool.
 */
#include "tests/test.h"

#include "backend/cleanup.h"
#include "tests/api/posture.h"
#include "tests/api/snap.h"
#include "tests/api/suite.h"
#include "tests/api/warm.h"

static void
assert_posture(const char *id)
{
    json_auto_t *what = warm_inspect(id);

    posture_engine_says(what, id);
    assert_int_equal(json_object_size(posture_member(what, "Config.Volumes")), 0);
    posture_seen_inside(ALICE, id);
    posture_prints(ALICE, id, "env | grep -Ev '^(HOME|HOSTNAME|LOGNAME|PATH|PWD|SHLVL|USER|_)='",
                   "");
}

static void
made_cold(void **state)
{
    (void)state;
    assert_posture(snap.id);
}

static void
restarted(void **state)
{
    struct reply r = act(ALICE, "POST", "%s/restart", snap.path);

    (void)state;
    assert_status(&r, 200);
    reply_done(&r);
    assert_posture(snap.id);
}

static void
rolled_back(void **state)
{
    char id[STEP_ID_SIZE];

    (void)state;
    snap_make(NULL, id);
    snap_roll_back(id);
    assert_posture(snap.id);
}

static void
out_of_the_pool(void **state)
{
    long long claimed = warm_figure("claimed");
    char id[STEP_ID_SIZE];

    (void)state;
    make_container(ALICE,
                   "{\"agent_id\": \"pooled\", \"session_id\": \"s\", \"tier\": \"Sandbox\"}", id);
    assert_int_equal(warm_figure("claimed"), claimed + 1);
    assert_posture(id);
}

int
suite_posture(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(made_cold, snap_open, snap_close),
        cmocka_unit_test_setup_teardown(restarted, snap_open, snap_close),
        cmocka_unit_test_setup_teardown(rolled_back, snap_open, snap_close),
        cmocka_unit_test_setup_teardown(out_of_the_pool, warm_open, warm_close),
    };

    return cmocka_run_group_tests_name("posture", tests, NULL, remove_containers);
}
