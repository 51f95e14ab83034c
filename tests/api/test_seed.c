/*
 * The whole of what the user asked for (seed-sandbox-api.txt), line by line: one test for each,
 * named after it. What each of them has to withstand is tested in the other groups; this one shows
 * that nothing is missing.
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { JOB_SECONDS = 60 };

/* A running container of alice's. */
static void
make_one(const char *session, char id[STEP_ID_SIZE])
{
    char body[160];

    snprintf(body, sizeof(body), "{\"agent_id\": \"seed\", \"session_id\": \"%s\"}", session);
    make_container(ALICE, body, id);
}

/* Run @command in the container; returns what it printed, which the caller frees. */
static char *
run_here(const char *id, const char *command)
{
    char path[STEP_PATH_SIZE];
    json_auto_t *body = json_pack("{s:s}", "command", command);
    _cleanup_(freep) char *text = json_dumps(body, 0);
    struct reply r;
    char *out;

    snprintf(path, sizeof(path), "/containers/%s/exec", id);
    r = call(ALICE, "POST", path, text, NULL);
    assert_status(&r, 200);
    out = strdup(text_at(&r, "stdout"));
    reply_done(&r);
    return out;
}

static void
assert_prints(const char *id, const char *command, const char *expected)
{
    _cleanup_(freep) char *out = run_here(id, command);

    assert_string_equal(out, expected);
}

static void
all_endpoints_require_authentication(void **state)
{
    static const char *const paths[] = {
        "/config",    "/status",        "/containers", "/containers/x",
        "/templates", "/audit",         "/pool",       "/containers/x/snapshots",
        "/gpu",       "/audit/summary",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct reply r = call(NULL, "GET", paths[i], NULL, NULL);

        assert_problem(&r, 401, "unauthenticated");
        assert_string_not_equal(r.authenticate, "");
        reply_done(&r);
    }
}

static void
get_sandbox_config(void **state)
{
    struct reply r = fetch(ADMIN, "/config");
    json_auto_t *seed = json_loads(
        "{\"mode\": \"selective\", \"scope_mode\": \"session\", \"workspace_access\": \"rw\","
        " \"resource_limits\": {\"cpu_cores\": 1.0, \"memory_mb\": 512, \"disk_mb\": 2048,"
        " \"max_processes\": 50, \"timeout_seconds\": 300}, \"network_policy\": {\"enabled\": "
        "false,"
        " \"allowed_domains\": [], \"blocked_domains\": []}}",
        0, NULL);

    (void)state;
    assert_true(json_equal(r.json, seed));
    reply_done(&r);
}

static void
update_sandbox_config(void **state)
{
    struct reply r = call(ADMIN, "PUT", "/config",
                          "{ \"mode\": \"all\", \"network_policy\": { \"enabled\": true,"
                          " \"allowed_domains\": [\"api.github.com\", \"registry.npmjs.org\"] }}",
                          NULL);
    struct reply again = fetch(ADMIN, "/config");
    struct reply back;

    (void)state;
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "mode"), "all");
    assert_string_equal(text_at(&r, "network_policy.allowed_domains.1"), "registry.npmjs.org");
    assert_true(json_equal(r.json, again.json));
    back = call(ADMIN, "PUT", "/config", "{\"mode\": null, \"network_policy\": null}", NULL);
    assert_status(&back, 200);
    reply_done(&r);
    reply_done(&again);
    reply_done(&back);
}

/* PUT the member @name of the config to each of @values, then back to its default. */
static void
assert_options(const char *name, const char *const *values, size_t count)
{
    char body[128];
    struct reply r;

    for (size_t i = 0; i < count; i++) {
        snprintf(body, sizeof(body), "{\"%s\": \"%s\"}", name, values[i]);
        r = call(ADMIN, "PUT", "/config", body, NULL);
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, name), values[i]);
        reply_done(&r);
    }
    snprintf(body, sizeof(body), "{\"%s\": null}", name);
    r = call(ADMIN, "PUT", "/config", body, NULL);
    assert_status(&r, 200);
    reply_done(&r);
}

static void
config_mode_is_off_selective_or_all(void **state)
{
    static const char *const values[] = {"off", "selective", "all"};

    (void)state;
    assert_options("mode", values, ARRAY_LEN(values));
}

static void
config_scope_mode_is_session_agent_or_shared(void **state)
{
    static const char *const values[] = {"session", "agent", "shared"};

    (void)state;
    assert_options("scope_mode", values, ARRAY_LEN(values));
}

static void
config_workspace_access_is_none_ro_or_rw(void **state)
{
    static const char *const values[] = {"none", "ro", "rw"};

    (void)state;
    assert_options("workspace_access", values, ARRAY_LEN(values));
}

static void
get_sandbox_status(void **state)
{
    struct reply before = fetch(ALICE, "/status");
    long long containers = int_at(&before, "active_containers");
    long long executions = int_at(&before, "total_executions_today");
    struct reply after;
    char id[STEP_ID_SIZE];

    (void)state;
    assert_true(bool_at(&before, "docker_available"));
    assert_true(strchr(text_at(&before, "docker_version"), '.') != NULL);
    make_one("status", id);
    assert_prints(id, "echo", "\n");
    after = fetch(ALICE, "/status");
    assert_int_equal(int_at(&after, "active_containers"), containers + 1);
    assert_int_equal(int_at(&after, "total_executions_today"), executions + 1);
    reply_done(&before);
    reply_done(&after);
}

static void
list_active_containers(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_one("list", id);
    assert_prints(id, "echo", "\n");
    r = fetch(ALICE, "/containers?agent_id=seed");
    assert_string_equal(text_at(&r, "containers.0.id"), id);
    assert_string_equal(text_at(&r, "containers.0.agent_id"), "seed");
    assert_string_equal(text_at(&r, "containers.0.scope"), "session");
    assert_string_equal(text_at(&r, "containers.0.status"), "running");
    assert_time(text_at(&r, "containers.0.created_at"));
    assert_true(number_at(&r, "containers.0.cpu_percent") >= 0);
    assert_true(number_at(&r, "containers.0.memory_mb") > 0);
    assert_int_equal(int_at(&r, "containers.0.executions_count"), 1);
    reply_done(&r);
}

static void
get_container_details(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_one("details", id);
    r = fetch(ALICE, "/containers/%s", id);
    assert_string_equal(text_at(&r, "session_id"), "details");
    assert_int_equal(int_at(&r, "limits.memory_mb"), 512);
    reply_done(&r);
}

static void
stop_a_container(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_one("stop", id);
    r = act(ALICE, "POST", "/containers/%s/stop", id);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "status"), "stopped");
    reply_done(&r);
}

static void
restart_a_container(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_one("restart", id);
    assert_prints(id, "echo kept > ~/file; sleep 1000 & echo", "\n");
    r = act(ALICE, "POST", "/containers/%s/restart", id);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "status"), "running");
    assert_prints(id, "cat ~/file", "kept\n");
    reply_done(&r);
}

static void
destroy_a_container_permanently_with_its_data(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_one("destroy", id);
    r = act(ALICE, "DELETE", "/containers/%s", id);
    assert_status(&r, 204);
    reply_done(&r);
    r = act(ALICE, "GET", "/containers/%s", id);
    assert_problem(&r, 404, "not_found");
    assert_false(host_engine_has(id));
    reply_done(&r);
}

static void
cleanup_removes_idle_containers(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_one("idle", id);
    r = call(ALICE, "POST", "/containers/cleanup", "{\"idle_seconds\": 0, \"dry_run\": true}",
             NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "removed.0.reason"), "idle");
    assert_true(host_engine_has(id));
    reply_done(&r);
    r = call(ALICE, "POST", "/containers/cleanup", "{\"idle_seconds\": 0}", NULL);
    assert_status(&r, 200);
    assert_true(number_at(&r, "freed_mb") >= 0);
    assert_false(host_engine_has(id));
    reply_done(&r);
}

static void
cleanup_removes_orphaned_containers(void **state)
{
    char id[STEP_ID_SIZE], name[128], path[256];
    struct reply r;

    (void)state;
    make_one("orphaned", id);
    host_engine_name(id, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s?force=1", name);
    r = host_engine("DELETE", path, NULL);
    assert_int_equal(r.status, 204);
    reply_done(&r);
    r = call(ALICE, "POST", "/containers/cleanup", "{\"idle_seconds\": 86400}", NULL);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "removed.0.id"), id);
    assert_string_equal(text_at(&r, "removed.0.reason"), "orphaned");
    reply_done(&r);
}

/* Take a snapshot of the container. */
static void
take_snapshot(const char *id, const char *name, char sid[STEP_ID_SIZE])
{
    char path[STEP_PATH_SIZE], body[96];
    struct reply r;

    snprintf(path, sizeof(path), "/containers/%s/snapshots", id);
    snprintf(body, sizeof(body), "{\"name\": \"%s\"}", name);
    r = call(ALICE, "POST", path, body, NULL);
    assert_status(&r, 201);
    assert_string_equal(text_at(&r, "container_id"), id);
    snprintf(sid, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
}

static void
snapshots_save_and_list_a_containers_state(void **state)
{
    char id[STEP_ID_SIZE], sid[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_one("save", id);
    assert_prints(id, "head -c 3000000 /dev/urandom > ~/big; echo", "\n");
    take_snapshot(id, "before", sid);
    r = fetch(ALICE, "/containers/%s/snapshots", id);
    assert_int_equal(json_array_size(at(&r, "snapshots")), 1);
    assert_string_equal(text_at(&r, "snapshots.0.id"), sid);
    assert_string_equal(text_at(&r, "snapshots.0.name"), "before");
    assert_time(text_at(&r, "snapshots.0.created_at"));
    assert_true(number_at(&r, "snapshots.0.size_mb") >= 2.5);
    reply_done(&r);
}

static void
snapshots_rollback_restores_a_containers_state(void **state)
{
    char id[STEP_ID_SIZE], sid[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_one("restore", id);
    assert_prints(id, "echo kept > ~/kept; echo", "\n");
    take_snapshot(id, "point", sid);
    assert_prints(id, "rm ~/kept; touch ~/added; echo", "\n");
    r = act(ALICE, "POST", "/containers/%s/snapshots/%s/rollback", id, sid);
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "id"), id);
    assert_string_equal(text_at(&r, "status"), "running");
    assert_prints(id, "ls ~; cat ~/kept", "kept\nkept\n");
    reply_done(&r);
}

static void
snapshots_are_deleted(void **state)
{
    char id[STEP_ID_SIZE], sid[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_one("delete", id);
    take_snapshot(id, "gone", sid);
    r = act(ALICE, "DELETE", "/containers/%s/snapshots/%s", id, sid);
    assert_status(&r, 204);
    reply_done(&r);
    r = fetch(ALICE, "/containers/%s/snapshots", id);
    assert_int_equal(json_array_size(at(&r, "snapshots")), 0);
    reply_done(&r);
}

static void
templates_are_listed(void **state)
{
    struct reply r = fetch(ALICE, "/templates");
    json_t *item;
    size_t i;
    bool base = false;

    (void)state;
    json_array_foreach(at(&r, "templates"), i, item)
    {
        struct reply one = {.json = item, .body = r.body};

        if (strcmp(text_at(&one, "id"), "base") != 0)
            continue;
        base = true;
        assert_string_equal(text_at(&one, "status"), "ready");
        assert_string_equal(text_at(&one, "source"), "yaml");
        assert_true(number_at(&one, "size_mb") > 0);
        assert_true(bool_at(&one, "default"));
    }
    assert_true(base);
    reply_done(&r);
}

/* Whether the job of a template has ended. */
static bool
job_ended(void *arg)
{
    const char *name = arg;
    struct reply r = fetch(ADMIN, "/templates/%s", name);
    const char *status = text_at(&r, "status");
    bool ended = strcmp(status, "building") != 0 && strcmp(status, "pulling") != 0;

    reply_done(&r);
    return ended;
}

static void
templates_are_made_built_and_deleted(void **state)
{
    static char name[] = "seed-build";
    struct reply r =
        call(ADMIN, "POST", "/templates",
             "{\"name\": \"seed-build\", \"dockerfile\": \"FROM sandbox-base\\nCOPY hello"
             " /hello\\nRUN echo built >> /hello\\n\", \"files\": {\"hello\": \"hi\\n\"}}",
             NULL);

    (void)state;
    assert_status(&r, 201);
    assert_string_equal(text_at(&r, "status"), "absent");
    reply_done(&r);
    r = act(ADMIN, "POST", "/templates/%s/build", name);
    assert_status(&r, 202);
    assert_string_equal(text_at(&r, "status"), "building");
    reply_done(&r);
    wait_until(job_ended, name, JOB_SECONDS, "the end of a build");
    r = fetch(ADMIN, "/templates/%s", name);
    assert_string_equal(text_at(&r, "status"), "ready");
    reply_done(&r);
    r = execute(ALICE, "{s:s, s:s}", "template", name, "command", "cat /hello");
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "hi\nbuilt\n");
    reply_done(&r);
    r = act(ADMIN, "DELETE", "/templates/%s", name);
    assert_status(&r, 204);
    reply_done(&r);
    r = act(ADMIN, "GET", "/templates/%s", name);
    assert_problem(&r, 404, "not_found");
    reply_done(&r);
}

/* The registry does not exist, so that the pull is a real one that fails; test_pulls has a real
 * one. */
static void
templates_are_pulled(void **state)
{
    static char name[] = "seed-pull";
    struct reply r =
        call(ADMIN, "POST", "/templates",
             "{\"name\": \"seed-pull\", \"image\": \"127.0.0.1:1/nobody/nothing:here\"}", NULL);

    (void)state;
    assert_status(&r, 201);
    reply_done(&r);
    r = act(ADMIN, "POST", "/templates/%s/pull", name);
    assert_status(&r, 202);
    assert_string_equal(text_at(&r, "status"), "pulling");
    reply_done(&r);
    wait_until(job_ended, name, JOB_SECONDS, "the end of a pull");
    r = fetch(ADMIN, "/templates/%s", name);
    assert_string_equal(text_at(&r, "status"), "failed");
    assert_false(null_at(&r, "error"));
    reply_done(&r);
    r = act(ADMIN, "DELETE", "/templates/%s", name);
    assert_status(&r, 204);
    reply_done(&r);
}

static void
audit_logs_are_queried(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r, out;

    (void)state;
    make_one("audit", id);
    assert_prints(id, "echo to be found", "to be found\n");
    r = fetch(ALICE, "/audit?container_id=%s", id);
    assert_int_equal(json_array_size(at(&r, "entries")), 1);
    assert_string_equal(text_at(&r, "entries.0.command"), "echo to be found");
    assert_string_equal(text_at(&r, "entries.0.status"), "completed");
    out = fetch(ALICE, "/audit/%s/output", text_at(&r, "entries.0.id"));
    assert_string_equal(text_at(&out, "stdout"), "to be found\n");
    reply_done(&r);
    reply_done(&out);
}

static void
audit_summary_counts_what_ran(void **state)
{
    struct reply before = fetch(ALICE, "/audit/summary");
    struct reply ran = execute(ALICE, "{s:s, s:s}", "agent_id", "summed", "command", "exit 3");
    struct reply after = fetch(ALICE, "/audit/summary");

    (void)state;
    assert_status(&ran, 200);
    assert_int_equal(int_at(&after, "total"), int_at(&before, "total") + 1);
    assert_int_equal(int_at(&after, "by_agent.summed"), 1);
    assert_true(int_at(&after, "by_status.failed") >= 1);
    assert_true(int_at(&after, "duration_ms.max") >= int_at(&after, "duration_ms.p50"));
    reply_done(&before);
    reply_done(&ran);
    reply_done(&after);
}

static void
audit_cleanup_deletes_old_entries(void **state)
{
    struct reply r = call(ADMIN, "POST", "/audit/cleanup", "{\"older_than_days\": 30}", NULL);

    (void)state;
    assert_status(&r, 200);
    assert_int_equal(int_at(&r, "deleted"), 0);
    assert_true(number_at(&r, "freed_mb") >= 0);
    reply_done(&r);
}

static void
pool_is_shown_and_drained(void **state)
{
    struct reply r = fetch(ADMIN, "/pool");
    struct reply drained = call(ADMIN, "POST", "/pool/drain", "{}", NULL);

    (void)state;
    assert_false(bool_at(&r, "enabled"));
    assert_int_equal(int_at(&r, "ready"), 0);
    assert_int_equal(int_at(&r, "target"), 0);
    assert_status(&drained, 200);
    assert_int_equal(int_at(&drained, "drained"), 0);
    reply_done(&r);
    reply_done(&drained);
}

static void
gpu_resources_are_listed(void **state)
{
    struct reply r = fetch(ALICE, "/gpu");

    (void)state;
    assert_int_equal(bool_at(&r, "available"), json_array_size(at(&r, "gpus")) > 0);
    reply_done(&r);
}

static void
default_limits_by_permission_tier(void **state)
{
    static const struct {
        const char *name;
        double cores;
        int memory_mb, disk_mb, timeout_seconds;
        const char *network;
    } tiers[] = {
        {"Sandbox", 0.25, 128, 512, 60, "None"},
        {"Restricted", 0.5, 256, 1024, 120, "None"},
        {"Standard", 1.0, 512, 2048, 300, "Restricted"},
        {"Elevated", 2.0, 1024, 5120, 600, "Full"},
        {"Unrestricted", 4.0, 2048, 10240, 1800, "Full"},
    };
    struct reply r = fetch(ALICE, "/tiers");

    (void)state;
    assert_int_equal(json_array_size(at(&r, "tiers")), ARRAY_LEN(tiers));
    for (size_t i = 0; i < ARRAY_LEN(tiers); i++) {
        struct reply one = {.json = json_array_get(at(&r, "tiers"), i), .body = r.body};

        assert_string_equal(text_at(&one, "name"), tiers[i].name);
        assert_true(number_at(&one, "cpu_cores") == tiers[i].cores);
        assert_int_equal(int_at(&one, "memory_mb"), tiers[i].memory_mb);
        assert_int_equal(int_at(&one, "disk_mb"), tiers[i].disk_mb);
        assert_int_equal(int_at(&one, "timeout_seconds"), tiers[i].timeout_seconds);
        assert_string_equal(text_at(&one, "network"), tiers[i].network);
    }
    reply_done(&r);
}

int
suite_seed(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_endpoints_require_authentication),
        cmocka_unit_test(get_sandbox_config),
        cmocka_unit_test(update_sandbox_config),
        cmocka_unit_test(config_mode_is_off_selective_or_all),
        cmocka_unit_test(config_scope_mode_is_session_agent_or_shared),
        cmocka_unit_test(config_workspace_access_is_none_ro_or_rw),
        cmocka_unit_test(get_sandbox_status),
        cmocka_unit_test_teardown(list_active_containers, remove_containers),
        cmocka_unit_test(get_container_details),
        cmocka_unit_test(stop_a_container),
        cmocka_unit_test(restart_a_container),
        cmocka_unit_test_teardown(destroy_a_container_permanently_with_its_data, remove_containers),
        cmocka_unit_test_teardown(cleanup_removes_idle_containers, remove_containers),
        cmocka_unit_test_teardown(cleanup_removes_orphaned_containers, remove_containers),
        cmocka_unit_test(snapshots_save_and_list_a_containers_state),
        cmocka_unit_test(snapshots_rollback_restores_a_containers_state),
        cmocka_unit_test_teardown(snapshots_are_deleted, remove_containers),
        cmocka_unit_test(templates_are_listed),
        cmocka_unit_test(templates_are_made_built_and_deleted),
        cmocka_unit_test(templates_are_pulled),
        cmocka_unit_test(audit_logs_are_queried),
        cmocka_unit_test(audit_summary_counts_what_ran),
        cmocka_unit_test(audit_cleanup_deletes_old_entries),
        cmocka_unit_test(pool_is_shown_and_drained),
        cmocka_unit_test(gpu_resources_are_listed),
        cmocka_unit_test(default_limits_by_permission_tier),
    };

    return cmocka_run_group_tests_name("seed", tests, NULL, remove_containers);
}
