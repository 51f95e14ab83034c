/* GET status, tiers and whoami. */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

static void
status_has_every_field(void **state)
{
    static const char *const readers[] = {ADMIN, ALICE, VIEWER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        struct reply r = fetch(readers[i], "/status");

        assert_members(r.json,
                       "docker_available docker_version active_containers total_executions_today "
                       "version mode uptime_seconds executions_running disk_limit storage_driver "
                       "runtimes cgroup_version full_network warnings yaml");
        assert_true(bool_at(&r, "docker_available"));
        assert_true(strtol(text_at(&r, "docker_version"), NULL, 10) > 0);
        assert_int_equal(int_at(&r, "active_containers"), 0);
        assert_true(int_at(&r, "total_executions_today") >= 0);
        assert_int_equal(int_at(&r, "executions_running"), 0);
        assert_true(text_at(&r, "version")[0] != '\0');
        assert_string_equal(text_at(&r, "mode"), "selective");
        assert_true(int_at(&r, "uptime_seconds") >= 0 && int_at(&r, "uptime_seconds") < 86400);
        assert_true(strcmp(text_at(&r, "disk_limit"), "enforced") == 0 ||
                    strcmp(text_at(&r, "disk_limit"), "monitored") == 0);
        assert_true(text_at(&r, "storage_driver")[0] != '\0');
        assert_string_equal(text_at(&r, "runtimes.0"), "runc");
        assert_true(strcmp(text_at(&r, "cgroup_version"), "1") == 0 ||
                    strcmp(text_at(&r, "cgroup_version"), "2") == 0);
        assert_members(at(&r, "yaml"), "loaded_at error");
        assert_time(text_at(&r, "yaml.loaded_at"));
        assert_true(null_at(&r, "yaml.error"));
        reply_done(&r);
    }
}

static long long
status_count(const char *user, const char *name)
{
    struct reply r = fetch(user, "/status");
    long long n = int_at(&r, name);

    reply_done(&r);
    return n;
}

static void
active_containers_are_those_that_exist(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"status\", \"scope\": \"agent\"}", id);
    assert_int_equal(status_count(ALICE, "active_containers"), 1);
    r = act(ALICE, "POST", "/containers/%s/stop", id);
    assert_status(&r, 200);
    reply_done(&r);
    assert_int_equal(status_count(ALICE, "active_containers"), 1);
    r = act(ALICE, "DELETE", "/containers/%s", id);
    assert_status(&r, 204);
    reply_done(&r);
    assert_int_equal(status_count(ALICE, "active_containers"), 0);
}

static void
executions_today_grow_by_one_with_each(void **state)
{
    long long before;

    (void)state;
    before = status_count(ALICE, "total_executions_today");
    for (int i = 1; i <= 3; i++) {
        run_in(ALICE, "status", "counted", "true");
        assert_int_equal(status_count(ALICE, "total_executions_today"), before + i);
    }
}

/* An execution that goes on, and where it is looked for. */
struct watch {
    struct pending *pending;
    long long expected;
};

static bool
as_many_run(void *arg)
{
    struct watch *w = arg;

    pending_poll(w->pending);
    return status_count(ALICE, "executions_running") == w->expected;
}

static void
running_executions_are_counted_while_they_run(void **state)
{
    struct parallel call = {
        .user = ALICE,
        .method = "POST",
        .path = "/execute",
        .body = "{\"agent_id\": \"status\", \"session_id\": \"waits\", \"command\":"
                " \"until [ -e go ]; do sleep 0.1; done; rm go\"}",
    };
    struct watch w;

    (void)state;
    run_in(ALICE, "status", "acts", "rm -f go");
    w = (struct watch){.pending = pending_start(&call), .expected = 1};
    wait_until(as_many_run, &w, 60, "one running execution in status");
    assert_int_equal(status_count(BOB, "executions_running"), 0);
    run_in(ALICE, "status", "acts", "touch go");
    pending_finish(w.pending);
    assert_status(&call.reply, 200);
    assert_int_equal(int_at(&call.reply, "exit_code"), 0);
    reply_done(&call.reply);
    assert_int_equal(status_count(ALICE, "executions_running"), 0);
}

static void
counts_are_of_what_the_caller_may_see(void **state)
{
    long long bob = status_count(BOB, "total_executions_today");
    long long admin = status_count(ADMIN, "total_executions_today");
    struct reply r;

    (void)state;
    run_in(ALICE, "status", "hers", "true");
    assert_int_equal(status_count(BOB, "total_executions_today"), bob);
    assert_int_equal(status_count(BOB, "active_containers"), 0);
    assert_int_equal(status_count(VIEWER, "active_containers"), 0);
    assert_int_equal(status_count(ADMIN, "total_executions_today"), admin + 1);
    assert_int_equal(status_count(ADMIN, "active_containers"), 1);
    r = fetch(ALICE, "/whoami");
    assert_int_equal(int_at(&r, "usage.containers"), 1);
    assert_int_equal(int_at(&r, "usage.executions_today"),
                     status_count(ALICE, "total_executions_today"));
    reply_done(&r);
    r = fetch(ADMIN, "/whoami");
    assert_int_equal(int_at(&r, "usage.containers"), 0);
    reply_done(&r);
}

static void
tiers_are_those_that_were_asked_for(void **state)
{
    static const struct {
        const char *name;
        double cpu_cores;
        int memory_mb, disk_mb, timeout_seconds;
        const char *network;
    } seed[] = {
        {"Sandbox", 0.25, 128, 512, 60, "None"},
        {"Restricted", 0.5, 256, 1024, 120, "None"},
        {"Standard", 1.0, 512, 2048, 300, "Restricted"},
        {"Elevated", 2.0, 1024, 5120, 600, "Full"},
        {"Unrestricted", 4.0, 2048, 10240, 1800, "Full"},
    };
    struct reply r = fetch(VIEWER, "/tiers");

    (void)state;
    assert_members(r.json, "tiers");
    assert_int_equal(json_array_size(at(&r, "tiers")), ARRAY_LEN(seed));
    for (size_t i = 0; i < ARRAY_LEN(seed); i++) {
        struct reply tier = {.json = json_array_get(at(&r, "tiers"), i), .body = r.body};

        assert_members(tier.json, "name cpu_cores memory_mb disk_mb max_processes timeout_seconds "
                                  "network runtime");
        assert_string_equal(text_at(&tier, "name"), seed[i].name);
        assert_true(number_at(&tier, "cpu_cores") == seed[i].cpu_cores);
        assert_int_equal(int_at(&tier, "memory_mb"), seed[i].memory_mb);
        assert_int_equal(int_at(&tier, "disk_mb"), seed[i].disk_mb);
        assert_true(int_at(&tier, "max_processes") > 0);
        assert_int_equal(int_at(&tier, "timeout_seconds"), seed[i].timeout_seconds);
        assert_string_equal(text_at(&tier, "network"), seed[i].network);
        assert_string_equal(text_at(&tier, "runtime"), "runc");
    }
    reply_done(&r);
}

static void
whoami_knows_every_user(void **state)
{
    static const struct {
        const char *user, *role, *tier, *max_tier; /* NULL: null in the answer */
        int memory_mb;                             /* of the limits that apply */
    } users[] = {
        {ADMIN, "admin", NULL, NULL, 512},
        {ALICE, "user", NULL, "Elevated", 512},
        {BOB, "user", "Sandbox", "Standard", 128},
        {VIEWER, "viewer", NULL, NULL, 512},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        struct reply r = fetch(users[i].user, "/whoami");

        assert_members(r.json, "user role group tier max_tier limits usage quotas");
        assert_members(at(&r, "limits"),
                       "cpu_cores memory_mb disk_mb max_processes timeout_seconds");
        assert_members(at(&r, "usage"), "containers executions_running executions_today");
        assert_string_equal(text_at(&r, "user"), users[i].user);
        assert_string_equal(text_at(&r, "role"), users[i].role);
        if (users[i].tier)
            assert_string_equal(text_at(&r, "tier"), users[i].tier);
        else
            assert_true(null_at(&r, "tier"));
        if (users[i].max_tier)
            assert_string_equal(text_at(&r, "max_tier"), users[i].max_tier);
        else
            assert_true(null_at(&r, "max_tier"));
        assert_int_equal(int_at(&r, "limits.memory_mb"), users[i].memory_mb);
        assert_int_equal(int_at(&r, "usage.containers"), 0);
        reply_done(&r);
    }
}

int
suite_status(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_has_every_field),
        cmocka_unit_test_teardown(active_containers_are_those_that_exist, remove_containers),
        cmocka_unit_test_teardown(executions_today_grow_by_one_with_each, remove_containers),
        cmocka_unit_test_teardown(running_executions_are_counted_while_they_run, remove_containers),
        cmocka_unit_test_teardown(counts_are_of_what_the_caller_may_see, remove_containers),
        cmocka_unit_test(tiers_are_those_that_were_asked_for),
        cmocka_unit_test(whoami_knows_every_user),
    };

    return cmocka_run_group_tests_name("api: status", tests, NULL, NULL);
}
