/*
 * The body of ContainerCreate: the posture, field by field, as the engine gets it.
 */
#include "backend/docker/seccomp.h"
#include "tests/unit/docker_case.h"

static const char *const entrypoint[] = {"/sandbox/guest", "--listen", NULL};
static const char *const binds[] = {"/srv/guest:/sandbox/guest:ro", "/srv/w:/workspace", NULL};

/* What the tests below create, but for the fields that they change. */
static struct docker_create
usual_spec(void)
{
    return (struct docker_create){
        .name = "sandbox-1",
        .image = "sha256:61df",
        .hostname = "sandbox",
        .entrypoint = entrypoint,
        .binds = binds,
        .cpu_cores = 1.5,
        .memory_mb = 256,
        .pids_limit = 64,
    };
}

static const struct fake_route create_routes[] = {
    {"GET /version", 200, VERSION_141, FAKE_PLAIN},
    {"POST /v1.41/containers/create?name=sandbox-1", 201, "{\"Id\":\"5e78\",\"Warnings\":[]}",
     FAKE_PLAIN},
    {"GET /v1.41/containers/5e78/json", 200, "", FAKE_MIRROR},
    {0},
};

/* Create @spec and return the body that the engine got. */
static json_t *
created_body(const struct docker_create *spec)
{
    _cleanup_(docker_freep) struct docker *d = new_client();
    _cleanup_(freep) char *sent = NULL;
    char id[DOCKER_ID_SIZE];
    json_t *body;

    fake_docker_serve(&fake, create_routes);
    assert_int_equal(docker_container_create(d, spec, id, NULL), 0);
    assert_string_equal(id, "5e78");
    assert_asked(1, "POST /v1.41/containers/create?name=sandbox-1");
    sent = fake_docker_body(&fake);
    body = json_loads(sent, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(body);
    return body;
}

/* The value of @key ("HostConfig.Memory" or "Image") must read as @expected; NULL: there is none.
 */
static void
assert_field(const json_t *body, const char *key, const char *expected)
{
    static const char host[] = "HostConfig.";
    bool in_host = strncmp(key, host, strlen(host)) == 0;
    const json_t *object = in_host ? json_object_get(body, "HostConfig") : body;
    const json_t *value = json_object_get(object, in_host ? key + strlen(host) : key);
    _cleanup_(freep) char *text =
        value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    print_message("%s\n", key);
    assert_string_equal(text ? text : "(none)", expected ? expected : "(none)");
}

/* No new privileges, and the system calls of seccomp.json, whole. */
static void
assert_security_options(const json_t *options)
{
    static const char prefix[] = "seccomp=";
    const char *seccomp = json_string_value(json_array_get(options, 1));

    assert_int_equal(json_array_size(options), 2);
    assert_string_equal(json_string_value(json_array_get(options, 0)), "no-new-privileges");
    assert_memory_equal(seccomp, prefix, strlen(prefix));
    assert_string_equal(seccomp + strlen(prefix), docker_seccomp_profile);
}

struct field_case {
    const char *key, *value;
};

static void
test_create_posture(void **state)
{
    static const struct field_case cases[] = {
        {"Image", "\"sha256:61df\""},
        {"Hostname", "\"sandbox\""},
        {"User", "\"0:0\""},
        {"WorkingDir", "\"/\""},
        {"StopSignal", "\"SIGTERM\""},
        {"Entrypoint", "[\"/sandbox/guest\",\"--listen\"]"},
        {"Cmd", "[]"},
        {"Env", "[]"},
        {"Labels", "{\"sandbox\":\"1\"}"},
        {"Tty", "false"},
        {"OpenStdin", "false"},
        {"AttachStdin", "false"},
        {"AttachStdout", "false"},
        {"AttachStderr", "false"},
        {"NetworkDisabled", "true"},
        {"Healthcheck", "{\"Test\":[\"NONE\"]}"},
        {"Volumes", NULL},
        {"HostConfig.Memory", "268435456"},
        {"HostConfig.MemorySwap", "268435456"},
        {"HostConfig.MemorySwappiness", NULL},
        {"HostConfig.CpuPeriod", "100000"},
        {"HostConfig.CpuQuota", "150000"},
        {"HostConfig.NanoCpus", NULL},
        {"HostConfig.PidsLimit", "64"},
        {"HostConfig.OomScoreAdj", "500"},
        {"HostConfig.ShmSize", "67108864"},
        {"HostConfig.Tmpfs",
         "{\"/tmp\":\"rw,exec,nosuid,nodev,mode=1777,size=131072k,nr_inodes=32768\"}"},
        {"HostConfig.Binds", "[\"/srv/guest:/sandbox/guest:ro\",\"/srv/w:/workspace\"]"},
        {"HostConfig.NetworkMode", "\"none\""},
        {"HostConfig.Dns", NULL},
        {"HostConfig.DnsSearch", NULL},
        {"HostConfig.IpcMode", "\"private\""},
        {"HostConfig.CgroupnsMode", "\"private\""},
        {"HostConfig.Privileged", "false"},
        {"HostConfig.PublishAllPorts", "false"},
        {"HostConfig.ReadonlyRootfs", "false"},
        {"HostConfig.AutoRemove", "false"},
        {"HostConfig.Init", "false"},
        {"HostConfig.CapDrop", "[\"ALL\"]"},
        {"HostConfig.CapAdd", "[\"SETUID\",\"SETGID\",\"SETPCAP\",\"KILL\"]"},
        {"HostConfig.RestartPolicy", "{\"Name\":\"no\"}"},
        {"HostConfig.LogConfig", "{\"Config\":{},\"Type\":\"none\"}"},
        {"HostConfig.Ulimits", "[{\"Hard\":16384,\"Name\":\"nofile\",\"Soft\":4096},"
                               "{\"Hard\":0,\"Name\":\"core\",\"Soft\":0},"
                               "{\"Hard\":65536,\"Name\":\"memlock\",\"Soft\":65536},"
                               "{\"Hard\":819200,\"Name\":\"msgqueue\",\"Soft\":819200},"
                               "{\"Hard\":4096,\"Name\":\"sigpending\",\"Soft\":4096}]"},
        {"HostConfig.Runtime", NULL},
        {"HostConfig.StorageOpt", NULL},
        {"HostConfig.MaskedPaths", NULL},
        {"HostConfig.ReadonlyPaths", NULL},
    };
    struct docker_create spec = usual_spec();
    json_auto_t *body = NULL;

    (void)state;
    spec.labels = json_pack("{s:s}", "sandbox", "1");
    body = created_body(&spec);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_field(body, cases[i].key, cases[i].value);
    assert_security_options(json_object_get(json_object_get(body, "HostConfig"), "SecurityOpt"));
    assert_int_equal(spec.labels->refcount, 1);
    json_decref(spec.labels);
}

/* The other half of what depends on the spec. */
static void
test_create_variants(void **state)
{
    static const struct field_case cases[] = {
        {"Hostname", NULL},
        {"Entrypoint", "[]"},
        {"Labels", "{}"},
        {"HostConfig.Binds", "[]"},
        {"HostConfig.Runtime", "\"runsc\""},
        {"HostConfig.StorageOpt", "{\"size\":\"512M\"}"},
        {"HostConfig.MemorySwappiness", "0"},
        {"HostConfig.CgroupnsMode", NULL},
        {"HostConfig.CpuQuota", "1000"},
        {"HostConfig.Memory", "68719476736"},
        {"HostConfig.Tmpfs",
         "{\"/tmp\":\"rw,exec,nosuid,nodev,mode=1777,size=262144k,nr_inodes=65536\"}"},
    };
    const struct docker_create spec = {
        .name = "sandbox-1",
        .image = "base",
        .runtime = "runsc",
        .cpu_cores = 0.001,
        .memory_mb = 65536,
        .pids_limit = 1,
        .disk_mb = 512,
        .cgroup_v1 = true,
    };
    json_auto_t *body = created_body(&spec);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_field(body, cases[i].key, cases[i].value);
}

static void
test_create_in_a_network(void **state)
{
    static const char *const dns[] = {"192.0.2.1", "192.0.2.2", NULL};
    static const char *const none[] = {NULL};
    static const struct field_case cases[] = {
        {"NetworkDisabled", "false"},
        {"HostConfig.NetworkMode", "\"sandbox-1-full\""},
        {"HostConfig.Dns", "[\"192.0.2.1\",\"192.0.2.2\"]"},
        {"HostConfig.DnsSearch", "[\".\"]"},
    };
    struct docker_create spec = usual_spec();
    _cleanup_(docker_freep) struct docker *d = new_client();
    json_auto_t *body = NULL;
    char id[DOCKER_ID_SIZE];

    (void)state;
    spec.network = "sandbox-1-full";
    assert_int_equal(docker_container_create(d, &spec, id, NULL), -EINVAL);
    spec.dns = none;
    assert_int_equal(docker_container_create(d, &spec, id, NULL), -EINVAL);
    spec.dns = dns;
    body = created_body(&spec);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_field(body, cases[i].key, cases[i].value);
}

/* Values in which Docker would see "no limit", or another request, are never sent. */
static void
test_create_refuses(void **state)
{
    static const struct {
        const char *what;
        const char *name, *image;
        double cpu_cores;
        int64_t memory_mb, pids_limit;
    } cases[] = {
        {"no cpu", "a", "b", 0, 64, 1},
        {"negative cpu", "a", "b", -1, 64, 1},
        {"not a number", "a", "b", __builtin_nan(""), 64, 1},
        {"too much cpu", "a", "b", 1e9, 64, 1},
        {"no memory", "a", "b", 1, 0, 1},
        {"unlimited memory", "a", "b", 1, -1, 1},
        {"memory that overflows", "a", "b", 1, INT64_MAX, 1},
        {"no pids", "a", "b", 1, 64, 0},
        {"unlimited pids", "a", "b", 1, 64, -1},
        {"a name with a query", "a&b=c", "b", 1, 64, 1},
        {"an image with a space", "a", "b c", 1, 64, 1},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();

    (void)state;
    fake_docker_serve(&fake, create_routes);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct docker_create spec = usual_spec();
        char id[DOCKER_ID_SIZE];
        struct error e = {0};

        print_message("%s\n", cases[i].what);
        spec.name = cases[i].name;
        spec.image = cases[i].image;
        spec.cpu_cores = cases[i].cpu_cores;
        spec.memory_mb = cases[i].memory_mb;
        spec.pids_limit = cases[i].pids_limit;
        assert_int_equal(docker_container_create(d, &spec, id, &e), -EINVAL);
        assert_error(&e, "validation_failed", "");
    }
    assert_int_equal(asked_count(), 0);
}

static void
test_create_answers(void **state)
{
    static const struct {
        int status;
        const char *body;
        const char *name;
    } cases[] = {
        {404, "{\"message\":\"No such image: base\"}", "not_found"},
        {409, "{\"message\":\"the name is in use\"}", "conflict"},
        {201, "{}", "internal"},
        {201, "{\"Id\":\"\"}", "internal"},
        {201, "{\"Id\":\"12345678901234567890123456789012345678901234567890123456789012345\"}",
         "internal"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"POST /v1.41/containers/create?name=sandbox-1", cases[i].status, cases[i].body,
             FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        const struct docker_create spec = usual_spec();
        char id[DOCKER_ID_SIZE] = "untouched";
        struct error e = {0};

        print_message("create -> %d %s\n", cases[i].status, cases[i].body);
        fake_docker_serve(&fake, routes);
        docker_container_create(d, &spec, id, &e);
        assert_error(&e, cases[i].name, "");
        assert_string_equal(id, "untouched");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_posture),      cmocka_unit_test(test_create_variants),
        cmocka_unit_test(test_create_in_a_network), cmocka_unit_test(test_create_refuses),
        cmocka_unit_test(test_create_answers),
    };

    return docker_case_run(tests);
}
