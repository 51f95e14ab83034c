/* Runtimes that the engine does not have, and versions with known faults: said, and refused. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "backend/floors.h"
#include "backend/store/store.h"
#include "tests/api/host.h"
#include "tests/api/runtimes.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"
#include "tests/api/warned.h"

static size_t
count_in_engine(void)
{
    struct reply r = host_engine("GET", "/containers/json?all=1", NULL);
    size_t count = json_array_size(r.json);

    assert_int_equal(r.status, 200);
    reply_done(&r);
    return count;
}

static void
a_runtime_that_is_missing_is_refused_at_run(void **state)
{
    struct reply r;
    char id[STEP_ID_SIZE];

    (void)state;
    assert_false(warned_of("nosuch"));
    tier_runtime("nosuch");
    r = execute(ALICE, "{s:s, s:s}", "command", "true", "tier", "Sandbox");
    assert_problem(&r, 409, "conflict");
    assert_non_null(strstr(text_at(&r, "detail"), "'nosuch'"));
    reply_done(&r);
    r = call(ALICE, "POST", "/containers", "{\"tier\": \"Sandbox\", \"session_id\": \"s\"}", NULL);
    assert_problem(&r, 409, "conflict");
    reply_done(&r);
    assert_int_equal(count_in_engine(), 0);
    assert_true(warned_of("the tier 'Sandbox' in tiers.yaml names the runtime 'nosuch'"));
    make_container(ALICE, "{\"tier\": \"Restricted\", \"session_id\": \"s\"}", id);
}

static void
a_runtime_that_is_missing_is_refused_by_check(void **state)
{
    (void)state;
    assert_int_equal(warned_check("", "docker/docker.sock"), 0);
    assert_check_says("engine: ");
    tier_runtime("nosuch");
    assert_int_equal(warned_check("", "docker/docker.sock"), 1);
    assert_check_says("the tier 'Sandbox' in tiers.yaml names the runtime 'nosuch'");
    assert_int_equal(warned_check("", "no-such-socket"), 0);
    assert_check_says("warning: unix://");
    assert_check_says("tiers' runtimes are not checked");
}

/* What ran before the tier named another runtime is not what it promises now. */
static void
a_container_of_the_former_runtime_is_not_used_again(void **state)
{
    static const char body[] = "{\"command\": \"true\", \"tier\": \"Sandbox\","
                               " \"agent_id\": \"runtimes\", \"session_id\": \"s\"}";
    struct reply r = call(ALICE, "POST", "/execute", body, NULL);

    (void)state;
    assert_status(&r, 200);
    reply_done(&r);
    tier_runtime("nosuch");
    r = call(ALICE, "POST", "/execute", body, NULL);
    assert_problem(&r, 409, "conflict");
    reply_done(&r);
}

static void
a_runtime_that_the_engine_gets_is_used_at_once(void **state)
{
    struct reply r;

    (void)state;
    tier_runtime("other");
    r = execute(ALICE, "{s:s, s:s}", "command", "true", "tier", "Sandbox");
    assert_problem(&r, 409, "conflict");
    reply_done(&r);
    engine_settings("{\"runtimes\": {\"other\": {\"path\": \"runc\"}}}", "other", 1);
    r = execute(ALICE, "{s:s, s:s}", "command", "echo ran", "tier", "Sandbox");
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "ran\n");
    reply_done(&r);
    assert_false(warned_of("'other'"));
    engine_settings("{\"runtimes\": {}}", "other", 0);
}

static void
status_and_check_warn_of_versions_with_known_faults(void **state)
{
    struct reply r = fetch(VIEWER, "/status");
    const struct floor_versions versions = {
        .engine = text_at(&r, "docker_version"),
        .sqlite = store_library_version(),
    };
    json_auto_t *expected = json_array();
    json_t *sentence;
    size_t i;

    (void)state;
    assert_int_equal(floors_check(&versions, expected), 0);
    assert_int_equal(warned_check("", "docker/docker.sock"), 0);
    json_array_foreach(expected, i, sentence)
    {
        assert_true(warned_of(json_string_value(sentence)));
        assert_check_says(json_string_value(sentence));
    }
    reply_done(&r);
}

int
suite_runtimes(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_runtime_that_is_missing_is_refused_at_run, runtimes_restore),
        cmocka_unit_test_teardown(a_runtime_that_is_missing_is_refused_by_check, runtimes_restore),
        cmocka_unit_test_teardown(a_container_of_the_former_runtime_is_not_used_again,
                                  runtimes_restore),
        cmocka_unit_test_teardown(a_runtime_that_the_engine_gets_is_used_at_once, runtimes_restore),
        cmocka_unit_test(status_and_check_warn_of_versions_with_known_faults),
    };

    return cmocka_run_group_tests_name("api: runtimes", tests, NULL, NULL);
}
