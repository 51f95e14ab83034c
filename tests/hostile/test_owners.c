/*
 * What the kernel counts per uid: one owner takes all of it, and another, whose commands have
 * another uid, has all of theirs (threats.md, N7).
 */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/box.h"

enum { KEYRING_ATTEMPTS = 18 }; /* of attackers/keyring.c */

static struct box alices, alices_other, bobs;

static int
open_boxes(void **state)
{
    world_note(state);
    box_open(&alices, ALICE, "owners", "Standard");
    box_open(&alices_other, ALICE, "owners2", "Standard");
    box_open(&bobs, BOB, "owners", "Standard");
    return 0;
}

static int
close_boxes(void **state)
{
    box_close(&alices);
    box_close(&alices_other);
    box_close(&bobs);
    return world_check(state);
}

/* What is taken, how much of it is asked for, and how having none left reads. */
static const struct thing {
    const char *what, *error;
    long some;
} things[] = {
    {"inotify", "No file descriptors available", 20},
    {"big-pipes", "Operation not permitted", 10},
};

/* Whether the owner's other box gets none, which means that the first has them all. */
static bool
none_is_left(void *arg)
{
    const struct thing *t = arg;
    struct reply r = box_run(&alices_other, 30, "exec /workspace/exhaust %s 1", t->what);
    char none[128];
    bool is;

    snprintf(none, sizeof(none), "%s: %s after 0\n", t->what, t->error);
    is = strcmp(text_at(&r, "stdout"), none) == 0;
    reply_done(&r);
    return is;
}

static void
what_one_owner_uses_up_is_there_for_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(things); i++) {
        struct thing t = things[i];
        struct flight *f =
            box_start(&alices, 60, "exec /workspace/exhaust %s 99999 - hold", t.what);
        char arguments[64];

        wait_until(none_is_left, &t, 30, t.what);
        snprintf(arguments, sizeof(arguments), "%s %ld", t.what, t.some);
        assert_int_equal(box_exhaust(&bobs, arguments, "got"), t.some);
        flight_abort(f);
    }
}

/* Keyrings are a user's, not a container's: what could be put there would be found by whoever has
 * that uid, and counted. */
static void
keys_are_nobodys(void **state)
{
    const struct box *boxes[] = {&alices, &bobs};
    char uids[ARRAY_LEN(boxes)][16];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(boxes); i++) {
        struct reply r;

        box_place(boxes[i], "keyring");
        r = box_run(boxes[i], 30, "exec /workspace/keyring");
        print_message("%s", text_at(&r, "stdout"));
        assert_refused(&r, KEYRING_ATTEMPTS);
        reply_done(&r);
        r = box_run(boxes[i], 30, "id -u | tr -d '\\n'");
        snprintf(uids[i], sizeof(uids[i]), "%s", text_at(&r, "stdout"));
        reply_done(&r);
        assert_int_equal(box_exhaust(boxes[i], "keys 1", "Operation not permitted"), 0);
    }
    assert_string_not_equal(uids[0], uids[1]);
    for (size_t i = 0; i < ARRAY_LEN(boxes); i++) {
        struct reply r = box_run(boxes[i], 30, "echo; cat /proc/keys /proc/key-users");

        for (size_t k = 0; k < ARRAY_LEN(uids); k++) {
            char line[48];

            snprintf(line, sizeof(line), "\n%s:", uids[k]);
            if (strstr(text_at(&r, "stdout"), line))
                fail_msg("uid %s has keys: %s", uids[k], r.body);
        }
        reply_done(&r);
    }
}

static void
posix_queues_are_a_containers_own(void **state)
{
    struct flight *f = box_start(&alices, 60, "exec /workspace/exhaust queues 99999 - hold");

    (void)state;
    assert_true(box_exhaust(&bobs, "queues 5", "got") == 5);
    flight_abort(f);
}

static void
ports_of_loopback_are_a_containers_own(void **state)
{
    struct flight *f = box_start(&alices, 60, "exec nc -l -p 4321");
    struct reply r;

    (void)state;
    r = box_run(&bobs, 3, "exec nc -l -p 4321");
    assert_true(bool_at(&r, "timed_out")); /* it listens until it is killed */
    assert_int_equal(int_at(&r, "stderr_bytes"), 0);
    reply_done(&r);
    flight_abort(f);
}

#define owners_test(f) cmocka_unit_test_setup_teardown(f, open_boxes, close_boxes)

int
suite_owners(void)
{
    const struct CMUnitTest tests[] = {
        owners_test(what_one_owner_uses_up_is_there_for_another),
        owners_test(keys_are_nobodys),
        owners_test(posix_queues_are_a_containers_own),
        owners_test(ports_of_loopback_are_a_containers_own),
    };

    return cmocka_run_group_tests_name("hostile: owners", tests, NULL, remove_containers);
}
