/*
 * What the tests of backend/docker/posture.h share: recorded answers of engines, what they answer,
 * and assertions on an answer that was changed.
 */
#ifndef TESTS_UNIT_POSTURE_CASE_H
#define TESTS_UNIT_POSTURE_CASE_H

#include "backend/docker/posture.h"
#include "tests/unit/docker_case.h"

static const struct fake_route create_routes[] = {
    {"GET /version", 200, VERSION_141, FAKE_PLAIN},
    {"POST /v1.41/containers/create", 201, "{\"Id\":\"5e78\"}", FAKE_PLAIN},
    {"GET /v1.41/containers/5e78/json", 200, "", FAKE_MIRROR},
    {"DELETE /v1.41/containers/5e78", 204, "", FAKE_PLAIN},
    {0},
};

static const char *const entrypoint[] = {"/.sandbox/guest", "/.sandbox/run", "200000", "200000",
                                         "/home/sandbox",   "/workspace",    NULL};
static const char *const binds[] = {"/bin/true:/.sandbox/guest:ro", "/srv:/.sandbox/run",
                                    "/mnt:/workspace:rslave", NULL};
static const char *const read_only_binds[] = {"/bin/true:/.sandbox/guest:ro", "/srv:/.sandbox/run",
                                              "/mnt:/workspace:rslave,ro", NULL};
static const char *const dns[] = {"192.0.2.1", NULL};

/* What the recorded answers are the answers to; @full: all that a container can have. */
static inline struct docker_create
recorded_spec(bool cgroup_v1, bool full)
{
    struct docker_create spec = {
        .name = "posture",
        .image = full ? "posture-image:latest" : "sandbox-base:latest",
        .runtime = "runc",
        .hostname = "container_0123456789ab",
        .entrypoint = entrypoint,
        .binds = full ? read_only_binds : binds,
        .cpu_cores = 0.5,
        .memory_mb = 128,
        .pids_limit = 40,
        .cgroup_v1 = cgroup_v1,
    };

    if (!full)
        return spec;
    spec.network = "posture-net";
    spec.dns = dns;
    spec.gpu_mask = 5;
    spec.gpu_runtime = "nvidia";
    return spec;
}

/* The body that the engine is sent for @spec. */
static inline json_t *
body_of(struct docker_create *spec)
{
    _cleanup_(docker_freep) struct docker *d = new_client();
    json_auto_t *labels =
        json_pack("{s:s, s:s, s:s, s:s}", "sandbox.instance", "0123456789abcdef", "sandbox.id",
                  "container_0123456789ab", "sandbox.owner", "", "sandbox.egress", "");
    _cleanup_(freep) char *sent = NULL;
    char id[DOCKER_ID_SIZE];

    spec->labels = labels;
    fake_docker_serve(&fake, create_routes);
    assert_int_equal(docker_container_create(d, spec, id, NULL), 0);
    sent = fake_docker_body(&fake);
    return json_loads(sent, 0, NULL);
}

static const struct recording {
    const char *file;
    bool cgroup_v1, full;
} recordings[] = {
    {DATA "made-20.10.json", true, false},
    {DATA "made-full-20.10.json", true, true},
    {DATA "made-1.52.json", false, false},
    {DATA "made-full-1.52.json", false, true},
};

/* A recording, and the body that it answers. */
struct pair {
    json_t *made, *body;
};

static inline struct pair
pair_of(const struct recording *r)
{
    struct docker_create spec = recorded_spec(r->cgroup_v1, r->full);
    _cleanup_(freep) char *text = read_data(r->file);
    struct pair p = {json_loads(text, 0, NULL), body_of(&spec)};
    json_t *profile =
        json_array_get(json_object_get(json_object_get(p.body, "HostConfig"), "SecurityOpt"), 1);

    assert_non_null(p.made);
    print_message("%s\n", r->file);
    assert_int_equal(
        json_array_set(json_object_get(json_object_get(p.made, "HostConfig"), "SecurityOpt"), 1,
                       profile),
        0);
    return p;
}

static inline void
pair_done(struct pair *p)
{
    json_decref(p->made);
    json_decref(p->body);
}

/* A copy of @object in which "One.Two" has the JSON value @text; NULL takes it out. */
static inline json_t *
with(json_t *object, const char *path, const char *text)
{
    json_t *copy = json_deep_copy(object), *at = copy;
    char name[64];
    size_t len;

    for (; path[len = strcspn(path, ".")] == '.'; path += len + 1) {
        snprintf(name, sizeof(name), "%.*s", (int)len, path);
        at = json_object_get(at, name);
    }
    if (text)
        assert_int_equal(json_object_set_new(at, path, json_loads(text, JSON_DECODE_ANY, NULL)), 0);
    else
        json_object_del(at, path);
    return copy;
}

static inline int
check_with(struct pair *p, const char *path, const char *text, struct error *err)
{
    json_auto_t *made = with(p->made, path, text);

    *err = (struct error){0};
    return docker_posture_check(made, p->body, err);
}

static inline void
assert_passes(struct pair *p, const char *path, const char *text)
{
    struct error err = {0};

    if (check_with(p, path, text, &err) < 0)
        fail_msg("%s = %s: %s (%s)", path, text ? text : "(none)", err.msg, err.detail);
}

/* The sentence has to name @field. */
static inline void
assert_refused(struct pair *p, const char *path, const char *text, const char *field)
{
    struct error err = {0};

    if (check_with(p, path, text, &err) != -EREMOTEIO || !strstr(err.msg, field))
        fail_msg("%s = %s: \"%s\"", path, text ? text : "(none)", err.msg);
}

#endif
