/* See walk.h. */
#include "tests/test.h"

#include "tests/api/walk.h"

#include <stdio.h>
#include <string.h>

#include "backend/buf.h"
#include "backend/cleanup.h"

enum { PATH_SIZE = 1024 };

#define COMMAND "{\"command\": \"echo walked\"}"

static const struct step steps[] = {
    /* clang-format off */
    {"GET", "/config", ROLE_VIEWER, WALK_NONE, NULL},
    {"PUT", "/config", ROLE_ADMIN, WALK_NONE, "{\"network_policy\": {\"enabled\": true}}"},
    {"GET", "/status", ROLE_VIEWER, WALK_NONE, NULL},
    {"GET", "/tiers", ROLE_VIEWER, WALK_NONE, NULL},
    {"GET", "/whoami", ROLE_VIEWER, WALK_NONE, NULL},
    {"GET", "/gpu", ROLE_VIEWER, WALK_NONE, NULL},
    {"GET", "/openapi.json", ROLE_VIEWER, WALK_NONE, NULL},
    {"POST", "/explain", ROLE_VIEWER, WALK_NONE, COMMAND},
    {"POST", "/execute", ROLE_USER, WALK_NONE, COMMAND},

    {"GET", "/containers", ROLE_VIEWER, WALK_NONE, NULL},
    {"POST", "/containers", ROLE_USER, WALK_NONE,
     "{\"agent_id\": \"walker\", \"session_id\": \"1\"}"},
    {"POST", "/containers/cleanup", ROLE_USER, WALK_NONE, "{\"idle_seconds\": 0}"},
    {"GET", "/containers/{id}", ROLE_VIEWER, WALK_CONTAINER, NULL},
    {"DELETE", "/containers/{id}", ROLE_USER, WALK_CONTAINER, NULL},
    {"POST", "/containers/{id}/start", ROLE_USER, WALK_CONTAINER, NULL},
    {"POST", "/containers/{id}/stop", ROLE_USER, WALK_CONTAINER, NULL},
    {"POST", "/containers/{id}/restart", ROLE_USER, WALK_CONTAINER, NULL},
    {"POST", "/containers/{id}/exec", ROLE_USER, WALK_CONTAINER, COMMAND},
    {"GET", "/containers/{id}/snapshots", ROLE_VIEWER, WALK_CONTAINER, NULL},
    {"POST", "/containers/{id}/snapshots", ROLE_USER, WALK_CONTAINER, "{\"name\": \"walked\"}"},
    {"POST", "/containers/{id}/snapshots/{sid}/rollback", ROLE_USER, WALK_SNAPSHOT, NULL},
    {"DELETE", "/containers/{id}/snapshots/{sid}", ROLE_USER, WALK_SNAPSHOT, NULL},

    {"GET", "/audit", ROLE_VIEWER, WALK_NONE, NULL},
    {"GET", "/audit/summary", ROLE_VIEWER, WALK_NONE, NULL},
    {"GET", "/audit/{id}", ROLE_VIEWER, WALK_ENTRY, NULL},
    {"GET", "/audit/{id}/output", ROLE_VIEWER, WALK_ENTRY, NULL},
    {"POST", "/audit/{id}/kill", ROLE_USER, WALK_ENTRY, NULL},
    {"POST", "/audit/cleanup", ROLE_ADMIN, WALK_NONE, "{\"older_than_days\": 1}"},

    {"GET", "/metrics", ROLE_ADMIN, WALK_NONE, NULL},
    {"GET", "/tokens", ROLE_ADMIN, WALK_NONE, NULL},
    {"POST", "/tokens", ROLE_ADMIN, WALK_NONE, "{\"user\": \"walked\"}"},
    {"DELETE", "/tokens/{id}", ROLE_ADMIN, WALK_SHARED, NULL},

    {"GET", "/pool", ROLE_ADMIN, WALK_NONE, NULL},
    {"POST", "/pool/drain", ROLE_ADMIN, WALK_NONE, "{}"},

    {"GET", "/templates", ROLE_VIEWER, WALK_NONE, NULL},
    {"POST", "/templates", ROLE_ADMIN, WALK_NONE,
     "{\"name\": \"walked\", \"image\": \"localhost:1/none:latest\"}"},
    {"GET", "/templates/{id}", ROLE_VIEWER, WALK_SHARED, NULL},
    {"GET", "/templates/{id}/log", ROLE_VIEWER, WALK_SHARED, NULL},
    {"DELETE", "/templates/{id}", ROLE_ADMIN, WALK_SHARED, NULL},
    {"POST", "/templates/{id}/build", ROLE_ADMIN, WALK_SHARED, NULL},
    {"POST", "/templates/{id}/pull", ROLE_ADMIN, WALK_SHARED, NULL},
    /* clang-format on */
};

static const struct step *
step_of(const struct route *route)
{
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (strcmp(steps[i].method, route->method) == 0 && strcmp(steps[i].path, route->path) == 0)
            return &steps[i];
    fail_msg("there is no step for %s %s: say in walk.c who may use it and whose its ids are",
             route->method, route->path);
    return NULL;
}

static bool
is_route(const struct step *step)
{
    for (size_t i = 0; route_tables[i]; i++)
        for (const struct route *r = route_tables[i]; r->method; r++)
            if (strcmp(r->method, step->method) == 0 && strcmp(r->path, step->path) == 0)
                return true;
    return false;
}

void
walk(void (*visit)(const struct route *route, const struct step *step))
{
    for (size_t i = 0; route_tables[i]; i++) {
        for (const struct route *r = route_tables[i]; r->method; r++)
            visit(r, step_of(r));
    }
}

void
walk_check_steps(void)
{
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (!is_route(&steps[i]))
            fail_msg("no route is %s %s", steps[i].method, steps[i].path);
}

char *
walk_path(const struct step *step, const char *first, const char *second)
{
    const char *const values[] = {first, second};
    const char *p = step->path;
    size_t used = 0;
    struct buf out;

    buf_init(&out, PATH_SIZE);
    while (*p) {
        size_t len = strcspn(p, "{");

        assert_int_equal(buf_append(&out, p, len), 0);
        p += len;
        if (*p) {
            assert_true(used < ARRAY_LEN(values));
            assert_int_equal(buf_printf(&out, "%s", values[used++]), 0);
            p += strcspn(p, "}") + 1;
        }
    }
    return buf_take(&out);
}
