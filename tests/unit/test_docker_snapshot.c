/*
 * backend/docker's images of containers: commits, their layers, lists and removals, and the renames
 * of a rollback. The answers are of 20.10 (API 1.41) and of 29 (API 1.52).
 */
#include "tests/unit/docker_case.h"

#define IMAGE_ID "sha256:f5be64ad40359458a106424ceaef66133ac11544d7187f03b74589f385628222"

static const char repository[] = "sandbox-snapshot-0123456789abcdef";
static const char tag[] = "snapshot_0123456789ab";
static const char reference[] = "sandbox-snapshot-0123456789abcdef:snapshot_0123456789ab";

#define REFERENCE_PATH "/images/sandbox-snapshot-0123456789abcdef:snapshot_0123456789ab"
#define COMMIT                                                                                     \
    "POST /v1.41/commit?pause=1&container=x&repo=sandbox-snapshot-0123456789abcdef"                \
    "&tag=snapshot_0123456789ab"

static int
do_commit(struct docker *d, struct error *e)
{
    json_auto_t *labels = json_pack("{s:s}", "sandbox.id", "container_0123456789ab");

    return docker_container_commit(d, "x", repository, tag, labels, e);
}

static int
do_rename(struct docker *d, struct error *e)
{
    return docker_container_rename(d, "x", "x-old", e);
}

static int
do_layers(struct docker *d, struct error *e)
{
    size_t layers = 99;
    int r = docker_image_config(d, reference, &layers, NULL, e);

    assert_int_equal(layers, r == 0 ? 2 : 99);
    return r;
}

static int
do_size(struct docker *d, struct error *e)
{
    int64_t size = -1;
    int r = docker_image_top_size(d, reference, &size, e);

    assert_int_equal(size, r == 0 ? 5243004 : -1);
    return r;
}

static int
do_remove(struct docker *d, struct error *e)
{
    return docker_image_remove(d, reference, e);
}

static int
do_list(struct docker *d, struct error *e)
{
    static const char *const labels[] = {"sandbox.instance=0", "sandbox.snapshot", NULL};
    struct docker_image *list = NULL;
    size_t count = 99;
    int r = docker_image_list(d, labels, &list, &count, e);

    assert_int_equal(count, r == 0 ? 0 : 99);
    docker_image_list_free(list, r == 0 ? count : 0);
    return r;
}

#define RENAME "POST /v1.41/containers/x/rename?name=x-old"
#define INSPECT "GET /v1.41" REFERENCE_PATH "/json"
#define HISTORY "GET /v1.41" REFERENCE_PATH "/history"
#define REMOVE "DELETE /v1.41" REFERENCE_PATH
#define LIST                                                                                       \
    "GET /v1.41/images/json?filters=%7B%22label%22%3A%5B%22sandbox.instance%3D0%22%2C"             \
    "%22sandbox.snapshot%22%5D%7D"
#define MESSAGE "{\"message\":\"no\"}"

static void
every_call_knows_its_answers(void **state)
{
    static const struct {
        int (*call)(struct docker *d, struct error *e);
        const char *asked;
        int status;
        const char *body;
        const char *name;
    } cases[] = {
        {do_commit, COMMIT, 201, "{\"Id\":\"" IMAGE_ID "\"}", "none"},
        {do_commit, COMMIT, 201, "{\"Id\":\"\"}", "internal"},
        {do_commit, COMMIT, 201, "[]", "internal"},
        {do_commit, COMMIT, 404, MESSAGE, "not_found"},
        {do_commit, COMMIT, 409, MESSAGE, "conflict"},
        {do_commit, COMMIT, 500, MESSAGE, "docker_error"},
        {do_rename, RENAME, 204, "", "none"},
        {do_rename, RENAME, 404, MESSAGE, "not_found"},
        {do_rename, RENAME, 409, MESSAGE, "conflict"},
        {do_layers, INSPECT, 200,
         "{\"Id\":\"" IMAGE_ID "\",\"Config\":{\"Labels\":null},\"RootFS\":{\"Type\":\"layers\","
         "\"Layers\":[\"sha256:a\",\"sha256:b\"]}}",
         "none"},
        {do_layers, INSPECT, 200, "{\"RootFS\":{}}", "internal"},
        {do_layers, INSPECT, 404, MESSAGE, "not_found"},
        {do_size, HISTORY, 200,
         "[{\"Comment\":\"\",\"Created\":1,\"CreatedBy\":\"/.sandbox/guest\",\"Id\":\"" IMAGE_ID
         "\",\"Size\":5243004,\"Tags\":[\"a:b\"]},{\"Id\":\"<missing>\",\"Size\":1,\"Tags\":null}]",
         "none"},
        {do_size, HISTORY, 200, "[]", "internal"},
        {do_size, HISTORY, 200, "[{\"Size\":-1}]", "internal"},
        {do_size, HISTORY, 200, "[{\"Size\":\"5\"}]", "internal"},
        {do_size, HISTORY, 404, MESSAGE, "not_found"},
        {do_remove, REMOVE, 200, "[{\"Untagged\":\"a:b\"},{\"Deleted\":\"" IMAGE_ID "\"}]", "none"},
        {do_remove, REMOVE, 404, MESSAGE, "none"},
        {do_remove, REMOVE, 409, MESSAGE, "conflict"},
        {do_remove, REMOVE, 500, MESSAGE, "docker_error"},
        {do_list, LIST, 200, "[]", "none"},
        {do_list, LIST, 200, "{}", "internal"},
        {do_list, LIST, 200, "[{\"Id\":7}]", "internal"},
        {do_list, LIST, 500, MESSAGE, "docker_error"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {cases[i].asked, cases[i].status, cases[i].body, FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct error e = {0};
        int r;

        print_message("%s -> %d %s\n", cases[i].asked, cases[i].status, cases[i].body);
        fake_docker_serve(&fake, routes);
        r = cases[i].call(d, &e);
        assert_error(&e, cases[i].name, "");
        assert_int_equal(r == 0, e.code == ERR_NONE);
        assert_asked(1, cases[i].asked);
    }
}

static void
an_engine_that_breaks_off_is_down(void **state)
{
    static const enum fake_how ways[] = {FAKE_CUT, FAKE_CUT_CHUNKED, FAKE_NO_ANSWER};
    static const struct {
        int (*call)(struct docker *d, struct error *e);
        const char *asked, *body;
    } cases[] = {
        {do_commit, COMMIT, "{\"Id\":\"" IMAGE_ID "\"}"},
        {do_size, HISTORY, "[{\"Size\":5243004}]"},
        {do_remove, REMOVE, "[{\"Untagged\":\"a:b\"}]"},
        {do_list, LIST, "[ ]"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t j = 0; j < ARRAY_LEN(ways); j++) {
            const struct fake_route routes[] = {
                {"GET /version", 200, VERSION_141, FAKE_PLAIN},
                {cases[i].asked, 200, cases[i].body, ways[j]},
                {0},
            };
            _cleanup_(docker_freep) struct docker *d = new_client();
            struct error e = {0};

            print_message("%s, way %d\n", cases[i].asked, (int)ways[j]);
            fake_docker_serve(&fake, routes);
            assert_true(cases[i].call(d, &e) < 0);
            assert_error(&e, "docker_unavailable", "");
        }
}

static void
a_silent_engine_is_given_up(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {INSPECT, 200, "", FAKE_SILENCE},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct error e = {0};

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_true(do_layers(d, &e) < 0); /* after 10 s */
    assert_error(&e, "docker_unavailable", "");
}

static void
a_commit_carries_labels(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {COMMIT, 201, "{\"Id\":\"" IMAGE_ID "\"}", FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    _cleanup_(freep) char *body = NULL;

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(do_commit(d, NULL), 0);
    body = fake_docker_body(&fake);
    assert_string_equal(body, "{\"Labels\":{\"sandbox.id\":\"container_0123456789ab\"}}");
}

/* An entry of a list as it comes, and as it is read. */
static const struct {
    const char *entry;
    size_t tags;
    const char *label; /* sandbox.snapshot; NULL: none */
} entries[] = {
    {"{\"Containers\":-1,\"Id\":\"" IMAGE_ID "\",\"Labels\":{\"sandbox.snapshot\":\"s\"},"
     "\"RepoTags\":[\"a:b\",\"c:d\"],\"SharedSize\":-1,\"Size\":1}",
     2, "s"},
    {"{\"Id\":\"" IMAGE_ID "\",\"Labels\":null,\"RepoTags\":[\"<none>:<none>\"]}", 0, NULL},
    {"{\"Id\":\"" IMAGE_ID "\",\"Labels\":{\"sandbox.snapshot\":\"s\"},\"RepoTags\":[],"
     "\"Descriptor\":{}}",
     0, "s"}, /* 29 */
    {"{\"Id\":\"" IMAGE_ID "\",\"RepoTags\":null}", 0, NULL},
};

static void
lists_of_old_and_new_engines_are_read(void **state)
{
    static const char *const labels[] = {"sandbox.instance=0", "sandbox.snapshot", NULL};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        char body[512];
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {LIST, 200, body, FAKE_CHUNKED},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct docker_image *list = NULL;
        const char *label;
        size_t count = 0;

        print_message("%s\n", entries[i].entry);
        snprintf(body, sizeof(body), "[%s]", entries[i].entry);
        fake_docker_serve(&fake, routes);
        assert_int_equal(docker_image_list(d, labels, &list, &count, NULL), 0);
        assert_int_equal(count, 1);
        assert_string_equal(list[0].id, IMAGE_ID);
        assert_int_equal(json_array_size(list[0].tags), entries[i].tags);
        label = json_string_value(json_object_get(list[0].labels, "sandbox.snapshot"));
        assert_true((label == NULL) == (entries[i].label == NULL));
        if (label)
            assert_string_equal(label, entries[i].label);
        docker_image_list_free(list, count);
    }
}

static void
labels_of_an_image_are_handed_over(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION("1.53", "1.44"), FAKE_PLAIN},
        {"GET /v1.52" REFERENCE_PATH "/json", 200,
         "{\"Id\":\"" IMAGE_ID "\",\"Config\":{\"Labels\":{\"a\":\"b\"}},\"RootFS\":{}}",
         FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    json_auto_t *labels = NULL;
    size_t layers = 99;

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_image_config(d, reference, &layers, &labels, NULL), 0);
    assert_int_equal(layers, 0);
    assert_string_equal(json_string_value(json_object_get(labels, "a")), "b");
}

/* Every function that puts a name or a reference into a path checks it before anything is sent. */
static void
nothing_bad_is_sent(void **state)
{
    static const char bad[] = "x/../../images/prune";
    _cleanup_(docker_freep) struct docker *d = new_client();
    json_auto_t *labels = json_object();
    int64_t size;

    (void)state;
    fake_docker_serve(&fake, NULL);
    assert_int_equal(docker_container_rename(d, bad, "x", NULL), -EINVAL);
    assert_int_equal(docker_container_rename(d, "x", bad, NULL), -EINVAL);
    assert_int_equal(docker_container_commit(d, bad, "x", "y", labels, NULL), -EINVAL);
    assert_int_equal(docker_container_commit(d, "x", bad, "y", labels, NULL), -EINVAL);
    assert_int_equal(docker_container_commit(d, "x", "y", bad, labels, NULL), -EINVAL);
    assert_int_equal(docker_image_config(d, bad, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(docker_image_top_size(d, bad, &size, NULL), -EINVAL);
    assert_int_equal(docker_image_remove(d, bad, NULL), -EINVAL);
    assert_int_equal(asked_count(), 0);
}

/* The facts of the engine are asked for once, and again over a new connection. */
static void
facts_are_kept_while_the_connection_is(void **state)
{
    static const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"GET /v1.41/info", 200, "{\"Driver\":\"overlay2\"}", FAKE_PLAIN},
        {RENAME, 204, "", FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct docker_info info;
    size_t asked;

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_int_equal(docker_info_recent(d, &info, NULL), 0);
    asked = asked_count();
    for (int i = 0; i < 3; i++) {
        info = (struct docker_info){0};
        assert_int_equal(docker_info_recent(d, &info, NULL), 0);
        assert_string_equal(info.storage_driver, "overlay2");
    }
    assert_int_equal(asked_count(), asked);
    fake_docker_drop(&fake, 1);
    assert_int_equal(do_rename(d, NULL), 0); /* goes over a new connection */
    asked = asked_count();
    assert_int_equal(docker_info_recent(d, &info, NULL), 0);
    assert_true(asked_count() > asked);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_knows_its_answers),
        cmocka_unit_test(an_engine_that_breaks_off_is_down),
        cmocka_unit_test(a_silent_engine_is_given_up),
        cmocka_unit_test(a_commit_carries_labels),
        cmocka_unit_test(lists_of_old_and_new_engines_are_read),
        cmocka_unit_test(labels_of_an_image_are_handed_over),
        cmocka_unit_test(nothing_bad_is_sent),
        cmocka_unit_test(facts_are_kept_while_the_connection_is),
    };

    return docker_case_run(tests);
}
