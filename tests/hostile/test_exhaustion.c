/*
 * Taking everything: memory in all its shapes, the kernel's tables, processes. The attacker runs
 * into its own limit; its guest lives, its next command works, and so does its neighbour.
 */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/box.h"

enum { SANDBOX_MEMORY_MB = 128, SANDBOX_TMP_INODES = SANDBOX_MEMORY_MB * 1024 / 2 / 4 };

static struct box box;
static long guest;

static int
open_box(void **state)
{
    world_note(state);
    box_open(&box, ALICE, "exhaustion", "Sandbox");
    guest = box_guest(&box);
    return 0;
}

static int
close_box(void **state)
{
    box_close(&box);
    return world_check(state);
}

/* The box has the guest that it began with, and runs commands. */
static void
assert_unharmed(void)
{
    box_works(&box);
    assert_int_equal(box_guest(&box), guest);
}

static void
memory_in_every_shape_ends_at_the_limit(void **state)
{
    static const struct {
        const char *arguments;
        const char *answer; /* NULL: it is killed */
    } cases[] = {
        {"anonymous 9999", NULL},
        {"shared 9999", NULL},
        {"memfd 9999", NULL},
        {"pipes 99999", NULL},
        {"sockets 99999", NULL},
        {"file 9999 /tmp/full", "file: No space left on device after 64\n"},
        {"file 9999 /dev/shm/full", "file: No space left on device after 32\n"},
        /* The page cache gives way. */
        {"file 300 /home/sandbox/cached", "file: got 300\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = box_run(&box, 60, "exec /workspace/exhaust %s", cases[i].arguments);

        print_message("    %s\n", cases[i].arguments);
        if (bool_at(&r, "oom_killed") != !cases[i].answer ||
            (cases[i].answer && strcmp(text_at(&r, "stdout"), cases[i].answer) != 0))
            fail_msg("it got %s", r.body);
        assert_string_equal(text_at(&r, "status"), cases[i].answer ? "completed" : "oom_killed");
        reply_done(&r);
        assert_unharmed();
        r = box_run(&box, 30, "rm -f /tmp/full /dev/shm/full ~/cached");
        reply_done(&r);
    }
    neighbour_works();
}

static void
what_outlives_its_process_does_not_take_the_next_commands_memory(void **state)
{
    struct reply r;

    (void)state;
    r = box_run(&box, 30,
                "/workspace/exhaust file 9999 /tmp/full;"
                "/workspace/exhaust file 9999 /dev/shm/full;"
                "/workspace/exhaust messages 99999; /workspace/exhaust sysv 9999");
    print_message("    %s", text_at(&r, "stdout"));
    reply_done(&r);
    assert_unharmed();
    r = box_run(&box, 30, "ipcs -m | grep -c 1048576; ipcs -q | grep -c sandbox");
    print_message("    left: %s", text_at(&r, "stdout"));
    reply_done(&r);
    /* A restart gives all of it back. */
    r = act(ALICE, "POST", "/containers/%s/restart", box.id);
    assert_status(&r, 200);
    assert_true(number_at(&r, "memory_mb") < SANDBOX_MEMORY_MB / 4.0);
    reply_done(&r);
    box_works(&box);
    neighbour_works();
}

static void
tables_of_the_kernel_end_somewhere(void **state)
{
    static const struct {
        const char *arguments, *answer;
        long most; /* of them, at most */
    } cases[] = {
        {"descriptors", "No file descriptors available", 16384},
        {"empty-pipes", "No file descriptors available", 16384 / 2},
        {"eventfds", "No file descriptors available", 16384},
        {"epolls", "Symbolic link loop", 8},
        {"queues", "No file descriptors available", 16}, /* by the bytes of msgqueue */
        {"inotify", "No file descriptors available", 1024},
        {"keys", "", 0},
        {"threads", "Resource temporarily unavailable", 15},
        {"processes", "Resource temporarily unavailable", 15},
        {"zombies", "Resource temporarily unavailable", 15},
        {"sparse", "File too large", 16}, /* TiB */
        {"files 999999 /tmp/inodes", "No space left on device", SANDBOX_TMP_INODES},
        {"ports 2000", "got", 2000},       /* of a loopback of its own */
        {"locks 5000", "got", 5000},       /* its own memory, and its own files */
        {"watches 5000 /tmp/w", "", 5000}, /* where inodes are left */
        {"big-pipes", "Operation not permitted", 1024},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        long n = box_exhaust(&box, cases[i].arguments, cases[i].answer);

        if (n > cases[i].most)
            fail_msg("%s: %ld, more than %ld", cases[i].arguments, n, cases[i].most);
    }
    assert_unharmed();
    neighbour_works();
}

static void
an_argument_list_of_megabytes_is_refused(void **state)
{
    struct reply r =
        box_run(&box, 30,
                "x=$(head -c 100000 /dev/zero | tr '\\0' x); for i in 1 2 3 4 5 6 7 8 9;"
                " do x=$x' '$x; [ $i -gt 6 ] && break; done; /bin/true $x; echo $?");

    (void)state;
    if (!strstr(text_at(&r, "stderr"), "rgument list too long"))
        fail_msg("it got %s", r.body);
    reply_done(&r);
    assert_unharmed();
}

static void
a_fork_bomb_lets_the_next_request_through(void **state)
{
    static const char *const bombs[] = {
        "b() { b | b & }; b; exec sleep 999",
        /* Processes that end as soon as they have made the next one. */
        "b() { (b &) ; (b &) ; }; b 2>/dev/null; exec sleep 999",
        "while :; do (/bin/true &) 2>/dev/null; done",
        "exec /workspace/exhaust zombies 9999 - hold",
        "exec /workspace/exhaust threads 9999 - hold",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bombs); i++) {
        struct flight *f = box_start(&box, 5, "%s", bombs[i]);
        struct reply r;

        print_message("    %s\n", bombs[i]);
        /* In the same box: a command that starts, or that cannot, and an answer in any case. */
        for (int n = 0; n < 5; n++) {
            r = box_try(&box, 5, "echo still $((6 * 7))");
            if (r.status != 200)
                assert_problem(&r, 429, "process_limit");
            reply_done(&r);
        }
        r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "elsewhere", "session_id", "elsewhere",
                    "command", "echo still $((6 * 7))");
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "stdout"), "still 42\n");
        reply_done(&r);
        neighbour_works();
        r = flight_land(f);
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "status"), "timed_out");
        reply_done(&r);
        assert_unharmed();
        r = box_run(&box, 30,
                    "n=-1; for p in /proc/[0-9]*; do [ -O $p ] && n=$((n + 1)); done;"
                    " echo $n");
        assert_string_equal(text_at(&r, "stdout"), "0\n");
        reply_done(&r);
    }
}

#define exhaustion_test(f) cmocka_unit_test_setup_teardown(f, open_box, close_box)

static void
a_million_short_processes_use_up_nothing(void **state)
{
    struct reply r = attack(ALICE, "brief", "brief", "1000000");

    (void)state;
    assert_got(&r, "1000000\n");
    reply_done(&r);
    neighbour_works();
}

int
suite_exhaustion(void)
{
    const struct CMUnitTest tests[] = {
        exhaustion_test(memory_in_every_shape_ends_at_the_limit),
        exhaustion_test(what_outlives_its_process_does_not_take_the_next_commands_memory),
        exhaustion_test(tables_of_the_kernel_end_somewhere),
        exhaustion_test(an_argument_list_of_megabytes_is_refused),
        exhaustion_test(a_fork_bomb_lets_the_next_request_through),
        exhaustion_test(a_million_short_processes_use_up_nothing),
    };

    return cmocka_run_group_tests_name("hostile: exhaustion", tests, NULL, remove_containers);
}
