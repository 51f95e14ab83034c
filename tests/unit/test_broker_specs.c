/*
 * What the broker is told of a container is checked again there: specs that a captured worker might
 * make up.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "backend/broker/protocol.h"
#include "backend/cleanup.h"
#include "tests/unit/broker_world.h"

/* A captured worker asks for limits by the name of a tier, never by figures. */
static void
limits_are_those_of_a_tier_that_there_is(void **state)
{
    static const struct {
        struct broker_refit_request request;
        int code;
    } cases[] = {
        {{"container_0123456789ab", "Standard"}, ERR_DOCKER_DOWN},
        {{"container_0123456789ab", "sTANDARD"}, ERR_DOCKER_DOWN},
        {{"container_0123456789ab", "Gold"}, ERR_VALIDATION},
        {{"container_0123456789ab", ""}, ERR_VALIDATION},
        {{"container_../../etc", "Standard"}, ERR_VALIDATION},
        {{"", "Standard"}, ERR_VALIDATION},
    };
    struct broker_refit_request endless = {.id = "container_0123456789ab"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s, %s\n", cases[i].request.id, cases[i].request.tier);
        assert_int_equal(broker_ask(BROKER_REFIT, &cases[i].request, sizeof(cases[i].request)),
                         cases[i].code);
    }
    memset(endless.tier, 'a', sizeof(endless.tier));
    assert_int_equal(broker_ask(BROKER_REFIT, &endless, sizeof(endless)), ERR_VALIDATION);
    assert_int_equal(broker_ask(BROKER_REFIT, &endless, sizeof(endless) - 1), ERR_VALIDATION);
}

static void
without_an_engine_the_answer_says_so(void **state)
{
    struct engine *e = engine_new(broker.dir);
    struct engine_info info;
    struct error err = {0};

    (void)state;
    assert_non_null(e);
    assert_int_equal(engine_info(e, &info, &err), -EHOSTDOWN);
    assert_int_equal(err.code, ERR_DOCKER_DOWN);
    assert_true(err.retry_after_seconds > 0);
    engine_free(e);
}

typedef void (*spoil_fn)(struct engine_spec *);

static void
spoil_nothing(struct engine_spec *s)
{
    (void)s;
}
static void
spoil_id(struct engine_spec *s)
{
    memcpy(s->id, "../../etc", 10);
}
static void
spoil_id_end(struct engine_spec *s)
{
    memset(s->id, 'a', sizeof(s->id));
}
static void
spoil_owner(struct engine_spec *s)
{
    memcpy(s->owner, "..", 3);
}
static void
spoil_owner_end(struct engine_spec *s)
{
    memset(s->owner, 'a', sizeof(s->owner));
}
static void
spoil_workspace(struct engine_spec *s)
{
    memcpy(s->workspace, "a/../../b", 10);
}
static void
spoil_image(struct engine_spec *s)
{
    memcpy(s->image, "evil:latest", 12);
}
static void
spoil_runtime(struct engine_spec *s)
{
    memcpy(s->runtime, "evil", 5);
}
static void
spoil_uid_root(struct engine_spec *s)
{
    s->uid = 0;
}
static void
spoil_uid_far(struct engine_spec *s)
{
    s->uid = INT64_C(1) << 32;
}
static void
spoil_gid(struct engine_spec *s)
{
    s->gid = 200001;
}
static void
spoil_gid_root(struct engine_spec *s)
{
    s->gid = 0;
}
/* As carla's account, whoever the owner is. */
static void
spoil_account(struct engine_spec *s)
{
    s->uid = 1234;
    s->gid = 1235;
}
static void
give_account(struct engine_spec *s)
{
    memcpy(s->owner, "carla", 6);
    spoil_account(s);
}
static void
spoil_account_group(struct engine_spec *s)
{
    give_account(s);
    s->gid = 1234;
}
static void
spoil_account_none(struct engine_spec *s)
{
    memcpy(s->owner, "carla", 6);
}
static void
spoil_access(struct engine_spec *s)
{
    s->workspace_access = (enum access)9;
}
static void
spoil_memory(struct engine_spec *s)
{
    s->limits.memory_mb = -1;
}
static void
spoil_cpu(struct engine_spec *s)
{
    s->limits.cpu_cores = 0;
}
static void
spoil_pids(struct engine_spec *s)
{
    s->limits.max_processes = 0;
}
static void
spoil_network(struct engine_spec *s)
{
    s->network = (enum network)4;
}
static void
spoil_network_unset(struct engine_spec *s)
{
    s->network = NETWORK_UNSET;
}
static void
spoil_gpus(struct engine_spec *s)
{
    s->gpu_mask = 1;
}

static void
specs_are_checked_again(void **state)
{
    static const struct {
        const char *name;
        spoil_fn spoil;
        enum error_code code;
    } cases[] = {
        {"good", spoil_nothing, ERR_DOCKER_DOWN},
        {"id is a path", spoil_id, ERR_VALIDATION},
        {"id without end", spoil_id_end, ERR_VALIDATION},
        {"owner is a path", spoil_owner, ERR_VALIDATION},
        {"owner without end", spoil_owner_end, ERR_VALIDATION},
        {"workspace is a path", spoil_workspace, ERR_VALIDATION},
        {"image of no template", spoil_image, ERR_VALIDATION},
        {"runtime of no tier", spoil_runtime, ERR_VALIDATION},
        {"uid 0", spoil_uid_root, ERR_VALIDATION},
        {"a network that there is not", spoil_network, ERR_VALIDATION},
        {"no network's name", spoil_network_unset, ERR_VALIDATION},
        {"uid over the range", spoil_uid_far, ERR_VALIDATION},
        {"another gid", spoil_gid, ERR_VALIDATION},
        {"gid 0", spoil_gid_root, ERR_VALIDATION},
        {"another's account", spoil_account, ERR_VALIDATION},
        {"their own account", give_account, ERR_DOCKER_DOWN},
        {"their own account and another group", spoil_account_group, ERR_VALIDATION},
        {"not their own account", spoil_account_none, ERR_VALIDATION},
        {"access unknown", spoil_access, ERR_VALIDATION},
        {"memory negative", spoil_memory, ERR_VALIDATION},
        {"no cpu", spoil_cpu, ERR_VALIDATION},
        {"no processes", spoil_pids, ERR_VALIDATION},
        {"a GPU that no tier gives", spoil_gpus, ERR_VALIDATION},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_spec spec = broker_good_spec();

        print_message("case %s\n", cases[i].name);
        cases[i].spoil(&spec);
        assert_int_equal(broker_ask(BROKER_CREATE, &spec, sizeof(spec)), cases[i].code);
    }
}

static void
spoil_owner_none(struct engine_spec *s)
{
    s->owner[0] = '\0';
}
static void
spoil_uid_pool(struct engine_spec *s)
{
    s->uid = s->gid = 265535;
}
static void
spoil_access_none(struct engine_spec *s)
{
    s->workspace_access = ACCESS_NONE;
}

/* What the pool has is nobody's, as the uid of nobody; it is given to somebody, as theirs. */
static void
the_pool_has_no_owner_and_others_do(void **state)
{
    static const struct {
        const char *name;
        enum broker_operation operation;
        bool ownerless;
        spoil_fn spoil;
        enum error_code code;
    } cases[] = {
        {"warm", BROKER_WARM, true, spoil_nothing, ERR_DOCKER_DOWN},
        {"warm with an owner", BROKER_WARM, true, spoil_owner, ERR_VALIDATION},
        {"warm with a workspace", BROKER_WARM, true, spoil_workspace, ERR_VALIDATION},
        {"warm as an owner's uid", BROKER_WARM, false, spoil_owner_none, ERR_VALIDATION},
        {"warm of another image", BROKER_WARM, true, spoil_image, ERR_VALIDATION},
        {"warm without a workspace's place", BROKER_WARM, true, spoil_access_none, ERR_VALIDATION},
        {"create as the pool's uid", BROKER_CREATE, false, spoil_uid_pool, ERR_VALIDATION},
        {"create without an owner", BROKER_CREATE, true, spoil_nothing, ERR_VALIDATION},
        {"start as the pool's uid", BROKER_START, false, spoil_uid_pool, ERR_VALIDATION},
        {"start from before the account", BROKER_START, false, spoil_account_none, ERR_DOCKER_DOWN},
        {"start as another's account", BROKER_START, false, spoil_account, ERR_CONFLICT},
        {"adopt as their account", BROKER_ADOPT, false, give_account, ERR_DOCKER_DOWN},
        {"adopt as another's account", BROKER_ADOPT, false, spoil_account, ERR_VALIDATION},
        {"adopt", BROKER_ADOPT, false, spoil_nothing, ERR_DOCKER_DOWN},
        {"adopt without an owner", BROKER_ADOPT, true, spoil_nothing, ERR_VALIDATION},
        {"adopt as the pool's uid", BROKER_ADOPT, false, spoil_uid_pool, ERR_VALIDATION},
        {"adopt into another's path", BROKER_ADOPT, false, spoil_workspace, ERR_VALIDATION},
        {"adopt without a workspace", BROKER_ADOPT, false, spoil_access_none, ERR_VALIDATION},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_spec spec = broker_good_spec();

        print_message("case %s\n", cases[i].name);
        if (cases[i].ownerless) {
            spec.owner[0] = spec.workspace[0] = '\0';
            spec.uid = spec.gid = 265535;
        }
        cases[i].spoil(&spec);
        assert_int_equal(broker_ask(cases[i].operation, &spec, sizeof(spec)), cases[i].code);
    }
}

static void
rollbacks_are_checked_as_creations_are(void **state)
{
    static const struct {
        const char *name, *snapshot_id;
        spoil_fn spoil;
        enum error_code code;
    } cases[] = {
        {"good", "snapshot_0123456789ab", spoil_nothing, ERR_DOCKER_DOWN},
        {"image of no template", "snapshot_0123456789ab", spoil_image, ERR_DOCKER_DOWN},
        {"runtime of no tier", "snapshot_0123456789ab", spoil_runtime, ERR_VALIDATION},
        {"id is a path", "snapshot_0123456789ab", spoil_id, ERR_VALIDATION},
        {"uid 0", "snapshot_0123456789ab", spoil_uid_root, ERR_VALIDATION},
        {"no processes", "snapshot_0123456789ab", spoil_pids, ERR_VALIDATION},
        {"snapshot is a tag", "latest", spoil_nothing, ERR_VALIDATION},
        {"snapshot is a path", "snapshot_../../6789ab", spoil_nothing, ERR_VALIDATION},
        {"snapshot is a container", "container_0123456789a", spoil_nothing, ERR_VALIDATION},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct broker_rollback_request q = {.spec = broker_good_spec()};

        print_message("case %s\n", cases[i].name);
        cases[i].spoil(&q.spec);
        snprintf(q.snapshot_id, sizeof(q.snapshot_id), "%s", cases[i].snapshot_id);
        assert_int_equal(broker_ask(BROKER_ROLLBACK, &q, sizeof(q)), cases[i].code);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_engine_the_answer_says_so),
        cmocka_unit_test(limits_are_those_of_a_tier_that_there_is),
        cmocka_unit_test(specs_are_checked_again),
        cmocka_unit_test(the_pool_has_no_owner_and_others_do),
        cmocka_unit_test(rollbacks_are_checked_as_creations_are),
    };

    return sodium_init() < 0 ? 1
                             : cmocka_run_group_tests_name("broker: specs", tests,
                                                           broker_world_open, broker_world_close);
}
