/*
 * backend/docker's containers after their creation: their life, lists, inspection and figures.
 */
#include "tests/unit/docker_case.h"

static int
do_start(struct docker *d, struct error *e)
{
    return docker_container_start(d, "x", e);
}

static int
do_stop(struct docker *d, struct error *e)
{
    return docker_container_stop(d, "x", 7, e);
}

static int
do_kill(struct docker *d, struct error *e)
{
    return docker_container_kill(d, "x", e);
}

static int
do_remove(struct docker *d, struct error *e)
{
    return docker_container_remove(d, "x", e);
}

static void
test_lifecycle(void **state)
{
    static const char start[] = "POST /v1.41/containers/x/start";
    static const char stop[] = "POST /v1.41/containers/x/stop?t=7";
    static const char kill[] = "POST /v1.41/containers/x/kill?signal=SIGKILL";
    static const char remove[] = "DELETE /v1.41/containers/x?force=1&v=1";
    static const struct {
        int (*call)(struct docker *d, struct error *e);
        const char *asked;
        int status;
        const char *name;
    } cases[] = {
        {do_start, start, 204, "none"},
        {do_start, start, 304, "none"},
        {do_start, start, 404, "not_found"},
        {do_start, start, 500, "docker_error"},
        {do_stop, stop, 204, "none"},
        {do_stop, stop, 304, "none"},
        {do_stop, stop, 404, "not_found"},
        {do_stop, stop, 409, "conflict"},
        {do_kill, kill, 204, "none"},
        {do_kill, kill, 404, "not_found"},
        {do_kill, kill, 409, "none"},
        {do_remove, remove, 204, "none"},
        {do_remove, remove, 404, "none"},
        {do_remove, remove, 409, "none"},
        {do_remove, remove, 500, "docker_error"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool empty = cases[i].status < 400;
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {cases[i].asked, cases[i].status, empty ? "" : "{\"message\":\"m\"}", FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct error e = {0};
        int r;

        print_message("%s -> %d\n", cases[i].asked, cases[i].status);
        fake_docker_serve(&fake, routes);
        r = cases[i].call(d, &e);
        assert_error(&e, cases[i].name, "");
        assert_int_equal(r == 0, e.code == ERR_NONE);
        assert_asked(1, cases[i].asked);
    }
}

/* Only what is to change is named: a limit of 0 would be none. */
static void
test_update(void **state)
{
    static const struct {
        struct docker_limits limits;
        const char *body;
    } cases[] = {
        {{.cpu_cores = 0.5, .memory_mb = 64, .pids_limit = 9},
         "{\"CpuPeriod\": 100000, \"CpuQuota\": 50000, \"Memory\": 67108864,"
         " \"MemorySwap\": 67108864, \"PidsLimit\": 9}"},
        {{.pids_limit = 9}, "{\"PidsLimit\": 9}"},
        {{.cpu_cores = 0.001}, "{\"CpuPeriod\": 100000, \"CpuQuota\": 1000}"},
    };
    static const char asked[] = "POST /v1.41/containers/x/update";
    const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {asked, 200, "{\"Warnings\":null}", FAKE_PLAIN},
        {0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(docker_freep) struct docker *d = new_client();
        json_auto_t *sent = NULL, *expected = json_loads(cases[i].body, 0, NULL);
        _cleanup_(freep) char *body = NULL;

        fake_docker_serve(&fake, routes);
        assert_int_equal(docker_container_update(d, "x", &cases[i].limits, NULL), 0);
        assert_asked(1, asked);
        body = fake_docker_body(&fake);
        sent = json_loads(body, 0, NULL);
        assert_true(json_equal(sent, expected));
        assert_int_equal(docker_container_update(d, "x/../y", &cases[i].limits, NULL), -EINVAL);
    }
}

static void
test_stop_grace(void **state)
{
    _cleanup_(docker_freep) struct docker *d = new_client();
    static const int graces[] = {-1, 3601};

    (void)state;
    fake_docker_serve(&fake, NULL);
    for (size_t i = 0; i < ARRAY_LEN(graces); i++)
        assert_int_equal(docker_container_stop(d, "x", graces[i], NULL), -EINVAL);
    assert_int_equal(asked_count(), 0);
}

/* Every function that puts an id or a reference into a path checks it before anything is sent. */
static void
test_nothing_sent(void **state)
{
    static const char bad[] = "x/../../images/prune";
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct docker_container c;
    struct docker_stats stats;

    (void)state;
    fake_docker_serve(&fake, NULL);
    assert_int_equal(docker_container_start(d, bad, NULL), -EINVAL);
    assert_int_equal(docker_container_stop(d, bad, 1, NULL), -EINVAL);
    assert_int_equal(docker_container_kill(d, bad, NULL), -EINVAL);
    assert_int_equal(docker_container_remove(d, bad, NULL), -EINVAL);
    assert_int_equal(docker_container_inspect(d, bad, true, &c, NULL), -EINVAL);
    assert_int_equal(docker_container_stats(d, bad, &stats, NULL), -EINVAL);
    assert_int_equal(docker_image_inspect(d, bad, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(docker_image_import(d, -1, bad, "x", NULL), -EINVAL);
    assert_int_equal(docker_image_import(d, -1, "x", bad, NULL), -EINVAL);
    assert_int_equal(asked_count(), 0);
}

static void
test_list(void **state)
{
    static const char path[] = "GET /v1.41/containers/json?all=1&size=1&filters="
                               "%7B%22label%22%3A%5B%22dkr%3Dyes%22%5D%7D";
    _cleanup_(freep) char *text = read_data(DATA "list-20.10.json");
    const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {path, 200, text, FAKE_CHUNKED},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct docker_container *list = NULL;
    size_t count = 0;

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_container_list(d, "dkr=yes", true, &list, &count, NULL), 0);
    assert_asked(1, path);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].name, "dkr-c");
    assert_false(list[0].running);
    assert_string_equal(list[2].name, "dkr-a");
    assert_true(list[2].running);
    assert_int_equal(strlen(list[2].id), 64);
    assert_int_equal(list[2].size_rw, 0); /* left out by the engine */
    assert_string_equal(json_string_value(json_object_get(list[2].labels, "dkr")), "yes");
    docker_container_list_free(list, count);
}

static void
test_list_variants(void **state)
{
    static const struct {
        const char *body;
        const char *name;
        size_t count;
        bool running;
        const char *label; /* of "a" in the first */
    } cases[] = {
        {"[]", "none", 0, false, NULL},
        {"[{\"Id\":\"1\",\"Names\":null,\"State\":\"paused\",\"Labels\":null}]", "none", 1, true,
         NULL},
        {"[{\"Id\":\"1\",\"State\":\"exited\",\"Labels\":{\"a\":\"b\"}}]", "none", 1, false, "b"},
        /* A stranger's image: names and values with NUL and bytes that the engine replaced. */
        {"[{\"Id\":\"1\",\"State\":\"running\",\"Labels\":{\"\\u0000\":\"\",\"\\ufffd\":\"\","
         "\"\\ufffd\":\"\",\"a\":\"x\\u0000\\\\u0000\"}}]",
         "none", 1, true, "x\xef\xbf\xbd\\u0000"},
        {"{}", "internal", 0, false, NULL},
        {"[7]", "internal", 0, false, NULL},
        {"[{\"Id\":\"1\"}]", "internal", 0, false, NULL},
        {"[{\"Id\":\"1\",\"State\":\"exited\",\"Labels\":{\"a\":\"b\"}},{\"State\":\"exited\"}]",
         "internal", 0, false, NULL},
        {"[{\"Id\":\"12345678901234567890123456789012345678901234567890123456789012345\","
         "\"State\":\"exited\"}]",
         "internal", 0, false, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"GET /v1.41/containers/json?all=1&size=0&filters=", 200, cases[i].body, FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct docker_container *list = NULL;
        struct error e = {0};
        size_t count = 0;

        print_message("list %s\n", cases[i].body);
        fake_docker_serve(&fake, routes);
        docker_container_list(d, "a=b", false, &list, &count, &e);
        assert_error(&e, cases[i].name, "");
        assert_int_equal(count, cases[i].count);
        if (count > 0) {
            const char *label = json_string_value(json_object_get(list[0].labels, "a"));

            assert_int_equal(list[0].running, cases[i].running);
            assert_int_equal(list[0].size_rw, -1);
            assert_string_equal(label ? label : "(none)",
                                cases[i].label ? cases[i].label : "(none)");
        }
        docker_container_list_free(list, count);
    }
}

static void
test_inspect(void **state)
{
    _cleanup_(freep) char *text = read_data(DATA "inspect-20.10.json");
    const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"GET /v1.41/containers/dkr-a/json?size=1", 200, text, FAKE_PLAIN},
        {"GET /v1.41/containers/oom/json", 200,
         "{\"Id\":\"1\",\"Name\":\"/"
         "oom\",\"State\":{\"Running\":false,\"OOMKilled\":true,\"Pid\":0}}",
         FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct docker_container c;

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_container_inspect(d, "dkr-a", true, &c, NULL), 0);
    assert_string_equal(c.name, "dkr-a");
    assert_int_equal(strlen(c.id), 64);
    assert_true(c.running);
    assert_false(c.oom_killed);
    assert_true(c.pid > 0);
    assert_int_equal(c.size_rw, 0);
    assert_string_equal(json_string_value(json_object_get(c.labels, "dkr")), "yes");
    docker_container_done(&c);
    assert_null(c.labels);

    assert_int_equal(docker_container_inspect(d, "oom", false, &c, NULL), 0);
    assert_asked(2, "GET /v1.41/containers/oom/json");
    assert_false(c.running);
    assert_true(c.oom_killed);
    assert_int_equal(c.pid, 0);
    assert_int_equal(c.size_rw, -1);
    docker_container_done(&c);
}

static void
test_stats(void **state)
{
    static const struct {
        const char *file, *body; /* either */
        const char *name;
        struct docker_stats expected;
    } cases[] = {
        {DATA "stats-v1-20.10.json", NULL, "none", {55999609, 2527232 - 1949696, 1}},
        {DATA "stats-v2.json", NULL, "none", {100093996, 6537216 - 1097728, 3}},
        {DATA "stats-stopped-20.10.json", NULL, "none", {0, 0, 0}},
        {NULL, "{\"memory_stats\":{\"usage\":9,\"stats\":{\"cache\":2}}}", "none", {0, 7, 0}},
        {NULL,
         "{\"memory_stats\":{\"usage\":9,\"stats\":{\"inactive_file\":1,\"total_inactive_file\":2}}"
         "}",
         "none",
         {0, 7, 0}},
        {NULL,
         "{\"memory_stats\":{\"usage\":9,\"stats\":{\"inactive_file\":10}}}",
         "none",
         {0, 0, 0}},
        {NULL, "{\"memory_stats\":{\"usage\":9}}", "none", {0, 9, 0}},
        {NULL,
         "{\"pids_stats\":{\"current\":-1},\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":\"7\"}}}",
         "none",
         {0, 0, 0}},
        {NULL, "{\"pids_stats\":{\"current\":1e300}}", "none", {0, 0, 0}},
        {NULL,
         "{\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":9007199254740991}}}",
         "none",
         {9007199254740991, 0, 0}},
        {NULL, "{}", "none", {0, 0, 0}},
        {NULL, "[]", "internal", {0, 0, 0}},
    };
    static const char path[] = "GET /v1.41/containers/x/stats?stream=false&one-shot=true";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *text =
            cases[i].file ? read_data(cases[i].file) : strdup(cases[i].body);
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN}, {path, 200, text, FAKE_CHUNKED}, {0}};
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct docker_stats s = {0};
        struct error e = {0};

        print_message("stats %s\n", cases[i].file ? cases[i].file : cases[i].body);
        fake_docker_serve(&fake, routes);
        docker_container_stats(d, "x", &s, &e);
        assert_error(&e, cases[i].name, "");
        assert_asked(1, path);
        assert_int_equal(s.cpu_ns, cases[i].expected.cpu_ns);
        assert_int_equal(s.memory_bytes, cases[i].expected.memory_bytes);
        assert_int_equal(s.pids, cases[i].expected.pids);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lifecycle), cmocka_unit_test(test_stop_grace),
        cmocka_unit_test(test_update),    cmocka_unit_test(test_nothing_sent),
        cmocka_unit_test(test_list),      cmocka_unit_test(test_list_variants),
        cmocka_unit_test(test_inspect),   cmocka_unit_test(test_stats),
    };

    return docker_case_run(tests);
}
