/* The warm pool as its keeper has it: what is replaced, what is drained, and what survives. */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"
#include "tests/api/warm.h"

enum { PATIENCE_SECONDS = 120, MANY = 4 };

#define TWO "{template: base, tier: Sandbox, count: 2}"

/* Take one for @session of alice's; its id. It has to be the pool's if @warm. */
static void
take(const char *session, bool warm, char ret_id[STEP_ID_SIZE])
{
    long long claimed = warm_figure("claimed");
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:s}", "agent_id", "upkeep", "session_id",
                             session, "tier", "Sandbox", "command", "true");

    assert_status(&r, 200);
    assert_int_equal(int_at(&r, "exit_code"), 0);
    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&r, "container_id"));
    assert_int_equal(warm_figure("claimed"), claimed + warm);
    reply_done(&r);
}

static struct reply
drain(const char *body)
{
    struct reply r = call(ADMIN, "POST", "/pool/drain", body, NULL);

    assert_status(&r, 200);
    assert_members(r.json, "drained");
    return r;
}

static void
wake_builder(void)
{
    struct pids builders = host_role("builder");

    assert_int_equal(builders.count, 1);
    assert_int_equal(kill(builders.list[0], SIGUSR2), 0);
}

static bool
engine_has_so_many(void *arg)
{
    json_auto_t *ids = warm_engine_ids();
    bool has = json_object_size(ids) == *(const size_t *)arg;

    if (!has)
        host_nudge_janitor();
    return has;
}

/* Wait until the engine has @count containers, and return their ids; the caller frees. */
static json_t *
wait_for_ids(size_t count)
{
    wait_until(engine_has_so_many, &count, PATIENCE_SECONDS, "so many containers in the engine");
    return warm_engine_ids();
}

/* How many of @ids are among @others. */
static size_t
common(json_t *ids, json_t *others)
{
    size_t count = 0;
    const char *id;
    json_t *value;

    json_object_foreach(ids, id, value) if (json_object_get(others, id)) count++;
    return count;
}

static void
what_is_drained_is_gone_and_replaced(void **state)
{
    json_auto_t *before = warm_engine_ids(), *after = NULL;
    struct reply r = drain("{}");

    (void)state;
    assert_int_equal(int_at(&r, "drained"), 2);
    reply_done(&r);
    after = warm_engine_ids();
    assert_int_equal(common(before, after), 0);
    warm_wait(2);
    r = fetch(ADMIN, "/audit?limit=1&kind=change");
    assert_string_equal(text_at(&r, "entries.0.command"), "POST /pool/drain");
    assert_int_equal(int_at(&r, "entries.0.after.drained"), 2);
    assert_true(bool_at(&r, "entries.0.after.refill"));
    reply_done(&r);
}

static void
a_drain_without_refill_holds_until_one_with_it(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    r = drain("{\"template\": \"base\", \"tier\": \"sandbox\", \"refill\": false}");
    assert_int_equal(int_at(&r, "drained"), 2);
    reply_done(&r);
    wake_builder();
    take("cold", false, id); /* which takes longer than the keeper would */
    assert_int_equal(warm_figure("ready") + warm_figure("warming"), 0);
    json_decref(wait_for_ids(1));
    r = drain("{\"refill\": true}");
    assert_int_equal(int_at(&r, "drained"), 0);
    reply_done(&r);
    warm_wait(2);
}

static void
a_drain_without_refill_holds_until_a_reload(void **state)
{
    struct reply r = drain("{\"refill\": false}");

    (void)state;
    reply_done(&r);
    warm_set(TWO);
    warm_wait(2);
}

static void
a_target_that_shrinks_or_goes_is_drained(void **state)
{
    json_auto_t *one = NULL, *other = NULL;

    (void)state;
    warm_set("{template: base, tier: Sandbox, count: 1}");
    warm_wait(1);
    one = wait_for_ids(1);
    warm_set("{template: base, tier: Restricted, count: 1}");
    warm_wait(1);
    other = wait_for_ids(1);
    assert_int_equal(common(one, other), 0);
}

static int
restore_tiers(void **state)
{
    host_shell("cp yaml/tiers.yaml \"$SANDBOX_STATE/yaml/\"");
    return warm_close(state);
}

static void
a_tier_that_changes_is_never_served_with_the_old(void **state)
{
    json_auto_t *inspected = NULL;
    char id[STEP_ID_SIZE];

    (void)state;
    assert_int_equal(host_shell("sed -i '0,/memory_mb: 128/s//memory_mb: 96/'"
                                " \"$SANDBOX_STATE/yaml/tiers.yaml\""),
                     0);
    reload_until("/tiers", "tiers.0.memory_mb", "96");
    make_container(ALICE, "{\"agent_id\": \"t\", \"session_id\": \"t\", \"tier\": \"Sandbox\"}",
                   id);
    inspected = warm_inspect(id);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(inspected, "HostConfig"), "Memory")),
        96 << 20);
    warm_wait(2);
    take("new", true, id);
    json_decref(inspected);
    inspected = warm_inspect(id);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(inspected, "HostConfig"), "Memory")),
        96 << 20);
}

/* Have the engine call another image sandbox-base:latest, made of container @id. */
static void
retag(const char *id)
{
    char name[128], path[256];
    struct reply r;

    host_engine_name(id, name, sizeof(name));
    r = host_engine("POST", "/images/sandbox-base:latest/tag?repo=sandbox-kept&tag=latest", NULL);
    assert_status(&r, 201);
    reply_done(&r);
    snprintf(path, sizeof(path), "/commit?container=%s&repo=sandbox-base&tag=latest", name);
    r = host_engine("POST", path, "{}");
    assert_status(&r, 201);
    reply_done(&r);
}

static int
restore_image(void **state)
{
    struct reply r =
        host_engine("POST", "/images/sandbox-kept:latest/tag?repo=sandbox-base&tag=latest", NULL);
    int failed = r.status != 201;

    reply_done(&r);
    r = host_engine("DELETE", "/images/sandbox-kept:latest", NULL);
    reply_done(&r);
    return warm_close(state) < 0 || failed ? -1 : 0;
}

static void
an_image_that_changes_is_never_served_with_the_old(void **state)
{
    char source[STEP_ID_SIZE], id[STEP_ID_SIZE];
    json_auto_t *old = NULL, *new = NULL, *warm = NULL;

    (void)state;
    take("source", true, source);
    warm_wait(2);
    retag(source);
    take("now", false, id);
    old = warm_inspect(source);
    new = warm_inspect(id);
    assert_string_not_equal(json_string_value(json_object_get(old, "Image")),
                            json_string_value(json_object_get(new, "Image")));
    warm_wait(2);
    take("later", true, id);
    warm = warm_inspect(id);
    assert_string_equal(json_string_value(json_object_get(warm, "Image")),
                        json_string_value(json_object_get(new, "Image")));
}

/* The program as it is but for a system call less in the profile that it gives containers. */
#define UPGRADE                                                                                    \
    "mkdir -p \"$SANDBOX_STATE/upgrade\" && new=$SANDBOX_STATE/upgrade/sandboxd &&"                \
    " old=${SANDBOXD:-build/release/sandboxd} &&"                                                  \
    " LC_ALL=C sed 's/\"readahead\",/            /' \"$old\" >\"$new\" && chmod 755 \"$new\" &&"   \
    " ! cmp -s \"$old\" \"$new\" && SANDBOXD=$new tests/api/restart"

/* Whether the container may make that call. */
static bool
may_read_ahead(const char *id)
{
    json_auto_t *inspected = warm_inspect(id);
    json_t *options = json_object_get(json_object_get(inspected, "HostConfig"), "SecurityOpt");
    bool may = false;
    json_t *option;
    size_t i;

    assert_int_equal(json_array_size(options), 2);
    json_array_foreach(options, i, option)
    {
        may = may || strstr(json_string_value(option), "readahead");
    }
    return may;
}

/* Whether the pool is filled with others than those of @arg, an object of the engine's ids. */
static bool
all_are_replaced(void *arg)
{
    json_auto_t *now = warm_engine_ids();

    return common(arg, now) == 0 && warm_figure("ready") == 2;
}

static int
restore_program(void **state)
{
    return host_shell("tests/api/restart") != 0 || warm_close(state) < 0 ? -1 : 0;
}

static void
an_upgrade_is_never_served_with_the_old(void **state)
{
    json_auto_t *before = NULL;
    char id[STEP_ID_SIZE];

    (void)state;
    assert_int_equal(host_shell("tests/api/restart"), 0);
    take("same", true, id); /* another start of the same program makes no difference */
    assert_true(may_read_ahead(id));
    remove_containers(state);
    warm_wait(2);
    before = wait_for_ids(2);
    assert_int_equal(host_shell(UPGRADE), 0);
    make_container(ALICE, "{\"agent_id\": \"t\", \"session_id\": \"t\", \"tier\": \"Sandbox\"}",
                   id);
    assert_false(may_read_ahead(id));
    wait_until(all_are_replaced, before, PATIENCE_SECONDS, "the pool to be replaced");
    take("upgraded", true, id);
    assert_false(may_read_ahead(id));
}

static bool
is_warming(void *arg)
{
    (void)arg;
    return warm_figure("warming") > 0;
}

static void
a_builder_that_dies_while_it_warms_leaves_nothing(void **state)
{
    struct pids builders = host_role("builder");

    (void)state;
    warm_set("{template: base, tier: Sandbox, count: 4}");
    wait_until(is_warming, NULL, PATIENCE_SECONDS, "a container to be warmed");
    assert_int_equal(builders.count, 1);
    assert_int_equal(kill(builders.list[0], SIGKILL), 0);
    host_wait_role("builder", 1, builders.list[0]);
    warm_wait(MANY);
    json_decref(wait_for_ids(MANY));
    assert_int_equal(count_files("slots"), 1 + MANY);
}

static void
one_that_was_stopped_behind_our_back_is_not_given_out(void **state)
{
    json_auto_t *before = warm_engine_ids();
    char id[STEP_ID_SIZE], path[192];
    const char *engine_id;
    json_t *value;

    (void)state;
    json_object_foreach(before, engine_id, value)
    {
        struct reply r;

        snprintf(path, sizeof(path), "/containers/%s/kill", engine_id);
        r = host_engine("POST", path, NULL);
        assert_status(&r, 204);
        reply_done(&r);
    }
    take("cold", true, id); /* claimed, found dead, and served by a cold start */
    assert_true(host_engine_has(id));
    warm_wait(2);
    assert_int_equal(count_files("slots"), 1 + 3);
}

#define upkeep_test(f) cmocka_unit_test_setup_teardown(f, warm_open, warm_close)

int
suite_pool_upkeep(void)
{
    const struct CMUnitTest tests[] = {
        upkeep_test(what_is_drained_is_gone_and_replaced),
        upkeep_test(a_drain_without_refill_holds_until_one_with_it),
        upkeep_test(a_drain_without_refill_holds_until_a_reload),
        upkeep_test(a_target_that_shrinks_or_goes_is_drained),
        cmocka_unit_test_setup_teardown(a_tier_that_changes_is_never_served_with_the_old, warm_open,
                                        restore_tiers),
        cmocka_unit_test_setup_teardown(an_image_that_changes_is_never_served_with_the_old,
                                        warm_open, restore_image),
        cmocka_unit_test_setup_teardown(an_upgrade_is_never_served_with_the_old, warm_open,
                                        restore_program),
        upkeep_test(a_builder_that_dies_while_it_warms_leaves_nothing),
        upkeep_test(one_that_was_stopped_behind_our_back_is_not_given_out),
    };

    return cmocka_run_group_tests_name("api: pool upkeep", tests, NULL, NULL);
}
