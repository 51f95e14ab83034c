/* Executions that go on without the host, in a real guest (guest_world.h): start, spool, end. */
#include "tests/unit/guest_world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/guest/control.h"
#include "backend/guest/spool.h"

enum { READS = 300 };

static uint64_t next_id = UINT64_C(0xfffffffffffffff0); /* up to and beyond the wrap */

static struct guest_command
command_of(const char *const *argv)
{
    next_id += next_id == UINT64_MAX ? 2 : 1; /* 0 is none */
    return (struct guest_command){
        .id = next_id,
        .argv = argv,
        .timeout_ms = TIMEOUT_MS,
    };
}

/* Start @command and hang up. */
static int
detach(const struct guest_command *command, size_t cap, bool *ret_ended, struct outcome *o)
{
    int fd;

    *o = (struct outcome){0};
    capture_init(&o->errout, CAP);
    assert_int_equal(guest_connect(world.run, &fd, NULL), 0);
    o->r = guest_detach(fd, command, cap, &o->errout, ret_ended, &o->result, &o->err);
    close(fd);
    return o->r;
}

/* Have the shell run @script. Returns the execution's id. */
static uint64_t
start(const char *script, size_t cap, int64_t timeout_ms, const char *input, size_t input_len)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct guest_command command = command_of(argv);
    struct outcome o;
    bool ended = true;

    command.timeout_ms = timeout_ms;
    command.input = input;
    command.input_len = input_len;
    assert_int_equal(detach(&command, cap, &ended, &o), 0);
    assert_false(ended);
    outcome_done(&o);
    return command.id;
}

static struct guest_spool *
open_spool(uint64_t id)
{
    struct guest_spool *s;

    assert_int_equal(guest_spool_open(world.run, id, &s, NULL), 0);
    return s;
}

static struct guest_spool_state
state_of(struct guest_spool *s)
{
    struct guest_spool_state st;

    assert_int_equal(guest_spool_state(s, &st, NULL), 0);
    return st;
}

static struct guest_spool_state
wait_for_end(struct guest_spool *s)
{
    struct guest_spool_state st = state_of(s);
    int tries;

    for (tries = 0; tries < PATIENCE_MS / 5 && !st.ended; tries++) {
        world_pause_ms(5);
        st = state_of(s);
    }
    assert_true(st.ended);
    return st;
}

static void
wait_for_bytes(struct guest_spool *s, uint64_t count)
{
    int tries;

    for (tries = 0; tries < PATIENCE_MS / 5 && state_of(s).bytes[GUEST_STDOUT] < count; tries++)
        world_pause_ms(5);
    assert_true(state_of(s).bytes[GUEST_STDOUT] >= count);
}

static void
assert_reads(struct guest_spool *s, enum guest_stream stream, uint64_t from, const char *expected)
{
    _cleanup_(freep) char *text = NULL;
    size_t len, head;
    uint64_t total;

    assert_int_equal(guest_spool_read(s, stream, from, &text, &len, &head, &total, NULL), 0);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
}

static void
forget(uint64_t id)
{
    struct guest_spool *s;
    uint64_t *ids;
    size_t count;

    assert_int_equal(guest_forget(world.run, id, NULL), 0);
    assert_int_equal(guest_spool_open(world.run, id, &s, NULL), -ENOENT);
    assert_int_equal(guest_forget(world.run, id, NULL), 0);
    assert_int_equal(guest_spool_list(world.run, &ids, &count, NULL), 0);
    assert_int_equal(count, 0);
    free(ids);
}

static void
it_outlives_the_connection(void **state)
{
    uint64_t id = start("echo one; while [ ! -e /tmp/go ]; do usleep 5000; done; "
                        "echo two; echo no >&2; exit 7",
                        CAP, TIMEOUT_MS, NULL, 0);
    _cleanup_(guest_spool_freep) struct guest_spool *s = open_spool(id);
    struct guest_spool_state st;
    struct outcome o;
    uint64_t *ids;
    size_t count;

    (void)state;
    wait_for_bytes(s, 4);
    assert_false(state_of(s).ended);
    assert_reads(s, GUEST_STDOUT, 0, "one\n");
    assert_reads(s, GUEST_STDOUT, 2, "e\n");
    assert_int_equal(guest_spool_list(world.run, &ids, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(ids[0], id);
    free(ids);
    world_run_shell("touch /tmp/go; ls /run", TIMEOUT_MS, &o);
    assert_string_equal(o.stdout_text, ""); /* commands do not get at it */
    outcome_done(&o);
    st = wait_for_end(s);
    assert_int_equal(st.result.end, GUEST_EXITED);
    assert_int_equal(st.result.exit_code, 7);
    assert_true(st.result.duration_us > 0);
    assert_true(st.result.max_memory_kib > 0);
    assert_int_equal(st.bytes[GUEST_STDOUT], 8);
    assert_int_equal(st.bytes[GUEST_STDERR], 3);
    assert_reads(s, GUEST_STDOUT, 4, "two\n");
    assert_reads(s, GUEST_STDOUT, 8, "");
    assert_reads(s, GUEST_STDOUT, 99, "");
    assert_reads(s, GUEST_STDERR, 0, "no\n");
    forget(id);
}

static void
its_file_is_for_the_group_to_read(void **state)
{
    uint64_t id = start("true", CAP, TIMEOUT_MS, NULL, 0);
    char path[200];
    struct stat st;

    (void)state;
    snprintf(path, sizeof(path), "%s/spool-%016llx", world.run, (unsigned long long)id);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(st.st_gid, TEST_GID + 1);
    forget(id);
}

/* `seq 200000` is 1288895 bytes; all but the ends of it are dropped. */
static void
head_and_tail_are_kept(void **state)
{
    uint64_t id = start("seq 200000; seq 100000 >&2; echo end", CAP, TIMEOUT_MS, NULL, 0);
    _cleanup_(guest_spool_freep) struct guest_spool *s = open_spool(id);
    _cleanup_(freep) char *text = NULL, *later = NULL;
    struct guest_spool_state st = wait_for_end(s);
    size_t len, head;
    uint64_t total;

    (void)state;
    assert_int_equal(st.bytes[GUEST_STDOUT], 1288895 + 4);
    assert_int_equal(st.bytes[GUEST_STDERR], 588895);
    assert_int_equal(guest_spool_read(s, GUEST_STDOUT, 0, &text, &len, &head, &total, NULL), 0);
    assert_int_equal(len, CAP);
    assert_int_equal(head, CAP / 2);
    assert_int_equal(total, 1288895 + 4);
    assert_memory_equal(text, "1\n2\n3\n", 6);
    assert_string_equal(text + CAP - 18, "199999\n200000\nend\n");
    assert_int_equal(
        guest_spool_read(s, GUEST_STDOUT, CAP / 2 - 2, &later, &len, &head, &total, NULL), 0);
    assert_int_equal(head, 2);
    assert_int_equal(len, CAP / 2 + 2);
    assert_memory_equal(later, text + CAP / 2 - 2, len);
    assert_reads(s, GUEST_STDOUT, total - 6, "0\nend\n");
    forget(id);
}

static const struct {
    size_t cap;
    const char *script;
    const char *kept;
} small[] = {
    {2, "echo -n a", "a"},
    {2, "echo -n ab", "ab"},
    {2, "echo -n abcdef", "af"},
    {3, "echo -n abc", "abc"},
    {3, "echo -n abcdef", "abf"},
    {5, "echo -n abcde", "abcde"},
    {5, "echo -n abcdef", "abcef"},
    {16, "echo -n abc", "abc"},
    {6, "for c in a b c d e f g h; do echo -n $c; usleep 5000; done", "abcfgh"},
};

static void
small_caps_are_exact(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(small); i++) {
        uint64_t id = start(small[i].script, small[i].cap, TIMEOUT_MS, NULL, 0);
        _cleanup_(guest_spool_freep) struct guest_spool *s = open_spool(id);

        wait_for_end(s);
        assert_reads(s, GUEST_STDOUT, 0, small[i].kept);
        assert_reads(s, GUEST_STDERR, 0, "");
        forget(id);
    }
}

/* A ring that turns all the time: what is read of it is what belongs there, at every look. The
 * pattern's length does not divide the ring's. */
static void
a_reader_never_sees_what_was_overwritten(void **state)
{
    static const char pattern[] = "012345678\n";
    uint64_t id = start("yes 012345678", CAP, TIMEOUT_MS, NULL, 0);
    _cleanup_(guest_spool_freep) struct guest_spool *s = open_spool(id);
    uint64_t before = 0;
    int i;

    (void)state;
    for (i = 0; i < READS || (before < MEBIBYTE && !state_of(s).ended); i++) {
        _cleanup_(freep) char *text = NULL;
        size_t len, head, k;
        uint64_t total;

        assert_int_equal(guest_spool_read(s, GUEST_STDOUT, 0, &text, &len, &head, &total, NULL), 0);
        assert_true(total >= before);
        before = total;
        for (k = 0; k < head; k++)
            assert_int_equal(text[k], pattern[k % 10]);
        for (; k < len; k++)
            assert_int_equal(text[k], pattern[(total - (len - k)) % 10]);
    }
    assert_true(before >= MEBIBYTE);
    assert_int_equal(guest_kill(world.run, id, NULL), 0);
    assert_int_equal(wait_for_end(s).result.end, GUEST_KILLED);
    assert_int_equal(world_count_commands(), 0);
    forget(id);
}

static void
it_ends_at_its_deadline(void **state)
{
    uint64_t id = start("trap '' TERM; (setsid sleep 999 &); sleep 999", CAP, 300, NULL, 0);
    _cleanup_(guest_spool_freep) struct guest_spool *s = open_spool(id);
    struct guest_spool_state st = wait_for_end(s);

    (void)state;
    assert_int_equal(st.result.end, GUEST_TIMED_OUT);
    assert_int_equal(st.result.signal, SIGKILL);
    assert_int_equal(world_count_commands(), 0);
    forget(id);
}

static void
a_kill_ends_it_with_all_it_started(void **state)
{
    uint64_t id =
        start("trap '' TERM; (setsid sleep 999 &); echo on; sleep 999", CAP, TIMEOUT_MS, NULL, 0);
    _cleanup_(guest_spool_freep) struct guest_spool *s = open_spool(id);
    struct guest_spool_state st;

    (void)state;
    wait_for_bytes(s, 3);
    assert_int_equal(guest_kill(world.run, id, NULL), 0);
    st = wait_for_end(s);
    assert_int_equal(st.result.end, GUEST_KILLED);
    assert_int_equal(st.result.signal, SIGKILL);
    assert_int_equal(world_count_commands(), 0);
    assert_reads(s, GUEST_STDOUT, 0, "on\n");
    assert_int_equal(guest_kill(world.run, id, NULL), -ENOENT);
    forget(id);
}

/* The host hangs up long before the command reads. */
static void
all_input_arrives(void **state)
{
    _cleanup_(freep) char *input = malloc(MEBIBYTE);
    uint64_t id;
    _cleanup_(guest_spool_freep) struct guest_spool *s = NULL;

    (void)state;
    assert_non_null(input);
    memset(input, 'i', MEBIBYTE);
    input[MEBIBYTE - 3] = 'e';
    input[MEBIBYTE - 2] = 'n';
    input[MEBIBYTE - 1] = 'd';
    id = start("usleep 100000; cat", CAP, TIMEOUT_MS, input, MEBIBYTE);
    s = open_spool(id);
    assert_int_equal(wait_for_end(s).bytes[GUEST_STDOUT], MEBIBYTE);
    assert_reads(s, GUEST_STDOUT, MEBIBYTE - 4, "iend");
    forget(id);
}

static void
what_cannot_start_has_ended(void **state)
{
    const char *const argv[] = {"missing", NULL};
    struct guest_command command = command_of(argv);
    struct guest_spool *s;
    struct outcome o;
    bool ended = false;

    (void)state;
    assert_int_equal(detach(&command, CAP, &ended, &o), 0);
    assert_true(ended);
    assert_int_equal(o.result.end, GUEST_EXITED);
    assert_int_equal(o.result.exit_code, 127);
    assert_true(o.errout.total > 0);
    outcome_done(&o);
    assert_int_equal(guest_spool_open(world.run, command.id, &s, NULL), -ENOENT);
}

static void
without_a_place_for_its_output_nothing_runs(void **state)
{
    const char *const argv[] = {"touch", "/tmp/ran", NULL};
    struct guest_command command = command_of(argv);
    struct outcome o;
    bool ended = false;

    (void)state;
    assert_int_equal(chmod(world.run, 02550), 0);
    assert_int_equal(detach(&command, CAP, &ended, &o), -EIO);
    assert_int_equal(o.err.code, ERR_INTERNAL);
    assert_false(ended);
    outcome_done(&o);
    assert_int_equal(chmod(world.run, 02750), 0);
    world_run_shell("ls /tmp/ran", TIMEOUT_MS, &o);
    assert_int_equal(o.result.exit_code, 1);
    outcome_done(&o);
}

static void
an_id_is_taken_once(void **state)
{
    const char *const argv[] = {"true", NULL};
    struct guest_command command = command_of(argv);
    struct outcome o;
    bool ended;

    (void)state;
    assert_int_equal(detach(&command, CAP, &ended, &o), 0);
    outcome_done(&o);
    assert_int_equal(detach(&command, CAP, &ended, &o), -EIO);
    outcome_done(&o);
    forget(command.id);
    command.id = 0;
    assert_int_equal(detach(&command, CAP, &ended, &o), -EIO);
    outcome_done(&o);
    assert_world_works();
}

static void
a_dead_supervisors_spool_never_ends(void **state)
{
    uint64_t id = start("sleep 999 & echo on; wait", CAP, TIMEOUT_MS, NULL, 0);
    _cleanup_(guest_spool_freep) struct guest_spool *s = open_spool(id);
    pid_t supervisor = -1;
    int tries;

    (void)state;
    wait_for_bytes(s, 3);
    assert_int_equal(world_find_commands(&supervisor), 2);
    assert_true(supervisor > 0);
    assert_int_equal(kill(supervisor, SIGKILL), 0);
    for (tries = 0; tries < PATIENCE_MS / 5 && world_count_commands() > 0; tries++)
        world_pause_ms(5);
    assert_int_equal(world_count_commands(), 0);
    assert_false(state_of(s).ended);
    assert_reads(s, GUEST_STDOUT, 0, "on\n");
    assert_int_equal(guest_kill(world.run, id, NULL), -ENOENT);
    forget(id);
    assert_world_works();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_outlives_the_connection),
        cmocka_unit_test(its_file_is_for_the_group_to_read),
        cmocka_unit_test(head_and_tail_are_kept),
        cmocka_unit_test(small_caps_are_exact),
        cmocka_unit_test(a_reader_never_sees_what_was_overwritten),
        cmocka_unit_test(it_ends_at_its_deadline),
        cmocka_unit_test(a_kill_ends_it_with_all_it_started),
        cmocka_unit_test(all_input_arrives),
        cmocka_unit_test(what_cannot_start_has_ended),
        cmocka_unit_test(without_a_place_for_its_output_nothing_runs),
        cmocka_unit_test(an_id_is_taken_once),
        cmocka_unit_test(a_dead_supervisors_spool_never_ends),
    };

    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
