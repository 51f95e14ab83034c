/*
 * What the engine says that it made, against what it was asked for: recorded answers of engines
 * pass and, with any field spoiled, are refused.
 */
#include "tests/unit/posture_case.h"

static void
test_recorded_answers_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
        struct pair p = pair_of(&recordings[i]);
        struct error err = {0};

        if (docker_posture_check(p.made, p.body, &err) < 0)
            fail_msg("%s: %s", err.msg, err.detail);
        pair_done(&p);
    }
}

/* A field of the answer, and a value that no container of ours may have there; NULL: missing. */
/* clang-format off */
static const struct spoiled {
    const char *path, *value;
} spoiled[] = {
    {"HostConfig.Privileged", "true"},
    {"HostConfig.CapAdd", "[\"SETUID\",\"SETGID\",\"SETPCAP\",\"KILL\",\"SYS_ADMIN\"]"},
    {"HostConfig.CapAdd", "[\"SETUID\",\"SETGID\",\"SETPCAP\",\"SYS_ADMIN\"]"},
    {"HostConfig.CapAdd", "[\"SETUID\",\"SETUID\",\"SETUID\",\"SETUID\"]"},
    {"HostConfig.CapAdd", "[\"ALL\"]"},
    {"HostConfig.CapAdd", NULL},
    {"HostConfig.CapDrop", "[]"},
    {"HostConfig.CapDrop", "\"ALL\""},
    {"HostConfig.CapDrop", "[\"NET_RAW\"]"},
    {"HostConfig.SecurityOpt", "null"},
    {"HostConfig.SecurityOpt", "[\"no-new-privileges\"]"},
    {"HostConfig.SecurityOpt", "[\"no-new-privileges\",\"seccomp=unconfined\"]"},
    {"HostConfig.SecurityOpt", "[\"no-new-privileges:false\",\"seccomp={}\"]"},
    {"HostConfig.ReadonlyRootfs", "true"},
    {"HostConfig.Init", "true"},
    {"HostConfig.Runtime", "\"crun\""},
    {"HostConfig.Runtime", NULL},
    {"HostConfig.Annotations", "{\"dev.gvisor.flag.network\":\"host\"}"},
    {"HostConfig.NetworkMode", "\"host\""},
    {"HostConfig.NetworkMode", "\"bridge\""},
    {"HostConfig.NetworkMode", NULL},
    {"HostConfig.IpcMode", "\"host\""},
    {"HostConfig.IpcMode", "\"shareable\""},
    {"HostConfig.IpcMode", "\"\""},
    {"HostConfig.PidMode", "\"host\""},
    {"HostConfig.UTSMode", "\"host\""},
    {"HostConfig.UsernsMode", "\"host\""},
    {"HostConfig.Cgroup", "\"container:5e78\""},
    {"HostConfig.CgroupParent", "\"/\""},
    {"HostConfig.Sysctls", "{\"net.ipv4.ip_forward\":\"1\"}"},
    {"HostConfig.PortBindings", "{\"80/tcp\":[{\"HostPort\":\"80\"}]}"},
    {"HostConfig.PublishAllPorts", "true"},
    {"HostConfig.Links", "[\"/other:other\"]"},
    {"HostConfig.ExtraHosts", "[\"host:host-gateway\"]"},
    {"HostConfig.Dns", "[\"8.8.8.8\"]"},
    {"HostConfig.DnsSearch", "[\"corp.example\"]"},
    {"HostConfig.DnsOptions", "[\"use-vc\"]"},
    {"HostConfig.Devices", "[{\"PathOnHost\":\"/dev/kvm\"}]"},
    {"HostConfig.DeviceRequests", "[{\"Driver\":\"nvidia\",\"Count\":-1}]"},
    {"HostConfig.DeviceRequests", "[{\"Driver\":\"nvidia\",\"DeviceIDs\":[\"0\",\"2\",\"3\"],"
                                  "\"Capabilities\":[[\"gpu\"]]}]"},
    {"HostConfig.DeviceCgroupRules", "[\"a *:* rwm\"]"},
    {"HostConfig.GroupAdd", "[\"docker\"]"},
    {"HostConfig.Memory", "0"},
    {"HostConfig.Memory", "268435456"},
    {"HostConfig.MemorySwap", "-1"},
    {"HostConfig.MemorySwap", "0"},
    {"HostConfig.MemorySwappiness", "60"},
    {"HostConfig.OomKillDisable", "true"},
    {"HostConfig.OomScoreAdj", "-1000"},
    {"HostConfig.PidsLimit", "null"},
    {"HostConfig.PidsLimit", "-1"},
    {"HostConfig.PidsLimit", "\"40\""},
    {"HostConfig.CpuPeriod", "0"},
    {"HostConfig.CpuQuota", "-1"},
    {"HostConfig.CpuRealtimePeriod", "1000000"},
    {"HostConfig.CpuRealtimeRuntime", "950000"},
    {"HostConfig.NanoCpus", "4000000000"},
    {"HostConfig.ShmSize", "67108864"},
    {"HostConfig.StorageOpt", "{\"size\":\"100G\"}"},
    {"HostConfig.Ulimits", "null"},
    {"HostConfig.Ulimits", "[{\"Name\":\"nofile\",\"Hard\":16384,\"Soft\":4096},"
                           "{\"Name\":\"core\",\"Hard\":-1,\"Soft\":-1},"
                           "{\"Name\":\"memlock\",\"Hard\":65536,\"Soft\":65536},"
                           "{\"Name\":\"msgqueue\",\"Hard\":819200,\"Soft\":819200},"
                           "{\"Name\":\"sigpending\",\"Hard\":4096,\"Soft\":4096}]"},
    {"HostConfig.Binds", "[]"},
    {"HostConfig.Binds", "[\"/bin/true:/.sandbox/guest:ro\",\"/srv:/.sandbox/run\","
                         "\"/mnt:/workspace:rslave\",\"/:/host\"]"},
    {"HostConfig.Binds", "[\"/bin/true:/.sandbox/guest\",\"/srv:/.sandbox/run\","
                         "\"/mnt:/workspace:rslave\"]"},
    {"HostConfig.Mounts", "[{\"Type\":\"bind\",\"Source\":\"/\",\"Target\":\"/host\"}]"},
    {"HostConfig.Tmpfs", "null"},
    {"HostConfig.Tmpfs", "{\"/tmp\":\"rw,exec\"}"},
    {"HostConfig.VolumesFrom", "[\"other\"]"},
    {"HostConfig.VolumeDriver", "\"nfs\""},
    {"HostConfig.AutoRemove", "true"},
    {"HostConfig.RestartPolicy.Name", "\"always\""},
    {"HostConfig.RestartPolicy", "null"},
    {"HostConfig.LogConfig.Type", "\"json-file\""},
    {"HostConfig.LogConfig", "null"},
    {"HostConfig.MaskedPaths", "null"},
    {"HostConfig.MaskedPaths", "[]"},
    {"HostConfig.MaskedPaths", "[\"/proc/acpi\",\"/proc/asound\",\"/proc/keys\",\"/proc/scsi\","
                               "\"/proc/latency_stats\",\"/proc/sched_debug\",\"/sys/firmware\","
                               "\"/proc/timer_list\",\"/proc/timer_stats\"]"}, /* without kcore */
    {"HostConfig.ReadonlyPaths", NULL},
    {"HostConfig.ReadonlyPaths", "[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\"]"},
    {"Config.Image", "\"sha256:61df\""},
    {"Config.Hostname", "\"host\""},
    {"Config.Domainname", "\"example.com\""},
    {"Config.User", "\"\""},
    {"Config.User", "\"12345\""},
    {"Config.WorkingDir", "\"/tmp\""},
    {"Config.Entrypoint", "[\"/bin/sh\"]"},
    {"Config.Entrypoint", "null"},
    {"Config.Cmd", "[\"nonsense\"]"},
    {"Config.Healthcheck", "null"},
    {"Config.Healthcheck.Test", "[\"CMD-SHELL\",\"true\"]"},
    {"Config.StopSignal", "\"SIGKILL\""},
    {"Config.Tty", "true"},
    {"Config.OpenStdin", "true"},
    {"Config.StdinOnce", "true"},
    {"Config.AttachStdin", "true"},
    {"Config.AttachStdout", "true"},
    {"Config.AttachStderr", "true"},
    {"Config.Labels", "null"},
    {"Config.Labels", "{\"sandbox.instance\":\"0123456789abcdef\"}"},
    {"Path", "\"/sbin/docker-init\""},
    {"Args", "[\"--\",\"/.sandbox/guest\"]"},
    {"Args", "[\"/.sandbox/run\",\"0\",\"0\",\"/home/sandbox\",\"/workspace\"]"},
    {"NetworkSettings.Networks", "{\"bridge\":{}}"},
    {"AppArmorProfile", "\"unconfined\""},
    {"HostConfig", "null"},
    {"Config", NULL},
    {"Mounts", "[]"},
};
/* clang-format on */

static void
test_each_spoiled_field_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
        struct pair p = pair_of(&recordings[i]);

        for (size_t j = 0; j < ARRAY_LEN(spoiled); j++)
            assert_refused(&p, spoiled[j].path, spoiled[j].value, spoiled[j].path);
        pair_done(&p);
    }
}

static void
test_what_was_asked_with_a_network_is_not_taken_away(void **state)
{
    static const struct spoiled without[] = {
        {"HostConfig.Dns", "null"},
        {"HostConfig.DnsSearch", "[]"},
        {"HostConfig.DeviceRequests", "null"},
        {"HostConfig.NetworkMode", "\"none\""},
        {"Config.NetworkDisabled", "true"},
        {"NetworkSettings.Networks", "{\"posture-net\":{},\"bridge\":{}}"},
    };
    struct pair p = pair_of(&recordings[1]);
    struct pair none = pair_of(&recordings[0]);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(without); i++)
        assert_refused(&p, without[i].path, without[i].value, without[i].path);
    assert_refused(&none, "Config.NetworkDisabled", NULL, "Config.NetworkDisabled");
    pair_done(&p);
    pair_done(&none);
}

/* Engines differ in how they say nothing; some say less, and later ones will say more. */
static void
test_nothing_is_nothing_and_the_unknown_is_not_looked_at(void **state)
{
    static const char *const nothings[] = {NULL, "null", "[]", "{}", "\"\"", "0", "false"};
    static const char *const unasked[] = {
        "HostConfig.Privileged",
        "HostConfig.PidMode",
        "HostConfig.UsernsMode",
        "HostConfig.Sysctls",
        "HostConfig.Devices",
        "HostConfig.DeviceCgroupRules",
        "HostConfig.PortBindings",
        "HostConfig.OomKillDisable",
        "HostConfig.Mounts",
        "HostConfig.VolumesFrom",
        "HostConfig.Annotations",
        "HostConfig.MemorySwappiness",
        "HostConfig.Init",
        "Config.Cmd",
        "Config.Tty",
        "AppArmorProfile",
        "NetworkSettings",
    };
    static const struct spoiled unknown[] = {
        {"HostConfig.Newer", "{\"Mode\":\"on\"}"},
        {"Config.Newer", "[1]"},
        {"Newer", "true"},
        {"HostConfig.RestartPolicy.Newer", "3"},
        {"HostConfig.LogConfig.Config", "{\"max-size\":\"1m\"}"},
        {"Config.Healthcheck.StartInterval", "5000000000"},
        {"Config.Env", "[\"LD_PRELOAD=/x.so\"]"},
        {"Config.ExposedPorts", "{\"80/tcp\":{}}"},
        {"HostConfig.CgroupnsMode", "\"private\""},
        {"AppArmorProfile", "\"docker-default\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
        struct pair p = pair_of(&recordings[i]);

        for (size_t j = 0; j < ARRAY_LEN(unasked) * ARRAY_LEN(nothings); j++)
            assert_passes(&p, unasked[j / ARRAY_LEN(nothings)], nothings[j % ARRAY_LEN(nothings)]);
        for (size_t j = 0; j < ARRAY_LEN(unknown); j++)
            assert_passes(&p, unknown[j].path, unknown[j].value);
        pair_done(&p);
    }
}

static void
test_a_cgroup_namespace_that_was_asked_for_is_not_the_host_s(void **state)
{
    struct pair p = pair_of(&recordings[2]);

    (void)state;
    assert_refused(&p, "HostConfig.CgroupnsMode", "\"host\"", "HostConfig.CgroupnsMode");
    pair_done(&p);
}

static void
test_a_long_value_is_cut_for_the_log(void **state)
{
    struct pair p = pair_of(&recordings[0]);
    char value[2048];
    struct error err;

    (void)state;
    memset(value, 'x', sizeof(value));
    value[0] = value[sizeof(value) - 2] = '"';
    value[sizeof(value) - 1] = '\0';
    assert_int_equal(check_with(&p, "HostConfig.PidMode", value, &err), -EREMOTEIO);
    assert_memory_equal(err.detail, "HostConfig.PidMode is \"xxxx", 27);
    assert_int_equal(check_with(&p, "HostConfig.PidMode", "\"host\"", &err), -EREMOTEIO);
    assert_string_equal(err.detail, "HostConfig.PidMode is \"host\"");
    pair_done(&p);
}

/* A mirror() of an engine that adds a capability. */
static char *
mirror_more(const char *body)
{
    _cleanup_(freep) char *text = mirror_create(body);
    json_auto_t *made = json_loads(text, 0, NULL);

    json_array_append_new(json_object_get(json_object_get(made, "HostConfig"), "CapAdd"),
                          json_string("SYS_ADMIN"));
    return json_dumps(made, JSON_COMPACT);
}

static void
test_what_is_not_as_asked_or_not_to_be_seen_is_removed(void **state)
{
    static const struct {
        int status;
        const char *answer;
        enum fake_how how;
        const char *name, *words;
    } cases[] = {
        {200, "", FAKE_MIRROR, "docker_error", "(HostConfig.CapAdd)"},
        {200, "{}", FAKE_PLAIN, "docker_error", "(HostConfig."},
        {200, "nonsense", FAKE_PLAIN, "internal", ""},
        {404, "{\"message\":\"No such container\"}", FAKE_PLAIN, "docker_error", "lost"},
        {500, "{\"message\":\"a plugin broke\"}", FAKE_PLAIN, "docker_error", "a plugin broke"},
        {200, "{}", FAKE_CUT, "docker_unavailable", ""},
    };

    (void)state;
    fake.mirror = mirror_more;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            create_routes[0],
            create_routes[1],
            {"GET /v1.41/containers/5e78/json", cases[i].status, cases[i].answer, cases[i].how},
            create_routes[3],
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        const struct docker_create spec = recorded_spec(true, false);
        char id[DOCKER_ID_SIZE] = "untouched", last[512];
        struct error e = {0};

        fake_docker_serve(&fake, routes);
        docker_container_create(d, &spec, id, &e);
        assert_error(&e, cases[i].name, cases[i].words);
        assert_string_equal(id, "untouched");
        fake_docker_asked(&fake, asked_count() - 1, last);
        assert_string_equal(last, "DELETE /v1.41/containers/5e78?force=1&v=1");
    }
    fake.mirror = mirror_create;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_answers_pass),
        cmocka_unit_test(test_each_spoiled_field_is_refused),
        cmocka_unit_test(test_what_was_asked_with_a_network_is_not_taken_away),
        cmocka_unit_test(test_nothing_is_nothing_and_the_unknown_is_not_looked_at),
        cmocka_unit_test(test_a_cgroup_namespace_that_was_asked_for_is_not_the_host_s),
        cmocka_unit_test(test_a_long_value_is_cut_for_the_log),
        cmocka_unit_test(test_what_is_not_as_asked_or_not_to_be_seen_is_removed),
    };

    return docker_case_run(tests);
}
