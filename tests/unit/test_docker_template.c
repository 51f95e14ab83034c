/* Images of templates against a double of the engine: builds, pulls, tags, and the streams that
 * tell of them. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/docker_case.h"

/* What the log function was given, and whether it wants more. */
struct seen {
    struct buf text;
    size_t silent; /* calls without text */
    size_t until;  /* text that it takes before it gives up; 0: all */
};

static int
see(void *arg, const char *text, size_t len)
{
    struct seen *s = arg;

    if (len == 0)
        s->silent++;
    assert_int_equal(buf_append(&s->text, text ? text : "", len), 0);
    return s->until > 0 && s->text.len >= s->until ? -1 : 0;
}

#define BUILD_PATH                                                                                 \
    "POST /v1.41/build?version=1&dockerfile=Dockerfile&rm=1&forcerm=1&memory=67108864&"            \
    "memswap=67108864&networkmode=none&labels=%7B%22a%22%3A%22b%22%7D"
#define PULL_PATH "POST /v1.41/images/create?fromImage=127.0.0.1:5000/team/tool&tag=v1"
#define DONE "{\"aux\":{\"ID\":\"sha256:0123\"}}\r\n"

struct stream_case {
    const char *body;
    enum fake_how how;
    const char *name, *part; /* of the error */
    const char *log;
};

static struct docker_work
work_of(struct seen *seen)
{
    buf_init(&seen->text, 1 << 20);
    return (struct docker_work){.timeout_ms = 5000, .log = see, .log_arg = seen};
}

static int
empty_tar(void)
{
    int fd = memfd_create("tar", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "tar", 3), 3);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static int
build(struct docker *d, const struct docker_work *work, char id[DOCKER_IMAGE_ID_SIZE],
      struct error *e)
{
    json_auto_t *labels = json_pack("{s:s}", "a", "b");
    _cleanup_(closep) int tar = empty_tar();
    const struct docker_build spec = {.context_fd = tar, .labels = labels, .memory_mb = 64};

    return docker_image_build(d, &spec, work, id, e);
}

static void
builds_are_understood(void **state)
{
    static const struct stream_case cases[] = {
        {"{\"stream\":\"Step 1/1 : FROM a\"}\r\n{\"stream\":\"\\n\"}\r\n" DONE
         "{\"stream\":\"Successfully built 0123\\n\"}\r\n",
         FAKE_CHUNKED, "none", "", "Step 1/1 : FROM a\nSuccessfully built 0123\n"},
        /* Without ends of lines, and with RFC 7464's separators. */
        {"{\"stream\":\"a\"}{\"stream\":\"b\"}" DONE, FAKE_PLAIN, "none", "", "ab"},
        {"\x1e{\"stream\":\"a\"}\n\x1e" DONE, FAKE_PLAIN, "none", "", "a"},
        {"{\"stream\":\"bell\\u0007 esc\\u001b[1m tab\\t nul\\u0000x c1\\u0085.\"}\n" DONE,
         FAKE_PLAIN, "none", "", "bell esc[1m tab\t nul"},
        /* API 1.52 says the id as well as the name of the kind. */
        {"{\"id\":\"moby.image.id\",\"aux\":{\"ID\":\"sha256:0123\"}}\n", FAKE_CHUNKED, "none", "",
         ""},
        {"{\"status\":\"Pulling from library/a\",\"id\":\"1\"}\n" DONE, FAKE_PLAIN, "none", "",
         "1: Pulling from library/a\n"},
        {"{\"stream\":\"x\"}\n{\"errorDetail\":{\"code\":7,\"message\":\"The command returned a "
         "non-zero code: 7\"},\"error\":\"The command\"}\n",
         FAKE_CHUNKED, "docker_error", "the build failed: The command returned a non-zero code: 7",
         "x"},
        {"{\"error\":\"only the old member\"}\n", FAKE_PLAIN, "docker_error", "only the old member",
         ""},
        {"{\"errorDetail\":{}}\n", FAKE_PLAIN, "docker_error", "did not say why", ""},
        {"{\"errorDetail\":{\"message\":\"at\\nthe end\"}}", FAKE_PLAIN, "docker_error",
         "at the end", ""},
        {"{\"stream\":\"no image\"}\n", FAKE_PLAIN, "internal", "promises", "no image"},
        {"{\"stream\":\"cut\"}\n{\"str", FAKE_PLAIN, "internal", "promises", "cut"},
        {"garbage\n" DONE, FAKE_PLAIN, "internal", "promises", ""},
        {"[1]\n" DONE, FAKE_PLAIN, "internal", "promises", ""},
        {"", FAKE_PLAIN, "internal", "promises", ""},
        {"{\"stream\":\"x\"}\n" DONE, FAKE_CUT_CHUNKED, "docker_unavailable", "cut off", "x"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {BUILD_PATH, 200, cases[i].body, cases[i].how},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        char id[DOCKER_IMAGE_ID_SIZE] = "";
        struct error e = {0};
        struct seen seen = {0};
        struct docker_work work = work_of(&seen);
        int r;

        print_message("build %s\n", cases[i].body);
        fake_docker_serve(&fake, routes);
        r = build(d, &work, id, &e);
        assert_error(&e, cases[i].name, cases[i].part);
        assert_asked(1, BUILD_PATH);
        assert_string_equal(seen.text.data ? seen.text.data : "", cases[i].log);
        assert_int_equal(r == 0, e.code == ERR_NONE);
        assert_string_equal(id, r == 0 ? "sha256:0123" : "");
        buf_done(&seen.text);
    }
}

static void
refusals_before_the_stream_are_errors(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /v1.41/build", 500, "{\"message\":\"dockerfile parse error\"}", FAKE_PLAIN},
        {"POST /v1.41/images/create", 404, "{\"message\":\"manifest unknown\"}", FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    char id[DOCKER_IMAGE_ID_SIZE];
    struct error e = {0};
    struct seen seen = {0};
    struct docker_work work = work_of(&seen);

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(build(d, &work, id, &e), -EREMOTEIO);
    assert_error(&e, "docker_error", "dockerfile parse error");
    error_clear(&e);
    assert_int_equal(docker_image_pull(d, "a:b", &work, &e), -ENOENT);
    assert_error(&e, "not_found", "manifest unknown");
    assert_int_equal(seen.text.len, 0);
    buf_done(&seen.text);
}

static void
a_pull_s_progress_is_condensed(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {PULL_PATH, 200,
         "{\"status\":\"Pulling from team/tool\",\"id\":\"v1\"}\r\n"
         "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"aa\"}\r\n"
         "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":1,\"total\":100},\"id\":"
         "\"aa\"}\r\n"
         "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":2,\"total\":100},\"id\":"
         "\"aa\"}\r\n"
         "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":3,\"total\":100},\"id\":"
         "\"aa\"}\r\n"
         "{\"status\":\"Waiting\",\"progressDetail\":{},\"id\":\"bb\"}\r\n"
         "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":60,\"total\":100},\"id\":"
         "\"aa\"}\r\n"
         "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":9e99,\"total\":-1},\"id\":"
         "\"aa\"}\r\n"
         "{\"status\":\"Waiting\",\"progressDetail\":{},\"id\":\"bb\"}\r\n"
         "{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"aa\"}\r\n"
         "{\"status\":\"Digest: sha256:1\"}\r\n"
         "{\"status\":\"Status: Downloaded newer image\"}\r\n",
         FAKE_CHUNKED},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct error e = {0};
    struct seen seen = {0};
    struct docker_work work = work_of(&seen);

    (void)state;
    fake_docker_serve(&fake, routes);
    docker_image_pull(d, "127.0.0.1:5000/team/tool:v1", &work, &e);
    assert_error(&e, "none", "");
    assert_string_equal(seen.text.data, "v1: Pulling from team/tool\naa: Pulling fs layer\n"
                                        "aa: Downloading 1%\nbb: Waiting\naa: Downloading 60%\n"
                                        "aa: Pull complete\nDigest: sha256:1\n"
                                        "Status: Downloaded newer image\n");
    buf_done(&seen.text);
}

static void
references_are_split_as_docker_wants(void **state)
{
    static const struct {
        const char *reference, *asked;
    } cases[] = {
        {"busybox", "fromImage=busybox&tag=latest"},
        {"busybox:1", "fromImage=busybox&tag=1"},
        {"host:5000/a", "fromImage=host:5000/a&tag=latest"},
        {"host:5000/a/b:c", "fromImage=host:5000/a/b&tag=c"},
        {"a@sha256:12", "fromImage=a&tag=sha256:12"},
        {"host:5000/a:b@sha256:12", "fromImage=host:5000/a&tag=sha256:12"},
    };
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /", 200, "{\"status\":\"done\"}\n", FAKE_PLAIN},
        {0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct seen seen = {0};
        struct docker_work work = work_of(&seen);
        char asked[512];

        fake_docker_serve(&fake, routes);
        assert_int_equal(docker_image_pull(d, cases[i].reference, &work, NULL), 0);
        snprintf(asked, sizeof(asked), "POST /v1.41/images/create?%s", cases[i].asked);
        assert_asked(1, asked);
        buf_done(&seen.text);
    }
}

static void
who_wants_no_more_ends_it(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /v1.41/images/create", 200, "{\"status\":\"one\"}\n{\"status\":\"two\"}\n",
         FAKE_CHUNKED},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct error e = {0};
    struct seen seen = {.until = 1};
    struct docker_work work = work_of(&seen);

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_image_pull(d, "a", &work, &e), -EEXIST);
    assert_error(&e, "conflict", "nobody waits for the pull");
    assert_string_equal(seen.text.data, "one");
    buf_done(&seen.text);
}

static void
a_silent_engine_is_given_up_in_time_and_the_caller_asked_meanwhile(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /v1.41/build", 200, "", FAKE_SILENCE},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    char id[DOCKER_IMAGE_ID_SIZE];
    struct error e = {0};
    struct seen seen = {0};
    struct docker_work work = work_of(&seen);

    (void)state;
    work.timeout_ms = 2500;
    fake_docker_serve(&fake, routes);
    assert_int_equal(build(d, &work, id, &e), -EHOSTDOWN);
    assert_error(&e, "docker_unavailable", "in time");
    assert_true(seen.silent > 0);
    buf_done(&seen.text);
}

static void
an_endless_object_is_not_gathered_for_ever(void **state)
{
    _cleanup_(freep) char *body = calloc(1, 1 << 20);
    const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /v1.41/images/create", 200, body, FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct error e = {0};
    struct seen seen = {0};
    struct docker_work work = work_of(&seen);

    (void)state;
    memset(body, 'x', (1 << 20) - 1);
    memcpy(body, "{\"status\":\"", sizeof("{\"status\":\"") - 1);
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_image_pull(d, "a", &work, &e), -EIO);
    assert_error(&e, "internal", "promises");
    buf_done(&seen.text);
}

static void
images_are_tagged_and_removed(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"POST /v1.41/images/sha256:1/tag?repo=sandbox-template-ab&tag=x", 201, "", FAKE_PLAIN},
        {"DELETE /v1.41/images/gone", 404, "{\"message\":\"No such image\"}", FAKE_PLAIN},
        {"DELETE /v1.41/images/used", 409, "{\"message\":\"in use\"}", FAKE_PLAIN},
        {"DELETE /v1.41/images/a:b?force=1", 200, "[]", FAKE_PLAIN},
        {"GET /v1.41/images/labelled/json", 200,
         "{\"Id\":\"1\",\"Config\":{\"Labels\":{\"a\":\"b\"}},\"RootFS\":{\"Layers\":[\"1\",\"2\"]}"
         "}",
         FAKE_PLAIN},
        {"GET /v1.41/images/bare/json", 200,
         "{\"Id\":\"1\",\"Config\":{\"Labels\":null},\"RootFS\":{\"Layers\":[]}}", FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    json_auto_t *labels = NULL, *none = NULL;
    size_t layers = 0;

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_image_tag(d, "sha256:1", "sandbox-template-ab", "x", NULL), 0);
    assert_int_equal(docker_image_tag(d, "a?b", "c", "d", NULL), -EINVAL);
    assert_int_equal(docker_image_remove(d, "gone", NULL), 0);
    assert_int_equal(docker_image_remove(d, "used", NULL), -EEXIST);
    assert_int_equal(docker_image_untag(d, "a:b", NULL), 0);
    assert_int_equal(docker_image_remove(d, "../x", NULL), -EINVAL);
    assert_int_equal(docker_image_config(d, "labelled", &layers, &labels, NULL), 0);
    assert_int_equal(layers, 2);
    assert_string_equal(json_string_value(json_object_get(labels, "a")), "b");
    assert_int_equal(docker_image_config(d, "bare", NULL, &none, NULL), 0);
    assert_int_equal(json_object_size(none), 0);
    assert_int_equal(docker_image_config(d, "missing", NULL, NULL, NULL), -ENOENT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_are_understood),
        cmocka_unit_test(refusals_before_the_stream_are_errors),
        cmocka_unit_test(a_pull_s_progress_is_condensed),
        cmocka_unit_test(references_are_split_as_docker_wants),
        cmocka_unit_test(who_wants_no_more_ends_it),
        cmocka_unit_test(a_silent_engine_is_given_up_in_time_and_the_caller_asked_meanwhile),
        cmocka_unit_test(an_endless_object_is_not_gathered_for_ever),
        cmocka_unit_test(images_are_tagged_and_removed),
    };

    return docker_case_run(tests);
}
