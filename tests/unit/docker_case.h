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

/* The members of Mounts that the engine makes of @binds. */
static inline json_t *
mirror_mounts(json_t *binds)
{
    json_t *mounts = json_array(), *bind;
    size_t i;

    json_array_foreach(binds, i, bind)
    {
        char source[256] = "", target[256] = "", mode[64] = "";

        sscanf(json_string_value(bind), "%255[^:]:%255[^:]:%63s", source, target, mode);
        json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "Type", "bind",
                                                "Source", source, "Destination", target, "Mode",
                                                mode, "RW", !strstr(mode, "ro"), "Propagation",
                                                strstr(mode, "rslave") ? "rslave" : "rprivate"));
    }
    return mounts;
}

/* A mirror() for fake_docker.h: the ContainerInspect of an engine that makes exactly what the
 * ContainerCreate @body asks for. */
static inline char *
mirror_create(const char *body)
{
    json_auto_t *config = json_loads(body, 0, NULL);
    json_auto_t *host = json_incref(json_object_get(config, "HostConfig"));
    json_auto_t *words = json_deep_copy(json_object_get(config, "Entrypoint"));
    json_auto_t *path = json_incref(json_array_get(words, 0));
    json_auto_t *made = NULL;

    if (path)
        json_array_remove(words, 0);
    json_object_del(config, "HostConfig");
    /* clang-format off */
    json_object_set_new(host, "MaskedPaths", json_pack("[s,s,s,s,s,s,s,s,s,s]", "/proc/asound",
        "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"));
    json_object_set_new(host, "ReadonlyPaths", json_pack("[s,s,s,s,s]", "/proc/bus", "/proc/fs",
        "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"));
    made = json_pack("{s:s, s:O*, s:O, s:O, s:O, s:o, s:{s:b}}", "Id", "5e78", "Path", path,
        "Args", words, "Config", config, "HostConfig", host,
        "Mounts", mirror_mounts(json_object_get(host, "Binds")), "State", "Running", 0);
    /* clang-format on */
    return json_dumps(made, JSON_COMPACT);
}

static inline int
start_fake(void **state)
{
    bool started = fake_docker_start(&fake);

    (void)state;
    fake.mirror = mirror_create;
    return started ? 0 : -1;
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
