/* Who listens to an execution hears of it as it happens, in a real guest (guest_world.h). */
#include "tests/unit/guest_world.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "backend/cleanup.h"

enum { HEARD = 256 };

/* What a sink heard, and when it has had enough. */
struct heard {
    int started;
    int pieces;
    int quiet;
    char out[HEARD]; /* the beginning of it */
    char err[HEARD];
    bool refused; /* from here on it must hear nothing */
    bool refuse_start;
    bool refuse_output;
    int refuse_quiet; /* at the how manieth time; 0: never */
    bool touch;       /* have /tmp/go made when there is output */
};

/* The sink's answer. */
static int
answer(struct heard *h, bool refuse)
{
    assert_false(h->refused);
    h->refused = refuse;
    return refuse ? -1 : 0;
}

static int
hear_start(void *arg)
{
    struct heard *h = arg;

    assert_int_equal(h->pieces, 0);
    h->started++;
    return answer(h, h->refuse_start);
}

/* Append what fits. */
static void
note(char *to, const char *data, size_t len)
{
    size_t room = HEARD - 1 - strlen(to);

    strncat(to, data, len < room ? len : room);
}

static int
hear_output(void *arg, enum guest_stream stream, const char *data, size_t len)
{
    struct heard *h = arg;
    struct outcome o;

    h->pieces++;
    note(stream == GUEST_STDOUT ? h->out : h->err, data, len);
    if (h->touch) {
        h->touch = false;
        world_run_shell("touch /tmp/go", TIMEOUT_MS, &o);
        assert_int_equal(o.r, 0);
        outcome_done(&o);
    }
    return answer(h, h->refuse_output);
}

static int
hear_quiet(void *arg)
{
    struct heard *h = arg;

    return answer(h, ++h->quiet == h->refuse_quiet);
}

static void
run_heard(const char *const *argv, struct heard *h, int64_t quiet_ms, struct outcome *o)
{
    const struct guest_sink sink = {
        .arg = h,
        .started = hear_start,
        .output = hear_output,
        .quiet = hear_quiet,
        .quiet_ms = quiet_ms,
    };
    const struct guest_command command = {
        .argv = argv,
        .timeout_ms = TIMEOUT_MS,
        .sink = &sink,
        .cancel_fd = -1,
    };

    world_run_in(world.run, &command, o);
}

/* The command goes on only when its first output has been heard. */
static void
output_is_heard_as_it_comes(void **state)
{
    const char *const argv[] = {"sh", "-c",
                                "echo one; while [ ! -e /tmp/go ]; do usleep 5000; done; "
                                "echo two >&2; echo three",
                                NULL};
    struct heard h = {.touch = true};
    struct outcome o;

    (void)state;
    run_heard(argv, &h, 0, &o);
    assert_int_equal(o.r, 0);
    assert_int_equal(o.result.end, GUEST_EXITED);
    assert_int_equal(h.started, 1);
    assert_int_equal(h.quiet, 0);
    assert_string_equal(h.out, "one\nthree\n");
    assert_string_equal(h.err, "two\n");
    assert_string_equal(o.stdout_text, "one\nthree\n");
    assert_string_equal(o.stderr_text, "two\n");
    outcome_done(&o);
}

static void
silence_is_heard(void **state)
{
    const char *const argv[] = {"sleep", "999", NULL};
    struct heard h = {.refuse_quiet = 3};
    struct outcome o;

    (void)state;
    run_heard(argv, &h, 20, &o);
    assert_int_equal(o.r, 0);
    assert_int_equal(o.result.end, GUEST_CANCELLED);
    assert_int_equal(h.quiet, 3);
    assert_int_equal(world_count_commands(), 0);
    outcome_done(&o);
}

static void
who_refuses_ends_the_command(void **state)
{
    const char *const argv[] = {"sh", "-c", "trap '' TERM; (setsid sleep 999 &); yes", NULL};
    int at_start;

    (void)state;
    for (at_start = 0; at_start <= 1; at_start++) {
        struct heard h = {.refuse_start = at_start == 1, .refuse_output = at_start == 0};
        struct outcome o;

        run_heard(argv, &h, 0, &o);
        assert_int_equal(o.r, 0);
        assert_int_equal(o.result.end, GUEST_CANCELLED);
        assert_int_equal(o.result.signal, SIGKILL);
        assert_int_equal(h.started, 1);
        assert_int_equal(h.pieces, at_start ? 0 : 1);
        assert_int_equal(world_count_commands(), 0);
        outcome_done(&o);
    }
}

static void
a_missing_program_is_heard_of_but_never_started(void **state)
{
    const char *const argv[] = {"missing", NULL};
    struct heard h = {0};
    struct outcome o;

    (void)state;
    run_heard(argv, &h, 0, &o);
    assert_int_equal(o.r, 0);
    assert_int_equal(o.result.exit_code, 127);
    assert_int_equal(h.started, 0);
    assert_string_equal(h.err, "cannot execute 'missing': No such file or directory\n");
    assert_string_equal(o.stderr_text, h.err);
    outcome_done(&o);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_is_heard_as_it_comes),
        cmocka_unit_test(silence_is_heard),
        cmocka_unit_test(who_refuses_ends_the_command),
        cmocka_unit_test(a_missing_program_is_heard_of_but_never_started),
    };

    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
