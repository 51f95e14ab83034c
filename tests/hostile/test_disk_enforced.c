/*
 * Filling the disk where the storage driver limits it: writing ends at the limit, and nothing has
 * to be stopped. Run with an engine on btrfs (BTRFS_MB of tests/with-server).
 */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/box.h"

/* What the limit says is not what a file may have: metadata and shares not yet written count. */
enum { DISK_MB = 512, SLACK_MB = 64 };

static struct box box;

static int
open_box(void **state)
{
    world_note(state);
    box_open(&box, ALICE, "disk", "Sandbox");
    return 0;
}

static int
close_box(void **state)
{
    box_close(&box);
    return world_check(state);
}

static void
status_says_that_limits_are_enforced(void **state)
{
    struct reply r = fetch(ALICE, "/status");

    (void)state;
    assert_string_equal(text_at(&r, "disk_limit"), "enforced");
    assert_string_equal(text_at(&r, "storage_driver"), "btrfs");
    reply_done(&r);
}

static void
every_tier_has_its_own_size(void **state)
{
    static const struct {
        const char *tier, *size;
    } cases[] = {
        {"Sandbox", "512M"},   {"Restricted", "1024M"}, {NULL, "2048M"},
        {"Standard", "2048M"}, {"Elevated", "5120M"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct box other;
        char name[128], path[192];
        struct reply r;

        box_open(&other, ALICE, "sizes", cases[i].tier);
        host_engine_name(other.id, name, sizeof(name));
        snprintf(path, sizeof(path), "/containers/%s/json", name);
        r = host_engine("GET", path, NULL);
        assert_int_equal(r.status, 200);
        assert_string_equal(text_at(&r, "HostConfig.StorageOpt.size"), cases[i].size);
        reply_done(&r);
        box_close(&other);
    }
}

static void
writing_ends_at_the_limit(void **state)
{
    static const char *const things[] = {"file", "nameless"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(things); i++) {
        struct reply r =
            box_run(&box, 60, "exec /workspace/exhaust %s 2000 /home/sandbox/big", things[i]);
        const char *out = text_at(&r, "stdout");
        const char *after = strstr(out, "after ");
        long mb = after ? strtol(after + strlen("after "), NULL, 10) : -1;

        print_message("    %s", out);
        if (!strstr(out, "No space left on device") && !strstr(out, "Quota exceeded"))
            fail_msg("it was not stopped: %s", r.body);
        assert_true(mb > DISK_MB - SLACK_MB && mb <= DISK_MB);
        reply_done(&r);
        /* It goes on where it can, and what is removed is free again. */
        r = box_run(&box, 60, "rm -f ~/big; sync; head -c 100m /dev/zero > ~/small; ls -s ~/small");
        assert_int_equal(int_at(&r, "exit_code"), 0);
        reply_done(&r);
        r = box_run(&box, 60, "rm -f ~/small; sync");
        reply_done(&r);
        neighbour_works();
    }
}

static void
a_full_box_can_be_used_stopped_and_started(void **state)
{
    struct reply r = box_run(&box, 60, "/workspace/exhaust file 2000 /home/sandbox/big");

    (void)state;
    reply_done(&r);
    box_works(&box);
    r = act(ALICE, "POST", "/containers/%s/restart", box.id);
    assert_status(&r, 200);
    reply_done(&r);
    box_works(&box);
    r = box_run(&box, 60, "rm ~/big && sync && echo free");
    assert_string_equal(text_at(&r, "stdout"), "free\n");
    reply_done(&r);
}

static void
what_is_as_deep_as_it_gets_can_be_removed(void **state)
{
    (void)state;
    box_exhaust(&box, "depth 10000 /home/sandbox/deep", "got");
}

#define enforced_test(f) cmocka_unit_test_setup_teardown(f, open_box, close_box)

int
suite_disk_enforced(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_says_that_limits_are_enforced),
        cmocka_unit_test(every_tier_has_its_own_size),
        enforced_test(writing_ends_at_the_limit),
        enforced_test(a_full_box_can_be_used_stopped_and_started),
        enforced_test(what_is_as_deep_as_it_gets_can_be_removed),
    };

    return cmocka_run_group_tests_name("hostile: disk-enforced", tests, NULL, remove_containers);
}
