/* What a command finds in its sandbox, and what comes back of its streams. */
#include "tests/test.h"

#include "tests/api/test_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/client.h"

enum {
    UID_FIRST = 200000, /* sandbox.yaml's service.uid_first and uid_last */
    UID_LAST = 265535,
    INPUT_BYTES = 500000
};

/* The container of the group: alice's. */
static char container_path[96], exec_path[128];

static int
open_container(void **state)
{
    struct reply r = call(
        ALICE, "POST", "/containers",
        "{\"agent_id\": \"inside\", \"session_id\": \"inside\", \"tier\": \"Standard\"}", NULL);

    (void)state;
    assert_status(&r, 201);
    snprintf(container_path, sizeof(container_path), "/containers/%s", text_at(&r, "id"));
    snprintf(exec_path, sizeof(exec_path), "%s/exec", container_path);
    reply_done(&r);
    return 0;
}

static int
close_container(void **state)
{
    struct reply r = call(ALICE, "DELETE", container_path, NULL, NULL);

    (void)state;
    assert_status(&r, 204);
    reply_done(&r);
    return 0;
}

/* Run what the body, made by a jansson format, asks for. */
static struct reply
run(const char *format, ...)
{
    json_auto_t *json = NULL;
    _cleanup_(freep) char *body = NULL;
    struct reply r;
    va_list ap;

    va_start(ap, format);
    json = json_vpack_ex(NULL, 0, format, ap);
    va_end(ap);
    body = json_dumps(json, 0);
    assert_non_null(body);
    r = call(ALICE, "POST", exec_path, body, NULL);
    assert_status(&r, 200);
    return r;
}

static struct reply
run_shell(const char *command)
{
    return run("{s:s}", "command", command);
}

static void
assert_prints(const char *command, const char *expected)
{
    struct reply r = run_shell(command);

    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("%s: expected \"%s\" in %s", command, expected, r.body);
    reply_done(&r);
}

/* The value of @key in what a command reads in /proc/self/status. */
static void
status_of_a_command(const char *key, char *out, size_t size)
{
    struct reply r = run("{s:[s, s]}", "argv", "cat", "/proc/self/status");
    const char *text = text_at(&r, "stdout");
    char line[64];

    snprintf(line, sizeof(line), "\n%s:", key);
    text = strstr(text, line);
    assert_non_null(text);
    text += strlen(line);
    text += strspn(text, "\t ");
    snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
    out[strcspn(out, "\t")] = '\0';
    reply_done(&r);
}

static void
a_command_has_no_privileges(void **state)
{
    static const struct {
        const char *key, *value;
    } cases[] = {
        {"NoNewPrivs", "1"},
        {"Seccomp", "2"},
        {"CapInh", "0000000000000000"},
        {"CapPrm", "0000000000000000"},
        {"CapEff", "0000000000000000"},
        {"CapBnd", "0000000000000000"},
        {"CapAmb", "0000000000000000"},
        {"SigBlk", "0000000000000000"},
        {"SigIgn", "0000000000000000"},
        {"Groups", ""},
    };
    char value[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        status_of_a_command(cases[i].key, value, sizeof(value));
        if (strcmp(value, cases[i].value) != 0)
            fail_msg("%s is '%s'", cases[i].key, value);
    }
}

static void
a_command_runs_as_a_uid_of_the_owner(void **state)
{
    char value[128];
    long uid;

    (void)state;
    status_of_a_command("Uid", value, sizeof(value));
    uid = strtol(value, NULL, 10);
    assert_in_range(uid, UID_FIRST, UID_LAST);
    status_of_a_command("Gid", value, sizeof(value));
    assert_int_equal(strtol(value, NULL, 10), uid);
    assert_prints("id -un", "sandbox\n");
}

static void
only_the_three_streams_are_open(void **state)
{
    (void)state;
    /* The glob's own descriptor is closed again by the time that the shell looks. */
    assert_prints("for fd in /proc/self/fd/*; do [ -e $fd ] && echo ${fd##*/}; done", "0\n1\n2\n");
}

static void
the_guest_is_out_of_reach(void **state)
{
    static const char *const commands[] = {
        "ls /.sandbox/run",
        "cat /.sandbox/run/guest.sock",
        "echo | nc local:/.sandbox/run/guest.sock",
        "cd /.sandbox/run",
        "echo > /.sandbox/guest",
        "rm -f /.sandbox/guest",
        "kill -9 1",
        "ls /proc/1/fd",
        "cat /proc/1/mem",
        "mount -t tmpfs none /mnt",
        "chown 0 /tmp",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct reply r = run_shell(commands[i]);

        if (int_at(&r, "exit_code") == 0)
            fail_msg("%s succeeded: %s", commands[i], r.body);
        reply_done(&r);
    }
    assert_prints("echo still here", "still here\n");
}

static void
there_is_no_interface_but_loopback(void **state)
{
    (void)state;
    assert_prints("ls /sys/class/net", "lo\n");
    assert_prints("tail -n +2 /proc/net/route | wc -l", "0\n");
}

static void
streams_keep_apart_and_codes_come_back(void **state)
{
    struct reply r = run_shell("echo out; echo err >&2; exit 3");

    (void)state;
    assert_string_equal(text_at(&r, "stdout"), "out\n");
    assert_string_equal(text_at(&r, "stderr"), "err\n");
    assert_int_equal(int_at(&r, "exit_code"), 3);
    assert_true(null_at(&r, "signal"));
    reply_done(&r);
    r = run_shell("kill -SEGV $$");
    assert_true(null_at(&r, "exit_code"));
    assert_string_equal(text_at(&r, "signal"), "SIGSEGV");
    assert_false(bool_at(&r, "oom_killed"));
    assert_false(bool_at(&r, "timed_out"));
    reply_done(&r);
}

static void
output_over_the_cap_keeps_head_and_tail(void **state)
{
    static const char head[] = "1\n2\n3\n";
    static const char tail[] = "99999\n100000\n";
    struct reply r =
        run("{s:s, s:i}", "command", "seq 1 100000; seq 1 10 >&2", "max_output_bytes", 1000);
    const char *out = text_at(&r, "stdout");
    size_t len = strlen(out);

    (void)state;
    assert_true(len > 900 && len <= 1000);
    assert_memory_equal(out, head, strlen(head));
    assert_string_equal(out + len - strlen(tail), tail);
    assert_true(bool_at(&r, "stdout_truncated"));
    assert_int_equal(int_at(&r, "stdout_bytes"), 588895);
    assert_string_equal(text_at(&r, "stderr"), "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
    assert_false(bool_at(&r, "stderr_truncated"));
    assert_int_equal(int_at(&r, "stderr_bytes"), 21);
    reply_done(&r);
}

static void
a_cut_leaves_characters_whole(void **state)
{
    /* The cap falls into the middle of a character on one of these. */
    for (int cap = 1000; cap < 1006; cap++) {
        struct reply r =
            run("{s:s, s:i}", "command",
                "i=0; while [ $i -lt 1000 ]; do printf '\342\202\254'; i=$((i + 1)); done",
                "max_output_bytes", cap);
        const char *out = text_at(&r, "stdout");

        assert_string_equal(text_at(&r, "encoding"), "utf-8");
        assert_true(bool_at(&r, "stdout_truncated"));
        assert_int_equal(int_at(&r, "stdout_bytes"), 3000);
        assert_int_equal(strlen(out) % 3, 0);
        assert_true(strlen(out) > 990 && strlen(out) <= (size_t)cap);
        for (const char *p = out; *p; p += 3)
            assert_memory_equal(p, "\342\202\254", 3);
        reply_done(&r);
    }
    (void)state;
}

static void
output_that_is_not_text_is_base64_in_both_streams(void **state)
{
    struct reply r = run_shell("printf '\\377\\000a'; echo err >&2");

    (void)state;
    assert_string_equal(text_at(&r, "encoding"), "base64");
    assert_string_equal(text_at(&r, "stdout"), "/wBh");
    assert_string_equal(text_at(&r, "stderr"), "ZXJyCg==");
    assert_int_equal(int_at(&r, "stdout_bytes"), 3);
    reply_done(&r);
    r = run_shell("echo out; printf '\\303' >&2");
    assert_string_equal(text_at(&r, "encoding"), "base64");
    assert_string_equal(text_at(&r, "stdout"), "b3V0Cg==");
    assert_string_equal(text_at(&r, "stderr"), "ww==");
    reply_done(&r);
}

static void
nul_bytes_are_text(void **state)
{
    struct reply r = run_shell("printf 'a\\000b'");

    (void)state;
    assert_string_equal(text_at(&r, "encoding"), "utf-8");
    assert_int_equal(json_string_length(at(&r, "stdout")), 3);
    assert_memory_equal(json_string_value(at(&r, "stdout")), "a\0b", 3);
    reply_done(&r);
}

static void
input_of_any_length_arrives(void **state)
{
    _cleanup_(freep) char *input = malloc(INPUT_BYTES + 1);
    struct reply r;

    (void)state;
    assert_non_null(input);
    for (size_t i = 0; i < INPUT_BYTES; i++)
        input[i] = (char)('a' + i % 26);
    input[INPUT_BYTES] = '\0';
    r = run("{s:[s], s:s}", "argv", "cat", "stdin", input);
    assert_int_equal(int_at(&r, "stdout_bytes"), INPUT_BYTES);
    assert_string_equal(text_at(&r, "stdout"), input);
    reply_done(&r);
    r = run("{s:s, s:s}", "command", "exec true", "stdin", input); /* that nobody reads */
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
    r = run("{s:s}", "command", "wc -c");
    assert_string_equal(text_at(&r, "stdout"), "0\n");
    reply_done(&r);
}

static void
env_cwd_and_argv_reach_the_command(void **state)
{
    struct reply r = run("{s:s, s:{s:s, s:s}, s:s}", "command",
                         "echo \"$GREETING|$EMPTY|$HOME|$USER\"; pwd; touch \"$HOME/mine\"", "env",
                         "GREETING", "gr\303\274\303\237 'dich' $x", "EMPTY", "", "cwd", "/tmp");

    (void)state;
    assert_string_equal(text_at(&r, "stdout"),
                        "gr\303\274\303\237 'dich' $x||/home/sandbox|sandbox\n/tmp\n");
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
    r = run("{s:[s, s, s, s, s]}", "argv", "printf", "<%s>", "a b", "", "$HOME;*");
    assert_string_equal(text_at(&r, "stdout"), "<a b><><$HOME;*>");
    reply_done(&r);
    assert_prints("pwd", "/workspace\n");
}

static void
an_argument_may_be_as_long_as_the_kernel_takes(void **state)
{
    char argument[(128 << 10) - 1 + 1 + 1]; /* one more, and its NUL */
    json_auto_t *json = NULL;
    _cleanup_(freep) char *body = NULL;
    struct reply r;

    (void)state;
    memset(argument, 'x', sizeof(argument));
    argument[sizeof(argument) - 2] = '\0';
    r = run("{s:[s, s, s]}", "argv", "printf", "%s", argument);
    assert_string_equal(text_at(&r, "stdout"), argument);
    reply_done(&r);
    argument[sizeof(argument) - 2] = 'x';
    argument[sizeof(argument) - 1] = '\0';
    json = json_pack("{s:[s, s]}", "argv", "true", argument);
    body = json_dumps(json, 0);
    r = call(ALICE, "POST", exec_path, body, NULL);
    assert_problem(&r, 422, "validation_failed");
    assert_string_equal(text_at(&r, "errors.0.pointer"), "/argv/1");
    reply_done(&r);
}

static void
what_cannot_be_executed_is_the_commands_failure(void **state)
{
    static const struct {
        const char *program, *cwd;
        int exit_code;
    } cases[] = {
        {"no-such-program", "/tmp", 127},
        {"/no/such/program", "/tmp", 127},
        {"/etc", "/tmp", 126},
        {"/etc/passwd", "/tmp", 126},
        {"true", "/no/such/directory", 126},
        {"true", "/etc/passwd", 126},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = run("{s:[s], s:s}", "argv", cases[i].program, "cwd", cases[i].cwd);
        const char *named = cases[i].exit_code == 126 && i >= 4 ? cases[i].cwd : cases[i].program;

        if (int_at(&r, "exit_code") != cases[i].exit_code)
            fail_msg("%s in %s: %s", cases[i].program, cases[i].cwd, r.body);
        assert_non_null(strstr(text_at(&r, "stderr"), named));
        reply_done(&r);
    }
}

int
inside_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_has_no_privileges),
        cmocka_unit_test(a_command_runs_as_a_uid_of_the_owner),
        cmocka_unit_test(only_the_three_streams_are_open),
        cmocka_unit_test(the_guest_is_out_of_reach),
        cmocka_unit_test(there_is_no_interface_but_loopback),
        cmocka_unit_test(streams_keep_apart_and_codes_come_back),
        cmocka_unit_test(output_over_the_cap_keeps_head_and_tail),
        cmocka_unit_test(a_cut_leaves_characters_whole),
        cmocka_unit_test(output_that_is_not_text_is_base64_in_both_streams),
        cmocka_unit_test(nul_bytes_are_text),
        cmocka_unit_test(input_of_any_length_arrives),
        cmocka_unit_test(env_cwd_and_argv_reach_the_command),
        cmocka_unit_test(an_argument_may_be_as_long_as_the_kernel_takes),
        cmocka_unit_test(what_cannot_be_executed_is_the_commands_failure),
    };

    return cmocka_run_group_tests_name("api: limits, inside", tests, open_container,
                                       close_container);
}
