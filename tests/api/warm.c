/* See warm.h. */
#include "tests/test.h"

#include "tests/api/warm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"

enum { PATIENCE_SECONDS = 120 };

void
warm_set(const char *targets)
{
    assert_int_equal(host_shell("sed -e 's/^  enabled: false$/  enabled: %s/'"
                                " -e 's/^  targets: .*/  targets: [%s]/' yaml/sandbox.yaml"
                                " > \"$SANDBOX_STATE/yaml/sandbox.new\" &&"
                                " mv \"$SANDBOX_STATE/yaml/sandbox.new\""
                                " \"$SANDBOX_STATE/yaml/sandbox.yaml\"",
                                targets ? "true" : "false", targets ? targets : ""),
                     0);
    reload_until("/pool", "enabled", targets ? "true" : "false");
}

static bool
is_filled(void *arg)
{
    struct reply r = fetch(ADMIN, "/pool");
    bool filled = int_at(&r, "ready") == *(const long long *)arg;
    json_t *item;
    size_t i;

    json_array_foreach(at(&r, "pools"), i, item) filled =
        filled && json_integer_value(json_object_get(item, "warming")) == 0;
    reply_done(&r);
    return filled;
}

void
warm_wait(long long ready)
{
    wait_until(is_filled, &ready, PATIENCE_SECONDS, "the pool to be filled");
}

int
warm_open(void **state)
{
    (void)state;
    warm_set("{template: base, tier: Sandbox, count: 2}");
    warm_wait(2);
    return 0;
}

static bool
engine_is_empty(void *arg)
{
    json_auto_t *ids = warm_engine_ids();

    (void)arg;
    return json_object_size(ids) == 0;
}

int
warm_close(void **state)
{
    warm_set(NULL);
    remove_containers(state);
    wait_until(engine_is_empty, NULL, PATIENCE_SECONDS, "the pool to be gone");
    return 0;
}

json_t *
warm_engine_ids(void)
{
    _cleanup_(freep) char *instance = state_file("instance");
    json_t *ids = json_object();
    char path[192];
    json_t *item;
    struct reply r;
    size_t i;

    assert_non_null(instance);
    snprintf(path, sizeof(path),
             "/containers/json?all=1&filters=%%7B%%22label%%22%%3A%%5B%%22sandbox.instance%%3D%s"
             "%%22%%5D%%7D",
             instance);
    r = host_engine("GET", path, NULL);
    assert_status(&r, 200);
    json_array_foreach(r.json, i, item)
        json_object_set_new(ids, json_string_value(json_object_get(item, "Id")), json_true());
    reply_done(&r);
    return ids;
}

json_t *
warm_inspect(const char *id)
{
    char name[128], path[192];
    struct reply r;
    json_t *json;

    host_engine_name(id, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s/json", name);
    r = host_engine("GET", path, NULL);
    assert_status(&r, 200);
    json = json_incref(r.json);
    reply_done(&r);
    return json;
}

long long
warm_figure(const char *name)
{
    struct reply r = fetch(ADMIN, "/pool");
    char path[64];
    long long figure;

    snprintf(path, sizeof(path), "pools.0.%s", name);
    figure = int_at(&r, path);
    reply_done(&r);
    return figure;
}
