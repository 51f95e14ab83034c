/*
 * What an image declares of itself changes nothing of what a container of it is: its labels, user,
 * program, health check, signal, directory and volumes in our places are overridden. Its variables
 * are there for commands. A volume elsewhere is made: fresh for each container, nobody else's, and
 * gone with it.
 */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/posture.h"
#include "tests/api/snap.h"
#include "tests/api/suite.h"
#include "tests/api/warm.h"

#define BASE "FROM sandbox-base:latest\n"

/* An image that wishes for all that there is. Its volume has a program that is root's by its mode,
 * and something that looks like the guest lies where that is. */
static const char wishes[] =
    BASE "RUN mkdir -p /data/bin /.sandbox/run && echo seed >/data/seed"
         " && cp /bin/busybox /data/bin/id && chmod 4755 /data/bin/id && chmod 777 /data"
         " && echo nonsense >/.sandbox/guest && chmod 755 /.sandbox/guest\n"
         "ENV LD_PRELOAD=/data/evil.so HOME=/root HTTP_PROXY=http://192.0.2.1:1 WISH=granted\n"
         "VOLUME [\"/data\", \"/tmp\", \"/workspace\"]\n"
         "LABEL sandbox.id=container_000000000000 sandbox.owner=mallory sandbox.egress=1"
         " sandbox.instance=00000000deadbeef theirs=kept\n"
         "HEALTHCHECK --interval=1s CMD touch /data/healthy\n"
         "EXPOSE 80\nSTOPSIGNAL SIGKILL\nWORKDIR /data\nONBUILD RUN touch /onbuild\n"
         "SHELL [\"/bin/false\", \"-c\"]\nUSER 12345:12345\n"
         "ENTRYPOINT [\"/bin/false\"]\nCMD [\"nonsense\"]\n";

/* Members of the engine's inspect beside those of posture.h, as JSON. */
static const struct {
    const char *path, *expected;
} inspected[] = {
    {"Args", "[\"/.sandbox/run\","}, /* and what the guest gets after it */
    {"Config.Cmd", "[]"},
    {"Config.WorkingDir", "\"/\""},
    {"Config.StopSignal", "\"SIGTERM\""},
    {"State.Health", "null"},
    {"NetworkSettings.Ports", "{}"},
};

/* Shell text, and what it prints inside. */
static const struct {
    const char *command, *expected;
} seen[] = {
    {"pwd; echo $HOME; echo $WISH", "/workspace\n/home/sandbox\ngranted\n"},
    {"cat /data/seed; ls /data; ls /onbuild 2>/dev/null", "seed\nbin\nseed\n"},
    {"test $(/data/bin/id -u) = $(id -u) && echo same", "same\n"},
    {"head -c 4 /.sandbox/guest | tail -c 3", "ELF"},
    {"cat /proc/1/environ 2>/dev/null | wc -c", "0\n"}, /* root's */
};

static size_t
count_volumes(void)
{
    struct reply r = host_engine("GET", "/volumes", NULL);
    size_t count = json_array_size(at(&r, "Volumes"));

    assert_status(&r, 200);
    reply_done(&r);
    return count;
}

static int
make_template(void **state)
{
    (void)state;
    template_make("{s:s, s:s}", "name", "wishes", "dockerfile", wishes);
    job_run("wishes", "build", "ready");
    return 0;
}

/* Make alice's container of it, for the steps of snap.h, too. */
static void
make_wishes(const char *agent)
{
    char body[160];

    snprintf(body, sizeof(body),
             "{\"agent_id\": \"%s\", \"session_id\": \"1\", \"template\": \"wishes\","
             " \"tier\": \"Sandbox\"}",
             agent);
    make_container(ALICE, body, snap.id);
    snprintf(snap.path, sizeof(snap.path), "/containers/%s", snap.id);
    snprintf(snap.list, sizeof(snap.list), "%s/snapshots", snap.path);
}

static void
assert_labels(json_t *what, const char *owner)
{
    _cleanup_(freep) char *instance = state_file("instance");
    json_t *labels = posture_member(what, "Config.Labels");
    const struct {
        const char *name, *value;
    } cases[] = {
        {"sandbox.id", snap.id},  {"sandbox.instance", instance},
        {"sandbox.owner", owner}, {"sandbox.egress", ""},
        {"theirs", "kept"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(json_string_value(json_object_get(labels, cases[i].name)),
                            cases[i].value);
}

/* The name of the one volume, the rest being ours; the caller frees. */
static char *
volume_of(json_t *what)
{
    json_t *mounts = json_object_get(what, "Mounts"), *mount;
    char *name = NULL;
    size_t i;

    json_array_foreach(mounts, i, mount)
    {
        const char *type = json_string_value(json_object_get(mount, "Type"));
        const char *target = json_string_value(json_object_get(mount, "Destination"));

        if (strcmp(type, "volume") == 0) {
            assert_null(name);
            assert_string_equal(target, "/data");
            name = strdup(json_string_value(json_object_get(mount, "Name")));
        } else if (strcmp(target, "/.sandbox/guest") != 0 && strcmp(target, "/.sandbox/run") != 0 &&
                   strcmp(target, "/workspace") != 0) {
            fail_msg("%s is mounted", target);
        }
    }
    assert_non_null(name);
    return name;
}

/* Returns the name of the volume, for the caller to free. */
static char *
assert_overridden(const char *owner)
{
    json_auto_t *what = warm_inspect(snap.id);

    posture_engine_says(what, snap.id);
    for (size_t i = 0; i < ARRAY_LEN(inspected); i++) {
        json_t *value = posture_member(what, inspected[i].path);
        _cleanup_(freep) char *text =
            value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("null");

        if (strncmp(text, inspected[i].expected, strlen(inspected[i].expected)) != 0)
            fail_msg("%s is %s", inspected[i].path, text);
    }
    assert_labels(what, owner);
    posture_seen_inside(ALICE, snap.id);
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        posture_prints(ALICE, snap.id, seen[i].command, seen[i].expected);
    return volume_of(what);
}

static void
what_an_image_declares_is_overridden(void **state)
{
    _cleanup_(freep) char *first = NULL, *again = NULL;
    size_t volumes = count_volumes();
    struct reply r;

    (void)state;
    make_wishes("cold");
    first = assert_overridden(ALICE);
    assert_int_equal(count_volumes(), volumes + 1);
    r = act(ALICE, "POST", "%s/restart", snap.path);
    assert_status(&r, 200);
    reply_done(&r);
    again = assert_overridden(ALICE);
    assert_string_equal(again, first);
    r = act(ALICE, "DELETE", "%s", snap.path);
    assert_status(&r, 204);
    reply_done(&r);
    assert_int_equal(count_volumes(), volumes);
}

static void
a_rollback_has_a_fresh_volume_and_the_old_one_is_gone(void **state)
{
    _cleanup_(freep) char *before = NULL, *after = NULL;
    size_t volumes = count_volumes();
    char id[STEP_ID_SIZE];

    (void)state;
    make_wishes("back");
    before = assert_overridden(ALICE);
    posture_prints(ALICE, snap.id, "rm /data/seed; echo mine >/data/mine; echo $?", "0\n");
    snap_make(NULL, id);
    snap_roll_back(id);
    after = assert_overridden(ALICE);
    assert_string_not_equal(before, after);
    assert_int_equal(count_volumes(), volumes + 1);
}

/* One whose label named an owner would not be given to anybody. */
static void
one_of_the_pool_is_its_owner_s_all_the_same(void **state)
{
    _cleanup_(freep) char *volume = NULL;

    (void)state;
    warm_set("{template: wishes, tier: Sandbox, count: 1}");
    warm_wait(1);
    make_wishes("pooled");
    assert_int_equal(warm_figure("claimed"), 1);
    volume = assert_overridden("");
    assert_non_null(volume);
}

static void
a_volume_in_the_way_is_refused_and_nothing_is_left(void **state)
{
    static const struct {
        const char *dockerfile, *path;
    } cases[] = {
        {BASE "VOLUME /workspace/deep/er\n", "'/workspace/deep/er'"},
        {BASE "VOLUME /dev/shm\n", "'/dev/shm'"},
    };
    size_t volumes = count_volumes();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *before = warm_engine_ids();
        json_auto_t *after = NULL;
        struct reply r;

        print_message("%s", cases[i].dockerfile);
        template_make("{s:s, s:s}", "name", "inway", "dockerfile", cases[i].dockerfile);
        job_run("inway", "build", "ready");
        r = call(ALICE, "POST", "/containers",
                 "{\"agent_id\": \"inway\", \"session_id\": \"1\", \"template\": \"inway\"}", NULL);
        assert_problem(&r, 502, "docker_error");
        if (!strstr(text_at(&r, "detail"), cases[i].path))
            fail_msg("%s", r.body);
        reply_done(&r);
        after = warm_engine_ids();
        assert_true(json_equal(before, after));
        assert_int_equal(count_volumes(), volumes);
        r = act(ADMIN, "DELETE", "/templates/inway");
        assert_status(&r, 204);
        reply_done(&r);
    }
}

int
suite_posture_image(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_an_image_declares_is_overridden, remove_containers),
        cmocka_unit_test_teardown(a_rollback_has_a_fresh_volume_and_the_old_one_is_gone,
                                  remove_containers),
        cmocka_unit_test_teardown(one_of_the_pool_is_its_owner_s_all_the_same, warm_close),
        cmocka_unit_test_teardown(a_volume_in_the_way_is_refused_and_nothing_is_left,
                                  remove_containers),
    };

    return cmocka_run_group_tests_name("posture-image", tests, make_template, templates_clean);
}
