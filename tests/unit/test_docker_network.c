/* Networks of the engine: what is asked for, and what is read out of the answer. */
#include "tests/unit/docker_case.h"

static const struct docker_network usual = {.name = "sandbox-1-full", .bridge = "sbx1"};

#define OPTIONS                                                                                    \
    "{\"com.docker.network.bridge.enable_icc\":\"false\","                                         \
    "\"com.docker.network.bridge.enable_ip_masquerade\":\"false\","                                \
    "\"com.docker.network.bridge.name\":\"sbx1\"}"

static void
a_network_is_asked_for_with_all_that_matters(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /v1.41/networks/create", 201, "{\"Id\":\"77\",\"Warning\":\"\"}", FAKE_PLAIN},
        {0},
    };
    static const char expected[] =
        "{\"Attachable\":false,\"CheckDuplicate\":true,\"Driver\":\"bridge\",\"EnableIPv6\":false,"
        "\"Ingress\":false,\"Internal\":false,\"Labels\":{\"a\":\"b\"},"
        "\"Name\":\"sandbox-1-full\",\"Options\":" OPTIONS "}";
    _cleanup_(docker_freep) struct docker *d = new_client();
    _cleanup_(freep) char *sent = NULL, *sorted = NULL;
    json_auto_t *labels = json_pack("{s:s}", "a", "b");
    json_auto_t *body = NULL;

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_network_create(d, &usual, labels, NULL), 0);
    sent = fake_docker_body(&fake);
    body = json_loads(sent, JSON_REJECT_DUPLICATES, NULL);
    sorted = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(sorted, expected);
}

static void
a_name_that_is_none_is_not_asked_for(void **state)
{
    _cleanup_(docker_freep) struct docker *d = new_client();
    const struct docker_network bad[] = {
        {.name = "a/b", .bridge = "sbx1"}, {.name = "a", .bridge = "b?c"}, {.name = "a"}};
    json_auto_t *labels = json_object();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error e = {0};

        assert_int_equal(docker_network_create(d, &bad[i], labels, &e), -EINVAL);
        assert_error(&e, "validation_failed", "");
    }
}

/* What an engine says of a network, and what is read in it. */
static void
a_network_is_read(void **state)
{
    static const struct {
        const char *answer, *bridge, *driver, *labels;
        bool icc, ipv6;
    } cases[] = {
        {"{\"Name\":\"n\",\"Driver\":\"bridge\",\"EnableIPv6\":false,\"Labels\":{\"a\":\"b\"},"
         "\"Options\":" OPTIONS "}",
         "sbx1", "bridge", "{\"a\":\"b\"}", false, false},
        {"{\"Name\":\"n\",\"Driver\":\"overlay\",\"EnableIPv6\":true,\"Labels\":null,"
         "\"Options\":{}}",
         "", "overlay", "{}", true, true},
        {"{\"Name\":\"n\",\"Options\":{\"com.docker.network.bridge.enable_icc\":\"true\","
         "\"com.docker.network.bridge.name\":\"a-name-that-no-interface-has\"}}",
         "", "", "{}", true, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"GET /v1.41/networks/n", 200, cases[i].answer, FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        _cleanup_(freep) char *text = NULL;
        json_auto_t *labels = NULL;
        struct docker_network n = {0};

        print_message("%s\n", cases[i].answer);
        fake_docker_serve(&fake, routes);
        assert_int_equal(docker_network_inspect(d, "n", &n, &labels, NULL), 0);
        text = json_dumps(labels, JSON_COMPACT);
        assert_string_equal(text, cases[i].labels);
        assert_string_equal(n.bridge, cases[i].bridge);
        assert_string_equal(n.driver, cases[i].driver);
        assert_int_equal(n.icc, cases[i].icc);
        assert_int_equal(n.ipv6, cases[i].ipv6);
    }
}

static void
answers_that_are_no_network_are_errors(void **state)
{
    static const struct {
        int status;
        const char *body, *name;
    } cases[] = {
        {404, "{\"message\":\"network n not found\"}", "not_found"},
        {200, "{}", "internal"},
        {200, "[]", "internal"},
        {500, "{\"message\":\"no\"}", "docker_error"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"GET /v1.41/networks/n", cases[i].status, cases[i].body, FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct docker_network n = {0};
        json_t *labels = NULL;
        struct error e = {0};

        fake_docker_serve(&fake, routes);
        docker_network_inspect(d, "n", &n, &labels, &e);
        assert_error(&e, cases[i].name, "");
        assert_null(labels);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_is_asked_for_with_all_that_matters),
        cmocka_unit_test(a_name_that_is_none_is_not_asked_for),
        cmocka_unit_test(a_network_is_read),
        cmocka_unit_test(answers_that_are_no_network_are_errors),
    };

    return docker_case_run(tests);
}
