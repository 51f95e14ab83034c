/*
 * How GPUs reach a container: what the engine says of its ways to give them out, and the device
 * requests that it gets.
 */
#include "tests/unit/docker_case.h"

static void
test_gpu_runtime(void **state)
{
    static const struct {
        const char *info, *expected;
    } cases[] = {
        {"{\"Driver\":\"overlay2\"}", ""},
        {"{\"Driver\":\"overlay2\",\"Runtimes\":{\"runc\":{},\"nvidia\":{}}}", "nvidia"},
        {"{\"Driver\":\"overlay2\",\"Runtimes\":{\"nvidia-cdi\":{}}}", ""},
        {"{\"Driver\":\"overlay2\",\"CDISpecDirs\":[]}", ""},
        {"{\"Driver\":\"overlay2\",\"CDISpecDirs\":[\"/etc/cdi\"]}", "cdi"},
        {"{\"Driver\":\"overlay2\",\"CDISpecDirs\":[\"/etc/cdi\"],\"DiscoveredDevices\":[]}", ""},
        {"{\"Driver\":\"overlay2\",\"CDISpecDirs\":[\"/etc/cdi\"],\"DiscoveredDevices\":"
         "[{\"Source\":\"cdi\",\"ID\":\"vendor.com/nic=0\"}]}",
         ""},
        {"{\"Driver\":\"overlay2\",\"DiscoveredDevices\":"
         "[{\"Source\":\"cdi\",\"ID\":\"nvidia.com/gpu=0\"}]}",
         "cdi"},
        {"{\"Driver\":\"overlay2\",\"Runtimes\":{\"nvidia\":{}},\"CDISpecDirs\":[\"/etc/cdi\"]}",
         "nvidia"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"GET /v1.41/info", 200, cases[i].info, FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct docker_info info = {0};

        print_message("info %s\n", cases[i].info);
        fake_docker_serve(&fake, routes);
        assert_int_equal(docker_info(d, &info, NULL), 0);
        assert_string_equal(info.gpu_runtime, cases[i].expected);
    }
}

static int
create(int64_t mask, const char *runtime, struct error *err)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /v1.41/containers/create", 201, "{\"Id\":\"5e78\"}", FAKE_PLAIN},
        {"GET /v1.41/containers/5e78/json", 200, "", FAKE_MIRROR},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    const struct docker_create spec = {
        .name = "sandbox-1",
        .image = "base",
        .cpu_cores = 1,
        .memory_mb = 64,
        .pids_limit = 8,
        .gpu_mask = mask,
        .gpu_runtime = runtime,
    };
    char id[DOCKER_ID_SIZE];

    fake_docker_serve(&fake, routes);
    return docker_container_create(d, &spec, id, err);
}

static void
test_device_requests(void **state)
{
    static const struct {
        int64_t mask;
        const char *runtime, *expected;
    } cases[] = {
        {0, NULL, "null"},
        {0, "nvidia", "null"},
        {1, "nvidia",
         "[{\"Capabilities\":[[\"gpu\"]],\"DeviceIDs\":[\"0\"],\"Driver\":\"nvidia\"}]"},
        {INT64_C(1) << 62 | 4, "nvidia",
         "[{\"Capabilities\":[[\"gpu\"]],\"DeviceIDs\":[\"2\",\"62\"],\"Driver\":\"nvidia\"}]"},
        {6, "cdi",
         "[{\"DeviceIDs\":[\"nvidia.com/gpu=1\",\"nvidia.com/gpu=2\"],\"Driver\":\"cdi\"}]"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *sent = NULL, *text = NULL;
        json_auto_t *body = NULL;
        json_t *requests;

        assert_int_equal(create(cases[i].mask, cases[i].runtime, NULL), 0);
        sent = fake_docker_body(&fake);
        body = json_loads(sent, 0, NULL);
        requests = json_object_get(json_object_get(body, "HostConfig"), "DeviceRequests");
        text = requests ? json_dumps(requests, JSON_COMPACT | JSON_SORT_KEYS) : strdup("null");
        assert_string_equal(text, cases[i].expected);
    }
}

static void
test_gpus_without_a_way_to_them_are_not_asked_for(void **state)
{
    static const char *const runtimes[] = {NULL, ""};
    struct error err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(runtimes); i++) {
        error_clear(&err);
        assert_int_equal(create(1, runtimes[i], &err), -EINVAL);
        assert_error(&err, "validation_failed", "'nvidia' or 'cdi'");
        assert_int_equal(asked_count(), 0);
    }
    error_clear(&err);
    assert_int_equal(create(INT64_MIN, "nvidia", &err), -EINVAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpu_runtime),
        cmocka_unit_test(test_device_requests),
        cmocka_unit_test(test_gpus_without_a_way_to_them_are_not_asked_for),
    };

    return docker_case_run(tests);
}
