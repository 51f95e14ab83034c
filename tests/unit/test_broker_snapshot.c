/*
 * The broker's snapshots and rollbacks against a double of the engine: what it asks for, and above
 * all what it does not remove.
 */
#include "tests/unit/docker_case.h"

#include "backend/broker/internal.h"

#define INSTANCE "0123456789abcdef"
#define ID "container_0123456789ab"
#define SID "snapshot_0123456789ab"
#define REPOSITORY "sandbox-snapshot-" INSTANCE
#define IMAGE REPOSITORY ":" SID
#define IMAGE_ID "sha256:f5be64ad40359458a106424ceaef66133ac11544d7187f03b74589f385628222"
#define MAIN "/v1.41/containers/" ID "-" INSTANCE
#define NEXT MAIN "-next"
#define OLD MAIN "-old"
#define MAIN_NAME ID "-" INSTANCE
#define NO "{\"message\":\"no\"}"
#define INSPECTED                                                                                  \
    "{\"Id\":\"0123\",\"Name\":\"/x\",\"State\":{\"Running\":true},\"Image\":\"" IMAGE_ID          \
    "\",\"Config\":{}}"

static struct service_context context = {.instance = INSTANCE};

static struct broker
new_broker(void)
{
    return (struct broker){.context = &context, .label = "sandbox.instance=" INSTANCE};
}

/* Fail the test unless exactly @expected (NULL-terminated) was asked, after the version. */
static void
assert_asked_only(const char *const *expected)
{
    size_t count = 0;

    for (; expected[count]; count++)
        assert_asked(count + 1, expected[count]);
    assert_int_equal(asked_count(), count + 1);
}

/* What is there of a container: how the engine answers to an inspection of the main part, and to
 * renames of the next and the old one; what the broker asks then. */
static void
what_a_crash_left_is_settled_without_a_loss(void **state)
{
    static const struct {
        const char *name;
        int main_status, next_status, old_status;
        const char *error;
        const char *asked[6];
    } cases[] = {
        {"main, and perhaps others",
         200,
         500,
         500,
         "none",
         {"GET " MAIN "/json", "DELETE " NEXT "?force=1&v=1", "DELETE " OLD "?force=1&v=1"}},
        {"next, and perhaps old",
         404,
         204,
         500,
         "none",
         {"GET " MAIN "/json", "POST " NEXT "/rename?name=" MAIN_NAME,
          "DELETE " NEXT "?force=1&v=1", "DELETE " OLD "?force=1&v=1"}},
        {"only old",
         404,
         404,
         204,
         "none",
         {"GET " MAIN "/json", "POST " NEXT "/rename?name=" MAIN_NAME,
          "POST " OLD "/rename?name=" MAIN_NAME, "DELETE " NEXT "?force=1&v=1",
          "DELETE " OLD "?force=1&v=1"}},
        {"nothing",
         404,
         404,
         404,
         "none",
         {"GET " MAIN "/json", "POST " NEXT "/rename?name=" MAIN_NAME,
          "POST " OLD "/rename?name=" MAIN_NAME}},
        {"main comes meanwhile, for next",
         404,
         409,
         500,
         "conflict",
         {"GET " MAIN "/json", "POST " NEXT "/rename?name=" MAIN_NAME}},
        {"main comes meanwhile, for old",
         404,
         404,
         409,
         "conflict",
         {"GET " MAIN "/json", "POST " NEXT "/rename?name=" MAIN_NAME,
          "POST " OLD "/rename?name=" MAIN_NAME}},
        {"the engine fails", 500, 204, 204, "docker_error", {"GET " MAIN "/json"}},
        {"the engine fails at the rename",
         404,
         500,
         204,
         "docker_error",
         {"GET " MAIN "/json", "POST " NEXT "/rename?name=" MAIN_NAME}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"GET " MAIN "/json", cases[i].main_status,
             cases[i].main_status == 200 ? INSPECTED : NO, FAKE_PLAIN},
            {"POST " NEXT "/rename", cases[i].next_status, cases[i].next_status == 204 ? "" : NO,
             FAKE_PLAIN},
            {"POST " OLD "/rename", cases[i].old_status, cases[i].old_status == 204 ? "" : NO,
             FAKE_PLAIN},
            {"DELETE ", 204, "", FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct broker b = new_broker();
        struct error err = {0};

        print_message("%s\n", cases[i].name);
        fake_docker_serve(&fake, routes);
        broker_settle(&b, d, ID, &err);
        assert_error(&err, cases[i].error, "");
        assert_asked_only(cases[i].asked);
    }
}

/* An image with so many layers, as the engine describes it. The caller frees it. */
static char *
layered(size_t count)
{
    json_auto_t *image =
        json_pack("{s:s, s:{}, s:{s:[]}}", "Id", IMAGE_ID, "Config", "RootFS", "Layers");

    for (size_t i = 0; i < count; i++)
        json_array_append_new(json_object_get(json_object_get(image, "RootFS"), "Layers"),
                              json_string("sha256:a"));
    return json_dumps(image, 0);
}

static void
a_container_that_stands_too_high_is_refused(void **state)
{
    static const struct {
        size_t layers;
        const char *error;
        size_t asked;
    } cases[] = {{99, "none", 5}, {100, "conflict", 3}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *image = layered(cases[i].layers);
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"GET " MAIN "/json", 200, INSPECTED, FAKE_PLAIN},
            {"GET /v1.41/images/" IMAGE_ID "/json", 200, image, FAKE_PLAIN},
            {"POST /v1.41/commit", 201, "{\"Id\":\"" IMAGE_ID "\"}", FAKE_PLAIN},
            {"GET /v1.41/images/" IMAGE "/history", 200, "[{\"Size\":7}]", FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct broker b = new_broker();
        struct error err = {0};
        int64_t size = 0;

        fake_docker_serve(&fake, routes);
        broker_snapshot_create(&b, d, ID, SID, &size, &err);
        assert_error(&err, cases[i].error, cases[i].layers < 100 ? "" : "100 layers");
        assert_int_equal(size, cases[i].layers < 100 ? 7 : 0);
        assert_int_equal(asked_count(), cases[i].asked);
    }
}

static void
an_image_that_cannot_be_measured_is_removed(void **state)
{
    _cleanup_(freep) char *image = layered(1);
    const struct fake_route routes[] = {
        {"GET /version", 200, VERSION_141, FAKE_PLAIN},
        {"GET " MAIN "/json", 200, INSPECTED, FAKE_PLAIN},
        {"GET /v1.41/images/" IMAGE_ID "/json", 200, image, FAKE_PLAIN},
        {"POST /v1.41/commit", 201, "{\"Id\":\"" IMAGE_ID "\"}", FAKE_PLAIN},
        {"GET /v1.41/images/" IMAGE "/history", 500, NO, FAKE_PLAIN},
        {"DELETE /v1.41/images/" IMAGE, 200, "[]", FAKE_PLAIN},
        {0},
    };
    _cleanup_(docker_freep) struct docker *d = new_client();
    struct broker b = new_broker();
    struct error err = {0};
    int64_t size = 0;

    (void)state;
    fake_docker_serve(&fake, routes);
    assert_true(broker_snapshot_create(&b, d, ID, SID, &size, &err) < 0);
    assert_error(&err, "docker_error", "");
    assert_asked(5, "DELETE /v1.41/images/" IMAGE);
}

static void
nothing_is_made_of_what_is_not_the_containers_own(void **state)
{
    static const struct {
        const char *labels;
        int status;
        const char *error;
    } cases[] = {
        {"{\"sandbox.instance\":\"" INSTANCE "\",\"sandbox.id\":\"container_00000000000f\"}", 200,
         "validation_failed"},
        {"{\"sandbox.instance\":\"f\",\"sandbox.id\":\"" ID "\"}", 200, "validation_failed"},
        {"{\"sandbox.id\":\"" ID "\"}", 200, "validation_failed"},
        {"null", 200, "validation_failed"},
        {"null", 404, "conflict"}, /* gone */
        {"null", 500, "docker_error"},
    };
    const struct engine_spec spec = {.id = ID};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char body[512];
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"GET " MAIN "/json", 200, INSPECTED, FAKE_PLAIN},
            {"DELETE ", 404, NO, FAKE_PLAIN},
            {"GET /v1.41/images/" IMAGE "/json", cases[i].status,
             cases[i].status == 200 ? body : NO, FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        struct broker b = new_broker();
        struct error err = {0};

        print_message("%d %s\n", cases[i].status, cases[i].labels);
        snprintf(body, sizeof(body),
                 "{\"Id\":\"" IMAGE_ID "\",\"Config\":{\"Labels\":%s},\"RootFS\":{}}",
                 cases[i].labels);
        fake_docker_serve(&fake, routes);
        assert_true(broker_rollback(&b, d, &spec, SID, &err) < 0);
        assert_error(&err, cases[i].error, "");
        assert_asked(4, "GET /v1.41/images/" IMAGE "/json");
        assert_int_equal(asked_count(), 5); /* nothing was created or stopped */
    }
}

#define ENTRY(labels, tags)                                                                        \
    "[{\"Id\":\"" IMAGE_ID "\",\"Labels\":{" labels "},\"RepoTags\":" tags "}]"
#define LABELS "\"sandbox.snapshot\":\"" SID "\""

/* An image that the engine lists, what is removed of it, and whether it counts as a snapshot. */
static const struct {
    const char *entry, *removed;
    int status; /* of the removal */
    const char *error;
    bool listed;
} images[] = {
    {ENTRY(LABELS, "[\"" IMAGE "\"]"), "DELETE /v1.41/images/" IMAGE, 200, "none", true},
    {ENTRY(LABELS, "[\"mine:1\",\"" IMAGE "\"]"), "DELETE /v1.41/images/" IMAGE, 200, "none", true},
    {ENTRY(LABELS, "[\"<none>:<none>\"]"), "DELETE /v1.41/images/" IMAGE_ID, 200, "none", true},
    {ENTRY(LABELS, "[]"), "DELETE /v1.41/images/" IMAGE_ID, 200, "none", true},
    {ENTRY(LABELS, "[\"" IMAGE "\"]"), "DELETE /v1.41/images/" IMAGE, 409, "none", true},
    {ENTRY(LABELS, "[\"" IMAGE "\"]"), "DELETE /v1.41/images/" IMAGE, 404, "none", true},
    {ENTRY(LABELS, "[\"" IMAGE "\"]"), "DELETE /v1.41/images/" IMAGE, 500, "docker_error", true},
    {ENTRY(LABELS, "[\"mine:1\"]"), NULL, 200, "none", false},
    {ENTRY(LABELS, "[\"" IMAGE "0\"]"), NULL, 200, "none", false},
    {"[]", NULL, 200, "none", false},
};

static void
only_images_of_ours_are_removed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(images); i++) {
        const struct fake_route routes[] = {
            {"GET /version", 200, VERSION_141, FAKE_PLAIN},
            {"GET /v1.41/images/json", 200, images[i].entry, FAKE_PLAIN},
            {"DELETE ", images[i].status, images[i].status == 200 ? "[]" : NO, FAKE_PLAIN},
            {0},
        };
        _cleanup_(docker_freep) struct docker *d = new_client();
        char(*list)[SNAPSHOT_ID_SIZE] = NULL;
        struct broker b = new_broker();
        struct error err = {0};
        size_t count = 99;

        print_message("%s -> %d\n", images[i].entry, images[i].status);
        fake_docker_serve(&fake, routes);
        broker_snapshot_remove(&b, d, SID, &err);
        assert_error(&err, images[i].error, "");
        assert_int_equal(asked_count(), images[i].removed ? 3 : 2);
        if (images[i].removed)
            assert_asked(2, images[i].removed);
        assert_int_equal(broker_snapshot_list(&b, d, &list, &count, NULL), 0);
        assert_int_equal(count, images[i].listed);
        if (images[i].listed)
            assert_string_equal(list[0], SID);
        free(list);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_crash_left_is_settled_without_a_loss),
        cmocka_unit_test(a_container_that_stands_too_high_is_refused),
        cmocka_unit_test(an_image_that_cannot_be_measured_is_removed),
        cmocka_unit_test(nothing_is_made_of_what_is_not_the_containers_own),
        cmocka_unit_test(only_images_of_ours_are_removed),
    };

    return docker_case_run(tests);
}
