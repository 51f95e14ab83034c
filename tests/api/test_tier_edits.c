/*
 * An admin edits tiers and templates that containers stand on: limits follow, in the engine and the
 * rows, and what is in use cannot be taken away.
 */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/edits.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"
#include "tests/api/warm.h"
#include "tests/api/warned.h"

enum { FOLLOW_SECONDS = 60 };

#define STANDARD "{\"agent_id\": \"a\", \"session_id\": \"s\", \"tier\": \"Standard\"}"

/* Tier Standard gets other limits; GET tiers shows them. */
static void
edit_standard(const char *cpu, int memory_mb, int processes)
{
    char script[256], expected[16];

    snprintf(script, sizeof(script),
             "/^  Standard:/,/network/{s/cpu_cores: .*/cpu_cores: %s/;"
             "s/memory_mb: .*/memory_mb: %d/;s/max_processes: .*/max_processes: %d/}",
             cpu, memory_mb, processes);
    edit_by_sed("tiers.yaml", script);
    snprintf(expected, sizeof(expected), "%d", processes);
    noticed_until("/tiers", "tiers.2.max_processes", expected);
}

/* What the engine has of a container. */
static long long
engine_figure(const char *id, const char *name)
{
    json_auto_t *inspected = warm_inspect(id);

    return json_integer_value(json_object_get(json_object_get(inspected, "HostConfig"), name));
}

/* What a container is waited for to have. */
struct figures {
    const char *id;
    int memory_mb, processes;
};

static bool
has_figures(void *arg)
{
    const struct figures *f = arg;
    struct reply r = fetch(ALICE, "/containers/%s", f->id);
    bool has = int_at(&r, "limits.memory_mb") == f->memory_mb &&
               int_at(&r, "limits.max_processes") == f->processes;

    reply_done(&r);
    return has;
}

static void
await_figures(const char *id, int memory_mb, int processes)
{
    struct figures f = {id, memory_mb, processes};

    wait_until(has_figures, &f, FOLLOW_SECONDS, "the container to follow its tier");
}

/* The newest entry about the container's limits, in its owner's audit. */
static void
assert_noted(const char *id, const char *before, const char *after)
{
    struct reply r = fetch(ALICE, "/audit?container_id=%s&kind=change", id);
    json_auto_t *was = json_loads(before, 0, NULL), *is = json_loads(after, 0, NULL);
    json_t *entry = NULL;
    size_t i;

    json_array_foreach(at(&r, "entries"), i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "command")), "tier limits") == 0)
            break;
    }
    if (i == json_array_size(at(&r, "entries")))
        fail_msg("no entry: %s", r.body);
    assert_true(json_equal(json_object_get(entry, "before"), was));
    assert_true(json_equal(json_object_get(entry, "after"), is));
    reply_done(&r);
}

/* Run a command in the container of STANDARD; it has to exit with 0. */
static void
run_standard(const char *command)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:s}", "agent_id", "a", "session_id", "s",
                             "tier", "Standard", "command", command);

    assert_status(&r, 200);
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
}

/* What happens in it while 29 more processes are asked for. */
static bool
can_fork_29(void)
{
    struct reply r =
        execute(ALICE, "{s:s, s:s, s:s, s:s}", "agent_id", "a", "session_id", "s", "tier",
                "Standard", "command", "for i in $(seq 29); do sleep 5 & done; kill %1; exit 0");
    bool can;

    assert_status(&r, 200);
    can = !strstr(text_at(&r, "stderr"), "fork");
    reply_done(&r);
    return can;
}

static void
a_smaller_tier_holds_for_those_that_run(void **state)
{
    char id[STEP_ID_SIZE], later[STEP_ID_SIZE];

    (void)state;
    make_container(ALICE, STANDARD, id);
    assert_true(can_fork_29());
    edit_standard("0.5", 256, 20);
    make_container(ALICE, "{\"agent_id\": \"b\", \"session_id\": \"s\", \"tier\": \"Standard\"}",
                   later);
    assert_int_equal(engine_figure(later, "Memory"), 256 << 20);
    await_figures(id, 256, 20);
    assert_int_equal(engine_figure(id, "Memory"), 256 << 20);
    assert_int_equal(engine_figure(id, "MemorySwap"), 256 << 20);
    assert_int_equal(engine_figure(id, "CpuQuota"), 50000);
    assert_int_equal(engine_figure(id, "PidsLimit"), engine_figure(later, "PidsLimit"));
    assert_false(can_fork_29());
    assert_noted(id, "{\"cpu_cores\": 1.0, \"memory_mb\": 512, \"max_processes\": 50}",
                 "{\"cpu_cores\": 0.5, \"memory_mb\": 256, \"max_processes\": 20}");
    assert_false(warned_to(ADMIN, "without the limits"));
}

static void
a_larger_tier_too_and_one_that_is_stopped(void **state)
{
    char id[STEP_ID_SIZE], stopped[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    make_container(ALICE, STANDARD, id);
    make_container(ALICE, "{\"agent_id\": \"b\", \"session_id\": \"s\", \"tier\": \"Standard\"}",
                   stopped);
    r = act(ALICE, "POST", "/containers/%s/stop", stopped);
    assert_status(&r, 200);
    reply_done(&r);
    edit_standard("2.0", 768, 60);
    r = act(ALICE, "POST", "/containers/%s/start", stopped);
    assert_status(&r, 200);
    assert_int_equal(int_at(&r, "limits.memory_mb"), 768); /* at once, whatever the janitor does */
    reply_done(&r);
    assert_int_equal(engine_figure(stopped, "Memory"), 768 << 20);
    await_figures(id, 768, 60);
    assert_int_equal(engine_figure(id, "Memory"), 768 << 20);
    assert_int_equal(engine_figure(id, "CpuQuota"), 200000);
}

static bool
log_tells_of(void *arg)
{
    _cleanup_(freep) char *log = state_file("log/sandboxd.log");

    return log && strstr(log, arg);
}

static void
memory_in_use_is_not_taken_away(void **state)
{
    char id[STEP_ID_SIZE], kept[128];

    (void)state;
    make_container(ALICE, STANDARD, id);
    run_standard("dd if=/dev/zero of=/tmp/held bs=1M count=120");
    edit_by_sed("tiers.yaml", "/^  Standard:/,/network/{s/memory_mb: .*/memory_mb: 100/;"
                              "s/max_processes: .*/max_processes: 20/}");
    snprintf(kept, sizeof(kept), "container %s of alice keeps 512 MiB of memory", id);
    wait_until(log_tells_of, kept, FOLLOW_SECONDS, kept);
    await_figures(id, 512, 20);
    assert_int_equal(engine_figure(id, "Memory"), 512 << 20);
    assert_true(warned_to(ADMIN, id));
    assert_true(warned_to(ADMIN, "more memory is in use than the new limit"));
    assert_false(warned_to(ALICE, id));
    run_standard("test -s /tmp/held; rm /tmp/held");
    host_nudge_janitor();
    await_figures(id, 100, 20);
    assert_int_equal(engine_figure(id, "Memory"), 100 << 20);
    assert_false(warned_to(ADMIN, id));
}

static void
a_tier_in_use_is_not_taken_away(void **state)
{
    char id[STEP_ID_SIZE], said[192];
    struct reply r;

    (void)state;
    edit_by_sed("tiers.yaml", "/^tiers:/a\\  Small: {cpu_cores: 1, memory_mb: 64, disk_mb: 100,"
                              " max_processes: 9, timeout_seconds: 9, network: None}");
    noticed_until("/tiers", "tiers.0.name", "\"Small\"");
    make_container(ALICE, "{\"agent_id\": \"a\", \"session_id\": \"s\", \"tier\": \"Small\"}", id);
    edit_by_sed("tiers.yaml", "/^  Small:/d");
    snprintf(said, sizeof(said),
             "tiers.yaml: the tier 'Small' is in use: put it back, or DELETE containers/ID first "
             "(1): %s of alice",
             id);
    await_refusal(said);
    noticed_until("/tiers", "tiers.0.name", "\"Small\"");
    r = fetch(VIEWER, "/status");
    assert_string_equal(text_at(&r, "yaml.error"), "tiers.yaml");
    reply_done(&r);
    r = act(ALICE, "DELETE", "/containers/%s", id);
    assert_status(&r, 204);
    reply_done(&r);
    edit_by_sed("tiers.yaml", "$ a# saved again");
    await_refusal(NULL);
    noticed_until("/tiers", "tiers.0.name", "\"Sandbox\"");
}

/* A template more, of which there is an image. */
static void
add_copy(void)
{
    edit_by_sed("templates.yaml", "/^templates:/a\\  copy: {image: \"sandbox-base:latest\"}");
    noticed_until("/templates", "templates.0.id", "\"copy\"");
}

static void
a_template_in_use_is_not_taken_away(void **state)
{
    char said[256], ids[6][STEP_ID_SIZE];

    (void)state;
    add_copy();
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        char body[128];

        snprintf(body, sizeof(body),
                 "{\"agent_id\": \"a%zu\", \"session_id\": \"s\", \"template\": \"copy\"}", i);
        make_container(i < 3 ? ALICE : ADMIN, body, ids[i]);
    }
    edit_by_sed("templates.yaml", "/^  copy:/d");
    snprintf(said, sizeof(said), "(6): %s of alice, %s of alice", ids[0], ids[1]);
    await_refusal(said);
    await_refusal("templates.yaml: the template 'copy' is in use");
    remove_containers(state);
    edit_by_sed("sandbox.yaml", "$ a\\# pool below");
    await_refusal(NULL);
    add_copy();
    edit_by_sed("sandbox.yaml",
                "s/targets: .*/targets: [{template: copy, tier: Sandbox, count: 0}]/");
    edit_by_sed("templates.yaml", "/^  copy:/d");
    await_refusal("sandbox.yaml: /pool/targets/0/template names it");
}

/* While the service was down, say. The rows are as they would be then. */
static void
what_has_gone_all_the_same_is_told_of(void **state)
{
    char id[STEP_ID_SIZE];
    static char told[] = "msg=\"containers whose tier there is no more";
    struct pids janitors = host_role("janitor");

    (void)state;
    make_container(ALICE, STANDARD, id);
    assert_int_equal(host_shell("python3 -c 'import os, sqlite3;"
                                " d = sqlite3.connect(os.environ[\"SANDBOX_STATE\"] +"
                                " \"/sandbox.db\", timeout=20);"
                                " d.execute(\"UPDATE container SET tier = ?\", (\"Gone\",));"
                                " d.commit()'"),
                     0);
    assert_true(warned_to(ADMIN, "containers whose tier there is no more"));
    assert_true(warned_to(ADMIN, id));
    assert_false(warned_to(ALICE, "no more"));
    host_shell("kill -9 %d", (int)janitors.list[0]);
    wait_until(log_tells_of, told, FOLLOW_SECONDS, "the log to tell");
    edit_by_sed("tiers.yaml", "0,/max_processes: 16/s//max_processes: 15/");
    noticed_until("/tiers", "tiers.0.max_processes", "15"); /* other edits are not held up by it */
    host_wait_role("janitor", 1, janitors.list[0]);
}

int
suite_tier_edits(void)
{
#define edit_test(f) cmocka_unit_test_setup_teardown(f, edits_open, edits_close)
    const struct CMUnitTest tests[] = {
        edit_test(a_smaller_tier_holds_for_those_that_run),
        edit_test(a_larger_tier_too_and_one_that_is_stopped),
        edit_test(memory_in_use_is_not_taken_away),
        edit_test(a_tier_in_use_is_not_taken_away),
        edit_test(a_template_in_use_is_not_taken_away),
        edit_test(what_has_gone_all_the_same_is_told_of),
    };

    return cmocka_run_group_tests_name("tier-edits", tests, NULL, NULL);
}
