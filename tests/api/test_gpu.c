/*
 * GPUs: GET gpu, and sandboxes that need some. There is none here, nor a Docker that gives any out:
 * NVIDIA's library is a double (tests/doubles/nvml.c).
 */
#include "tests/test.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { PATIENCE_SECONDS = 30, LOOKS = 8 };

#define REAL_LIBRARY "libnvidia-ml.so.1"

/* Name this library in sandbox.yaml. */
static void
set_library(const char *library)
{
    assert_int_equal(host_shell("sed -i 's,^  library: [^ ]*,  library: %s,'"
                                " \"$SANDBOX_STATE/yaml/sandbox.yaml\"",
                                library),
                     0);
}

/* Copy the double into the state directory under the name of how it shall behave, and name it. */
static void
set_double(const char *name)
{
    char self[PATH_MAX] = "", path[PATH_MAX];

    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    *strrchr(self, '/') = '\0';
    host_path(name, path);
    assert_int_equal(host_shell("install -m 755 %s/nvml-double.so %s", self, path), 0);
    set_library(path);
}

static int
remove_doubles(void **state)
{
    (void)state;
    set_library(REAL_LIBRARY);
    host_shell("rm -f \"$SANDBOX_STATE\"/nvml-*.so; cp yaml/tiers.yaml yaml/templates.yaml"
               " \"$SANDBOX_STATE/yaml/\"");
    reload_until("/gpu", "available", "false");
    return remove_containers(state);
}

static void
without_the_library_there_are_no_gpus(void **state)
{
    struct reply r;

    (void)state;
    set_library("/nowhere/" REAL_LIBRARY);
    reload_until("/gpu", "available", "false");
    r = fetch(VIEWER, "/gpu");
    assert_members(r.json, "available driver_version gpus container_runtime");
    assert_true(null_at(&r, "driver_version"));
    assert_true(null_at(&r, "container_runtime"));
    assert_int_equal(json_array_size(at(&r, "gpus")), 0);
    reply_done(&r);
}

static void
gpus_are_shown_as_the_library_has_them(void **state)
{
    struct reply r;

    (void)state;
    set_double("nvml-two.so");
    reload_until("/gpu", "available", "true");
    r = fetch(VIEWER, "/gpu");
    assert_string_equal(text_at(&r, "driver_version"), "550.54.15");
    assert_true(null_at(&r, "container_runtime"));
    assert_int_equal(json_array_size(at(&r, "gpus")), 2);
    assert_members(at(&r, "gpus.0"), "index uuid name memory_total_mb memory_used_mb "
                                     "utilization_percent temperature_c");
    assert_int_equal(int_at(&r, "gpus.1.index"), 1);
    assert_string_equal(text_at(&r, "gpus.1.name"), "Double 1");
    assert_string_equal(text_at(&r, "gpus.1.uuid"), "GPU-00000001-0000-0000-0000-000000000000");
    assert_int_equal(int_at(&r, "gpus.1.memory_total_mb"), 8192);
    assert_int_equal(int_at(&r, "gpus.1.memory_used_mb"), 101);
    assert_int_equal(int_at(&r, "gpus.1.utilization_percent"), 41);
    assert_int_equal(int_at(&r, "gpus.1.temperature_c"), 51);
    reply_done(&r);
}

static void
what_the_library_does_not_say_is_null(void **state)
{
    struct reply r;

    (void)state;
    set_double("nvml-blind.so");
    reload_until("/gpu", "available", "true");
    r = fetch(VIEWER, "/gpu");
    assert_true(null_at(&r, "driver_version"));
    assert_int_equal(json_array_size(at(&r, "gpus")), 2);
    assert_int_equal(int_at(&r, "gpus.0.index"), 0);
    assert_true(null_at(&r, "gpus.0.name"));
    assert_true(null_at(&r, "gpus.0.memory_used_mb"));
    assert_true(null_at(&r, "gpus.0.temperature_c"));
    reply_done(&r);
}

static void
a_driver_that_crashes_hangs_or_is_missing_harms_nobody(void **state)
{
    static const char *const names[] = {"nvml-crash.so", "nvml-hang.so", "nvml-none.so"};
    struct pids before = host_role("worker"), after;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct parallel calls[LOOKS];
        struct reply r;

        print_message("    %s\n", names[i]);
        set_double("nvml-two.so");
        reload_until("/gpu", "available", "true");
        set_double(names[i]);
        reload_until("/gpu", "available", "false");
        for (size_t k = 0; k < LOOKS; k++)
            calls[k] = (struct parallel){.user = ALICE, .method = "GET", .path = "/gpu"};
        call_parallel(calls, LOOKS);
        for (size_t k = 0; k < LOOKS; k++) {
            assert_int_equal(calls[k].reply.status, 200);
            reply_done(&calls[k].reply);
        }
        r = fetch(ALICE, "/status");
        reply_done(&r);
        assert_int_not_equal(host_shell("pgrep -f \"^sandboxd gpu $SANDBOX_STATE\" >/dev/null"), 0);
    }
    after = host_role("worker");
    assert_memory_equal(&before, &after, sizeof(before));
}

/* Let tier Sandbox, or template base, ask for GPUs. */
static void
need_gpus(const char *file, const char *after, int gpus)
{
    assert_int_equal(host_shell("sed -i 's/^  %s:.*/&\\n    gpus: %d/'"
                                " \"$SANDBOX_STATE/yaml/%s.yaml\"",
                                after, gpus, file),
                     0);
}

static void
assert_refused(const char *body, const char *part)
{
    size_t guests = count_files("guests"), slots = count_files("slots");
    struct reply before = fetch(ADMIN, "/containers");
    struct reply r = call(ALICE, "POST", "/execute", body, NULL);
    struct reply after;

    assert_problem(&r, 409, "conflict");
    if (!strstr(text_at(&r, "detail"), part))
        fail_msg("'%s' does not say '%s'", text_at(&r, "detail"), part);
    after = fetch(ADMIN, "/containers");
    assert_true(json_equal(before.json, after.json));
    assert_int_equal(count_files("guests"), guests);
    assert_int_equal(count_files("slots"), slots);
    reply_done(&before);
    reply_done(&after);
    reply_done(&r);
}

static void
a_sandbox_that_needs_gpus_is_refused_with_what_is_missing(void **state)
{
    static const char tier[] = "{\"command\": \"true\", \"tier\": \"Sandbox\"}";
    static const char other[] = "{\"command\": \"true\", \"tier\": \"Restricted\"}";
    struct reply r;

    (void)state;
    need_gpus("tiers", "Sandbox", 1);
    set_library("/nowhere/" REAL_LIBRARY);
    reload_until("/gpu", "available", "false");
    assert_refused(tier, "'/nowhere/" REAL_LIBRARY "' shows: 0");
    set_double("nvml-two.so");
    reload_until("/gpu", "available", "true");
    assert_refused(tier, "Docker has neither");
    r = call(ALICE, "POST", "/execute", other, NULL);
    assert_status(&r, 200);
    reply_done(&r);
    need_gpus("templates", "base", 3); /* more than the tier's: the most counts */
    set_library("/nowhere/nvml");
    reload_until("/gpu", "available", "false");
    assert_refused(tier, "needs GPUs: 3");
    assert_refused(other, "needs GPUs: 3");
}

#define gpu_test(f) cmocka_unit_test_teardown(f, remove_doubles)

int
suite_gpu(void)
{
    const struct CMUnitTest tests[] = {
        gpu_test(without_the_library_there_are_no_gpus),
        gpu_test(gpus_are_shown_as_the_library_has_them),
        gpu_test(what_the_library_does_not_say_is_null),
        gpu_test(a_driver_that_crashes_hangs_or_is_missing_harms_nobody),
        gpu_test(a_sandbox_that_needs_gpus_is_refused_with_what_is_missing),
    };

    return cmocka_run_group_tests_name("api: gpu", tests, NULL, NULL);
}
