/* Logins of registries: what is read from the file, and what the engine is told. */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "backend/docker/credentials.h"

static char path[] = "/tmp/test-logins.XXXXXX";

static int
setup(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int
teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void
write_file(const char *text)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* What the header says, as JSON. */
static json_t *
decode(const char *header, const char *name)
{
    char text[4096];
    size_t len = 0, prefix = strlen(name) + 2;

    assert_int_equal(strncmp(header, name, strlen(name)), 0);
    assert_int_equal(sodium_base642bin((unsigned char *)text, sizeof(text), header + prefix,
                                       strlen(header + prefix), NULL, &len, NULL,
                                       sodium_base64_VARIANT_URLSAFE),
                     0);
    return json_loadb(text, len, 0, NULL);
}

/* base64: "ann:a:b", "hub:h" */
#define FILE_TEXT                                                                                  \
    "{\"auths\": {\"https://reg.example:5000/v2/\": {\"auth\": \"YW5uOmE6Yg==\"},"                 \
    " \"https://index.docker.io/v1/\": {\"auth\": \"aHViOmg=\"}}}"

static void
the_login_of_the_registry_is_found(void **state)
{
    static const struct {
        const char *reference, *user, *password, *server;
    } cases[] = {
        {"reg.example:5000/a/b:c", "ann", "a:b", "reg.example:5000"},
        {"busybox", "hub", "h", "https://index.docker.io/v1/"},
        {"team/tool:v1", "hub", "h", "https://index.docker.io/v1/"},
        {"docker.io/library/busybox", "hub", "h", "https://index.docker.io/v1/"},
        {"reg.example/a", NULL, NULL, NULL},
        {"localhost/a", NULL, NULL, NULL},
        {"evil.example/reg.example:5000/a", NULL, NULL, NULL},
    };
    _cleanup_(docker_credentials_freep) struct docker_credentials *c = NULL;

    (void)state;
    write_file(FILE_TEXT);
    assert_int_equal(docker_credentials_read(path, &c, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(docker_credentials_wipe) char *header = NULL;
        json_auto_t *json = NULL;

        print_message("case %s\n", cases[i].reference);
        assert_int_equal(docker_credentials_auth(c, cases[i].reference, &header, NULL), 0);
        if (!cases[i].user) {
            assert_string_equal(header, "");
            continue;
        }
        json = decode(header, "X-Registry-Auth");
        assert_string_equal(json_string_value(json_object_get(json, "username")), cases[i].user);
        assert_string_equal(json_string_value(json_object_get(json, "password")),
                            cases[i].password);
        assert_string_equal(json_string_value(json_object_get(json, "serveraddress")),
                            cases[i].server);
    }
}

static void
a_build_gets_all_of_them(void **state)
{
    _cleanup_(docker_credentials_freep) struct docker_credentials *c = NULL, *none = NULL;
    _cleanup_(docker_credentials_wipe) char *header = NULL, *empty = NULL;
    json_auto_t *json = NULL;

    (void)state;
    write_file(FILE_TEXT);
    assert_int_equal(docker_credentials_read(path, &c, NULL), 0);
    assert_int_equal(docker_credentials_config(c, &header, NULL), 0);
    json = decode(header, "X-Registry-Config");
    assert_int_equal(json_object_size(json), 2);
    assert_non_null(json_object_get(json, "reg.example:5000"));
    assert_non_null(json_object_get(json, "https://index.docker.io/v1/"));
    assert_int_equal(docker_credentials_read("", &none, NULL), 0);
    assert_int_equal(docker_credentials_config(none, &empty, NULL), 0);
    assert_string_equal(empty, "");
}

static void
a_broken_file_is_named_and_its_content_is_not(void **state)
{
    static const char *const cases[] = {
        "",
        "secret",
        "[]",
        "{\"auths\": \"secret\"}",
        "{\"auths\": {\"secret\": 7}}",
        "{\"auths\": {\"secret\": {\"auth\": \"secret!\"}}}",
        "{\"auths\": {\"h\": {\"auth\": \"c2VjcmV0\"}}}",         /* no colon */
        "{\"auths\": {\"h\": {\"auth\": \"OnNlY3JldA==\"}}}",     /* no user */
        "{\"auths\": {\"h\": {\"auth\": \"YTpzZWNyZXQAYg==\"}}}", /* a NUL */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct docker_credentials *c = NULL;
        struct error e = {0};

        print_message("case %s\n", cases[i]);
        write_file(cases[i]);
        assert_int_equal(docker_credentials_read(path, &c, &e), -EEXIST);
        assert_non_null(strstr(e.msg, "test-logins"));
        assert_null(strstr(e.msg, "/tmp"));
        assert_null(strstr(e.msg, "secret"));
        assert_null(strstr(e.detail, "secret"));
    }
}

static void
what_is_no_file_or_too_large_is_refused(void **state)
{
    struct docker_credentials *c = NULL;
    FILE *f = fopen(path, "we");

    (void)state;
    assert_int_equal(docker_credentials_read("/tmp", &c, NULL), -EEXIST);
    assert_int_equal(docker_credentials_read("/nonexistent/file", &c, NULL), -EEXIST);
    assert_int_equal(docker_credentials_read("/dev/zero", &c, NULL), -EEXIST);
    assert_non_null(f);
    for (int i = 0; i < 300 * 1024; i++)
        fputc(' ', f);
    fclose(f);
    assert_int_equal(docker_credentials_read(path, &c, NULL), -EEXIST);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_login_of_the_registry_is_found),
        cmocka_unit_test(a_build_gets_all_of_them),
        cmocka_unit_test(a_broken_file_is_named_and_its_content_is_not),
        cmocka_unit_test(what_is_no_file_or_too_large_is_refused),
    };

    return sodium_init() < 0 ? 1
                             : cmocka_run_group_tests_name("credentials", tests, setup, teardown);
}
