/*
 * backend/docker's connection: hosts, versions, broken answers, refusals, lost connections.
 */
#include "tests/unit/docker_case.h"

static void
test_hosts(void **state)
{
    static const struct {
        const char *host;
        bool good;
    } cases[] = {
        {"unix:///run/docker.sock", true},
        {"tcp://127.0.0.1:2375", true},
        {"tcp://[::1]:2375", true},
        {"tcp://docker.example.org:1", true},
        {"", false},
        {"unix://", false},
        {"unix://relative.sock", false},
        {"unix:///1234567890123456789012345678901234567890123456789012345678901234567890123456789"
         "0123456789012345678901234567890",
         false},
        {"http://127.0.0.1:2375", false},
        {"tcp://127.0.0.1", false},
        {"tcp://:2375", false},
        {"tcp://127.0.0.1:", false},
        {"tcp://127.0.0.1:0", false},
        {"tcp://127.0.0.1:65536", false},
        {"tcp://127.0.0.1:23x", false},
        {"tcp://127.0.0.1:2375/path", false},
        {"tcp://user@127.0.0.1:2375", false},
        {"tcp://a?b:2375", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(docker_freep) struct docker *d = NULL;
        struct error e = {0};

        print_message("host '%s'\n", cases[i].host);
        assert_int_equal(docker_new(cases[i].host, &d, &e), cases[i].good ? 0 : -EINVAL);
        assert_error(&e, cases[i].good ? "none" : "validation_failed",
                     cases[i].good ? "" : "unix:///run/docker.sock");
    }
}

static void
test_negotiation(void **state)
{
    static const struct {
        const char *body;
        const char *name, *part; /* of the error */
        const char *api;
    } cases[] = {
        {VERSION("1.41", "1.12"), "none", "", "1.41"},
        {VERSION("1.51", "1.24"), "none", "", "1.51"},
        {VERSION("1.52", "1.44"), "none", "", "1.52"},
        {VERSION("1.60", "1.52"), "none", "", "1.52"},
        {VERSION("1.100", "1.44"), "none", "", "1.52"}, /* by parts, not as text */
        {VERSION("2.0", "1.44"), "none", "", "1.52"},
        {"{\"Version\":\"4.3.1\",\"ApiVersion\":\"1.41\"}", "none", "", "1.41"},
        {VERSION("1.40", "1.12"), "docker_error", "too old: it speaks API 1.40", ""},
        {VERSION("1.9", "1.1"), "docker_error", "too old", ""},
        {VERSION("1.60", "1.53"), "docker_error", "too new: it wants API 1.53", ""},
        {VERSION("2.4", "2.0"), "docker_error", "too new", ""},
        {"{\"Version\":\"20.10.24\"}", "internal", "not what its API promises", ""},
        {"{\"Version\":\"20.10.24\",\"ApiVersion\":1.41}", "internal", "promises", ""},
        {VERSION("", "1.12"), "internal", "promises", ""},
        {VERSION("1", "1.12"), "internal", "promises", ""},
        {VERSION("1.41.2", "1.12"), "internal", "promises", ""},
        {VERSION("v1.41", "1.12"), "internal", "promises", ""},
        {VERSION("1.99999999999", "1.12"), "internal", "promises", ""},
        {VERSION("1.41", "new"), "internal", "promises", ""},
        {"{\"ApiVersion\":\"1.41\"}", "none", "", "1.41"},
        {"{\"Version\":7,\"ApiVersion\":\"1.41\"}", "none", "", "1.41"},
        {"[]", "internal", "promises", ""},
        {"{\"ApiVersion\":", "internal", "not JSON", ""},
        {"<html>", "internal", "not JSON", ""},
        {"", "internal", "empty", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {{"GET /version", 200, cases[i].body, FAKE_PLAIN}, {0}};
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct docker_info info = {0};
        struct error e = {0};

        print_message("version %s\n", cases[i].body);
        fake_docker_serve(&fake, routes);
        docker_version(d, &info, &e);
        assert_error(&e, cases[i].name, cases[i].part);
        assert_string_equal(docker_api(d), cases[i].api);
        assert_string_equal(info.api_version, e.code ? "" : cases[i].api);
    }
}

static void
test_transport(void **state)
{
    static const struct {
        enum fake_how how;
        int status;
        const char *body;
        const char *name, *part;
    } cases[] = {
        {FAKE_PLAIN, 200, "[1,2,3]", "none", ""},
        {FAKE_CHUNKED, 200, "[1,2,3]", "none", ""},
        {FAKE_PLAIN, 200, "[\"exactly as long as is\"]", "none", ""},
        {FAKE_PLAIN, 200, "[\"longer than what is OK\"]", "internal", "larger than 25 bytes"},
        {FAKE_CHUNKED, 200, "[\"longer than what is OK\"]", "internal", "larger than 25 bytes"},
        {FAKE_CUT, 200, "[1,2,3]", "docker_unavailable", "cut off"},
        {FAKE_CUT_CHUNKED, 200, "[1,2,3]", "docker_unavailable", "cut off"},
        {FAKE_NO_ANSWER, 200, "", "docker_unavailable", "without an answer"},
        {FAKE_SILENCE, 200, "", "docker_unavailable", "in time"},
        {FAKE_NOT_HTTP, 200, "SSH-2.0-OpenSSH_9.2\r\n\r\n", "internal", "cannot be understood"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /x", cases[i].status, cases[i].body, cases[i].how}, {0}};
        const struct docker_request req = {
            .method = "GET",
            .path = "/x",
            .timeout_ms = cases[i].how == FAKE_SILENCE ? 100 : 20000,
            .answer_max = 25,
        };
        _cleanup_(docker_http_freep) struct docker_http *h = NULL;
        _cleanup_(docker_answer_done) struct docker_answer a = {0};
        struct error e = {0};

        print_message("transport %d '%s'\n", (int)cases[i].how, cases[i].body);
        fake_docker_serve(&fake, routes);
        assert_int_equal(docker_http_new(fake.host, &h, NULL), 0);
        docker_http_call(h, &req, &a, &e);
        assert_error(&e, cases[i].name, cases[i].part);
        if (e.code == ERR_NONE)
            assert_string_equal(a.body.data, cases[i].body);
    }
}

static void
test_nobody_there(void **state)
{
    _cleanup_(docker_freep) struct docker *d = NULL;
    struct docker_info info;
    struct error e = {0};

    (void)state;
    assert_int_equal(docker_new("unix:///nonexistent/docker.sock", &d, NULL), 0);
    assert_int_equal(docker_info(d, &info, &e), -EHOSTDOWN);
    assert_error(&e, "docker_unavailable", "cannot connect to Docker");
}

static void
test_refusals(void **state)
{
    static const struct {
        int status;
        const char *body;
        const char *name, *part;
    } cases[] = {
        {404, "{\"message\":\"No such container: x\"}", "not_found",
         "Docker refused: No such container: x"},
        {409, "{\"message\":\"in use\"}", "conflict", "Docker refused: in use"},
        {500, "{\"message\":\"OCI runtime: a\\tb\\u001b[31m\\u009bc\"}", "docker_error",
         "Docker refused: OCI runtime: a b [31m  c"},
        {500, "{\"message\":\"mkdir /var/lib/docker/x: denied\"}", "docker_error",
         "Docker refused: mkdir [path]: denied"},
        {400, "{\"message\":\"bad\"}", "docker_error", "Docker refused: bad"},
        {503, "{}", "docker_error", "status 503 without a message"},
        {500, "{\"message\":7}", "docker_error", "status 500 without a message"},
        {502, "<html>Bad Gateway</html>", "docker_error", "status 502 without a message"},
        {500, "", "docker_error", "status 500 without a message"},
        {301, "", "internal", "unexpected status 301"},
        {200, "", "internal", "empty"},
        {200, "{\"Id\":", "internal", "not JSON"},
        {200, "[]", "internal", "not what its API promises"},
        {200, "{\"Id\":\"a\",\"Name\":\"/a\"}", "internal", "not what its API promises"},
        {200, "{\"Id\":7,\"State\":{\"Running\":true}}", "internal", "not what its API promises"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"GET /v1.41/containers/x/json", cases[i].status, cases[i].body, FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct docker_container c;
        struct error e = {0};

        print_message("refusal %d %s\n", cases[i].status, cases[i].body);
        fake_docker_serve(&fake, routes);
        docker_container_inspect(d, "x", false, &c, &e);
        assert_error(&e, cases[i].name, cases[i].part);
    }
}

static void
test_paths_are_checked(void **state)
{
    static const struct {
        const char *text;
        bool name, reference;
    } cases[] = {
        {"a", true, true},
        {"sandbox_1.a-b", true, true},
        {"localhost:5000/team/image:v1.2@sha256:0123", false, true},
        {"sha256:0123", false, true},
        {"", false, false},
        {".hidden", false, false},
        {"-v", false, false},
        {"a/../b", false, false},
        {"a//b", false, false},
        {"a b", false, false},
        {"a?force=1", false, false},
        {"a#b", false, false},
        {"a%2fb", false, false},
        {"a\nb", false, false},
        {"\xc3\xa4", false, false},
    };
    char longest[300];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("name or reference '%s'\n", cases[i].text);
        assert_int_equal(docker_name_check(cases[i].text, NULL), cases[i].name ? 0 : -EINVAL);
        assert_int_equal(docker_reference_check(cases[i].text, NULL),
                         cases[i].reference ? 0 : -EINVAL);
    }
    memset(longest, 'a', sizeof(longest));
    longest[129] = '\0';
    assert_int_equal(docker_name_check(longest, NULL), -EINVAL);
    assert_int_equal(docker_name_check(longest + 1, NULL), 0);
}

static void
test_messages(void **state)
{
    static const struct {
        const char *in, *out; /* cut to 7 bytes */
    } cases[] = {
        {NULL, ""},
        {"", ""},
        {"1234567", "1234567"},
        {"12345678", "1234567"},
        {"123456\xc3\xa4", "123456"}, /* not half a letter */
        {"12345\xc3\xa4"
         "b",
         "12345\xc3\xa4"},
        {"1234\xf0\x9f\x98\x80", "1234"},
        {"a\r\nb\x7f", "a  b "},
        {"\xc2\x9b"
         "31m",
         "  31m"},
        {"\xc2\xa0x", "\xc2\xa0x"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[8];

        docker_message(cases[i].in, out, sizeof(out));
        assert_string_equal(out, cases[i].out);
    }
}

/* What a client is told of this machine's files. */
static void
test_sentence(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {NULL, ""},
        {"/var/lib/docker/x", "[path]"},
        {"mkdir /var/lib/docker/overlay2/ab-1: no space left on device",
         "mkdir [path]: no space left on device"},
        {"error mounting \"/srv/state/workspaces/u/a\" to rootfs at \"/workspace\"",
         "error mounting \"[path]\" to rootfs at \"/workspace\""},
        {"open '/run/x',(/etc/docker/key.json)", "open '[path]',([path])"},
        {"src=/tmp/sandboxd-test.A/guests,dst=/.sandbox", "src=[path],dst=[path]"},
        {"Get \"https://localhost:1/v2/\": dial tcp", "Get \"https://localhost:1/v2/\": dial tcp"},
        {"dial unix:///var/run/docker.sock", "dial unix://[path]"},
        {"stat //srv/state/x and a//b", "stat [path] and a//b"},
        {"localhost:5000/a/b:latest not found", "localhost:5000/a/b:latest not found"},
        {"The command '/bin/sh -c exit 3' returned 3",
         "The command '/bin/sh -c exit 3' returned 3"},
        {"exec /proc/self/fd/7, /dev/null, /bind/x", "exec /proc/self/fd/7, /dev/null, [path]"},
        {"3/4 of / and ../x", "3/4 of / and ../x"},
        {"/\xc3\xa4/b is \xc3\xa4", "[path] is \xc3\xa4"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[200], small[8];

        docker_sentence(cases[i].in, out, sizeof(out));
        assert_string_equal(out, cases[i].out);
        docker_sentence(cases[i].in, small, sizeof(small));
        assert_true(strlen(small) < sizeof(small));
        assert_int_equal(strncmp(small, cases[i].out, strlen(small)), 0);
    }
}

/* A message longer than any sentence hides its paths wherever they are. */
static void
test_long_sentence(void **state)
{
    char message[4096], out[200];

    (void)state;
    for (size_t at = 0; at < 400; at++) {
        memset(message, 'x', sizeof(message));
        memcpy(message + at, " /srv/state/", 12);
        message[sizeof(message) - 1] = '\0';
        docker_sentence(message, out, sizeof(out));
        assert_null(strstr(out, "/s"));
    }
}

/* The engine was replaced by a newer one, and our connection closed: the next call finds out. */
static void
test_renegotiation(void **state)
{
    static const struct fake_route before[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /v1.41/containers/x/start", 204, "", FAKE_CLOSE_AFTER},
        {0},
    };
    static const struct fake_route after[] = {
        {"GET /version", 200, VERSION("1.45", "1.24"), FAKE_PLAIN},
        {"POST /v1.", 204, "", FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();

    (void)state;
    fake_docker_serve(&fake, before);
    assert_int_equal(docker_container_start(d, "x", NULL), 0);
    fake_docker_serve(&fake, after);
    assert_int_equal(docker_container_start(d, "x", NULL), 0);
    assert_int_equal(docker_container_start(d, "x", NULL), 0);
    assert_int_equal(docker_container_start(d, "x", NULL), 0);
    assert_asked(0, "POST /v1.41/containers/x/start");
    assert_asked(1, "GET /version");
    assert_asked(2, "POST /v1.45/containers/x/start");
    assert_asked(3, "POST /v1.45/containers/x/start");
    assert_int_equal(asked_count(), 4);
}

/* It was replaced by one that does not speak the old version: the call is repeated with another. */
static void
test_downgrade(void **state)
{
    static const struct fake_route before[] = {
        {"GET /version", 200, VERSION("1.52", "1.44"), FAKE_PLAIN},
        {"POST /v1.52/containers/x/start", 204, "", FAKE_CLOSE_AFTER},
        {0},
    };
    static const struct fake_route after[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /v1.52", 400, "{\"message\":\"client version 1.52 is too new\"}", FAKE_PLAIN},
        {"POST /v1.41", 204, "", FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct error e = {0};

    (void)state;
    fake_docker_serve(&fake, before);
    assert_int_equal(docker_container_start(d, "x", NULL), 0);
    fake_docker_serve(&fake, after);
    docker_container_start(d, "x", &e);
    assert_error(&e, "none", "");
    assert_asked(2, "POST /v1.41/containers/x/start");
    assert_int_equal(asked_count(), 3);
}

/* A bad request stays a bad request, and is not repeated, where the engine is the known one. */
static void
test_bad_request(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /v1.41/containers/x/start", 400, "{\"message\":\"bad\"}", FAKE_CLOSE_AFTER},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct error e = {0};

    (void)state;
    fake_docker_serve(&fake, routes);
    docker_container_start(d, "x", &e);
    assert_error(&e, "docker_error", "bad");
    assert_int_equal(asked_count(), 2);
}

/* A connection that dies as the request arrives is opened again; a new one that dies is an outage.
 */
static void
test_reconnection(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /v1.41/containers/x/start", 204, "", FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct error e = {0};

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_container_start(d, "x", NULL), 0);
    assert_int_equal(docker_container_start(d, "x", NULL), 0);
    assert_int_equal(fake_docker_connections(&fake), 1);
    fake_docker_drop(&fake, 1);
    docker_container_start(d, "x", &e);
    assert_error(&e, "none", "");
    assert_int_equal(fake_docker_connections(&fake), 2);
    fake_docker_drop(&fake, 2);
    docker_container_start(d, "x", &e);
    assert_error(&e, "docker_unavailable", "without an answer");
    assert_string_equal(docker_api(d), "");
    error_clear(&e);
    docker_container_start(d, "x", &e);
    assert_error(&e, "none", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),        cmocka_unit_test(test_negotiation),
        cmocka_unit_test(test_transport),    cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_paths_are_checked),
        cmocka_unit_test(test_sentence),     cmocka_unit_test(test_long_sentence),
        cmocka_unit_test(test_messages),     cmocka_unit_test(test_renegotiation),
        cmocka_unit_test(test_downgrade),    cmocka_unit_test(test_bad_request),
        cmocka_unit_test(test_reconnection),
    };

    return docker_case_run(tests);
}
