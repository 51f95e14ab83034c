/*
 * What the tests of backend/docker share: one double of the engine (fake_docker.h) for the program,
 * and assertions on what it was asked and what came back. Run from the repository's root.
 */
#ifndef TESTS_UNIT_DOCKER_CASE_H
#define TESTS_UNIT_DOCKER_CASE_H

#include <errno.h>

#include <curl/curl.h>

#include "tests/test.h"
#include "backend/docker/call.h"
#include "tests/unit/fake_docker.h"

#define DATA "tests/data/docker/"
#define VERSION(api, min)                                                                          \
    "{\"Version\":\"20.10.24\",\"ApiVersion\":\"" api "\",\"MinAPIVersion\":\"" min "\"}"
#define VERSION_141 VERSION("1.41", "1.12")

static struct fake_docker fake;

/* The client of one test. */
static inline struct docker *
new_client(void)
{
    struct docker *d = NULL;

    assert_int_equal(docker_new(fake.host, &d, NULL), 0);
    return d;
}

static inline char *
read_data(const char *path)
{
    struct buf b;
    FILE *f = fopen(path, "re");
    char piece[4096];
    size_t got;

    buf_init(&b, 1024 * 1024);
    assert_non_null(f);
    while ((got = fread(piece, 1, sizeof(piece), f)) > 0)
        assert_int_equal(buf_append(&b, piece, got), 0);
    fclose(f);
    return buf_take(&b);
}

static inline void
assert_asked(size_t index, const char *expected)
{
    char asked[512];

    fake_docker_asked(&fake, index, asked);
    assert_string_equal(asked, expected);
}

static inline size_t
asked_count(void)
{
    char asked[512];

    return fake_docker_asked(&fake, 0, asked);
}

/* @name and @part of the sentence are what the client of our API would see. "none": no error. */
static inline void
assert_error(const struct error *e, const char *name, const char *part)
{
    if (strcmp(error_name(e->code), name) != 0 || !strstr(e->msg, part))
        fail_msg("got %s \"%s\", expected %s \"%s\"", error_name(e->code), e->msg, name, part);
    assert_int_equal(e->retry_after_seconds > 0, e->code == ERR_DOCKER_DOWN);
}

static inline int
start_fake(void **state)
{
    (void)state;
    return fake_docker_start(&fake) ? 0 : -1;
}

static inline int
stop_fake(void **state)
{
    (void)state;
    fake_docker_stop(&fake);
    return 0;
}

/* The main() of such a test. */
#define docker_case_run(tests)                                                                     \
    (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK                                             \
         ? cmocka_run_group_tests(tests, start_fake, stop_fake)                                    \
         : 1)

#endif
