/* Runtimes of the engine and of tiers: see runtimes.h. */
#include "tests/test.h"

#include "tests/api/runtimes.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"

enum { PATIENCE_SECONDS = 60 };

struct listing {
    const char *runtime;
    int listed;
};

static bool
is_listed(void *arg)
{
    const struct listing *l = arg;
    struct reply r = fetch(ALICE, "/status");
    json_t *name;
    int found = 0;
    size_t i;

    json_array_foreach(at(&r, "runtimes"), i, name)
    {
        found |= strcmp(json_string_value(name), l->runtime) == 0;
    }
    reply_done(&r);
    return found == l->listed;
}

void
engine_settings(const char *daemon_json, const char *runtime, int listed)
{
    struct listing listing = {runtime, listed};
    pid_t engine = host_pid_file("docker/dockerd.pid");

    assert_true(engine > 0);
    host_write("docker/daemon.json", daemon_json);
    assert_int_equal(kill(engine, SIGHUP), 0);
    wait_until(is_listed, &listing, PATIENCE_SECONDS, "the engine's runtimes");
}

void
runtime_of_tier(const char *tier, const char *runtime)
{
    char member[32], expected[64];
    struct reply r = fetch(ALICE, "/tiers");
    size_t place = 0;

    while (
        strcmp(json_string_value(json_object_get(json_array_get(at(&r, "tiers"), place), "name")),
               tier) != 0)
        place++;
    reply_done(&r);
    assert_int_equal(host_shell("sed -i '/^  %s:/,/runtime:/s/runtime: .*/runtime: %s/'"
                                " \"$SANDBOX_STATE/yaml/tiers.yaml\"",
                                tier, runtime),
                     0);
    snprintf(member, sizeof(member), "tiers.%zu.runtime", place);
    snprintf(expected, sizeof(expected), "\"%s\"", runtime);
    reload_until("/tiers", member, expected);
}

void
tier_runtime(const char *runtime)
{
    runtime_of_tier("Sandbox", runtime);
}

int
runtimes_restore(void **state)
{
    remove_containers(state);
    tier_runtime("runc");
    return 0;
}
