/* Executions as events: what comes, and when. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/stream.h"
#include "tests/api/suite.h"

enum {
    TICKS = 4,
    QUIET_SECONDS = 33,
    BIG = 50000000,
    LINE = 16, /* bytes of what fills it */
    CAP = 1 << 20,
    HELD_SECONDS = 4,
    MEMORY_SLACK_KIB = 8 << 10
};

static const char *const forms[] = {EVENTS, LINES};

/* POST execute of the sh text @command in alice's sandbox for these tests. */
static struct streaming *
run_streaming(const char *accept, const char *command)
{
    return streaming_post(ALICE, "/execute", accept, "{s:s, s:s, s:s}", "agent_id", "stream",
                          "session_id", "s", "command", command);
}

/* The same, to its end. */
static struct stream_log
run_to_end(const char *accept, const char *command)
{
    struct stream_log log = streaming_land(run_streaming(accept, command));

    if (log.reply.status != 200)
        fail_msg("%ld %s", log.reply.status, log.reply.body);
    return log;
}

static struct reply
run_plainly(const char *command)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "stream", "session_id", "s",
                             "command", command);

    assert_status(&r, 200);
    return r;
}

static void
output_comes_when_it_is_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct stream_log log =
            run_to_end(forms[i], "for i in 1 2 3 4; do echo tick; sleep 1; done");
        double before = stream_nth(&log, "started", 0)->at;

        print_message("    %s\n", forms[i]);
        assert_string_equal(log.reply.content_type, forms[i]);
        assert_int_equal(stream_count(&log, "stdout"), TICKS);
        assert_true(before < log.ended_at - TICKS + 1);
        for (size_t k = 0; k < TICKS; k++) {
            double at = stream_nth(&log, "stdout", k)->at;

            /* Each tick is a second after the one before it, and seconds before the end. */
            if (k > 0 && (at - before < 0.5 || at - before > 3))
                fail_msg("tick %zu came %.2f s after the one before", k, at - before);
            assert_true(at < log.ended_at - (double)(TICKS - k) + 0.5);
            before = at;
        }
        assert_streamed(&log, "stdout", "tick\ntick\ntick\ntick\n");
        stream_log_done(&log);
    }
}

static void
the_events_hold_what_the_answer_would(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        bool lines = strcmp(forms[i], LINES) == 0;
        struct stream_log log =
            run_to_end(forms[i], "echo out; sleep 0.3; echo error >&2; sleep 0.3; exit 7");
        const json_t *started = stream_nth(&log, "started", 0)->data;
        struct reply e, exit = stream_last(&log, "exit");

        print_message("    %s\n", forms[i]);
        assert_members(started,
                       lines ? "type id container_id started_at" : "id container_id started_at");
        assert_string_equal(log.events[0].type, "started");
        assert_members(stream_nth(&log, "stdout", 0)->data,
                       lines ? "type data encoding" : "data encoding");
        assert_members(exit.json,
                       lines ? "type id container_id status exit_code signal stdout_bytes "
                               "stderr_bytes stdout_truncated stderr_truncated timed_out "
                               "oom_killed duration_ms usage started_at"
                             : "id container_id status exit_code signal stdout_bytes stderr_bytes "
                               "stdout_truncated stderr_truncated timed_out oom_killed duration_ms "
                               "usage started_at");
        assert_int_equal(int_at(&exit, "exit_code"), 7);
        assert_string_equal(text_at(&exit, "status"), "failed");
        assert_int_equal(int_at(&exit, "stdout_bytes"), 4);
        assert_int_equal(int_at(&exit, "stderr_bytes"), 6);
        assert_streamed(&log, "stdout", "out\n");
        assert_streamed(&log, "stderr", "error\n");
        assert_string_equal(text_at(&exit, "id"),
                            json_string_value(json_object_get(started, "id")));
        e = fetch(ALICE, "/audit/%s/output", text_at(&exit, "id"));
        assert_string_equal(text_at(&e, "stdout"), "out\n");
        assert_string_equal(text_at(&e, "stderr"), "error\n");
        reply_done(&e);
        stream_log_done(&log);
    }
}

static void
every_event_has_the_offsets_behind_it(void **state)
{
    static const char *const ids[] = {"0:0", "4:0", "4:6", "9:6", "9:6"};
    struct stream_log log = run_to_end(
        EVENTS, "echo one; sleep 0.3; echo error >&2; sleep 0.3; printf '\\342\\202\\254xx'");

    (void)state;
    assert_int_equal(log.count, ARRAY_LEN(ids));
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        assert_string_equal(log.events[i].id, ids[i]);
    stream_log_done(&log);
}

/* Pieces of output, and what is made of them. */
static const struct {
    const char *command;
    const char *events[4]; /* encoding and data of each event of stdout */
} pieces[] = {
    {"printf 'a\\342\\202'; sleep 0.4; printf '\\254b'",
     {"utf-8 a", "utf-8 \xe2\x82\xac"
                 "b"}},
    {"printf '\\360'; sleep 0.4; printf '\\237\\216'; sleep 0.4; printf '\\211'",
     {"utf-8 \xf0\x9f\x8e\x89"}},
    {"printf 'a\\342'", {"utf-8 a", "base64 4g=="}},
    {"printf 'a\\342'; sleep 0.4; printf b", {"utf-8 a", "base64 4mI="}},
    {"printf '\\377\\376'; sleep 0.4; printf text", {"base64 //4=", "utf-8 text"}},
    {"printf 'a\\000b'", {"utf-8 a"}}, /* the NUL ends what a C string shows of it */
    {"printf '\"\\\\\\n\\r'", {"utf-8 \"\\\n\r"}},
    {"true", {NULL}},
};

static void
characters_are_never_cut_and_bytes_never_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct stream_log log = run_to_end(EVENTS, pieces[i].command);
        size_t n = 0;

        print_message("    %s\n", pieces[i].command);
        for (; pieces[i].events[n]; n++) {
            const json_t *data = stream_nth(&log, "stdout", n)->data;
            char shown[64];

            snprintf(shown, sizeof(shown), "%s %s",
                     json_string_value(json_object_get(data, "encoding")),
                     json_string_value(json_object_get(data, "data")));
            assert_string_equal(shown, pieces[i].events[n]);
        }
        assert_int_equal(stream_count(&log, "stdout"), n);
        stream_log_done(&log);
    }
}

static void
a_quiet_command_is_pinged_for(void **state)
{
    struct streaming *s[ARRAY_LEN(forms)];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        s[i] = run_streaming(forms[i], "sleep 33; echo late");
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct stream_log log = streaming_land(s[i]);

        print_message("    %s\n", forms[i]);
        assert_int_equal(stream_count(&log, "ping"), QUIET_SECONDS / 15);
        for (size_t k = 0; k < QUIET_SECONDS / 15; k++) {
            double after = stream_nth(&log, "ping", k)->at - stream_nth(&log, "started", 0)->at;

            assert_true(after > 14.0 * (double)(k + 1) && after < 15.0 * (double)(k + 1) + 5);
        }
        assert_streamed(&log, "stdout", "late\n");
        stream_last(&log, "exit");
        stream_log_done(&log);
    }
}

static void
a_timeout_and_a_signal_are_told_by_exit(void **state)
{
    struct stream_log log = streaming_land(streaming_post(
        ALICE, "/execute", EVENTS, "{s:s, s:s, s:s, s:i}", "agent_id", "stream", "session_id", "s",
        "command", "echo early; sleep 600", "timeout_seconds", 1));
    struct reply exit = stream_last(&log, "exit");

    (void)state;
    assert_true(bool_at(&exit, "timed_out"));
    assert_string_equal(text_at(&exit, "status"), "timed_out");
    assert_string_equal(text_at(&exit, "signal"), "SIGKILL");
    assert_true(null_at(&exit, "exit_code"));
    assert_streamed(&log, "stdout", "early\n");
    stream_log_done(&log);
    log = run_to_end(EVENTS, "kill -TERM $$");
    exit = stream_last(&log, "exit");
    assert_string_equal(text_at(&exit, "signal"), "SIGTERM");
    stream_log_done(&log);
}

static void
a_program_that_is_not_there_is_a_stream_too(void **state)
{
    struct stream_log log =
        streaming_land(streaming_post(ALICE, "/execute", EVENTS, "{s:s, s:s, s:[s]}", "agent_id",
                                      "stream", "session_id", "s", "argv", "no-such-program"));
    struct reply exit = stream_last(&log, "exit");

    (void)state;
    assert_int_equal(log.reply.status, 200);
    assert_int_equal(stream_count(&log, "started"), 1);
    assert_int_equal(int_at(&exit, "exit_code"), 127);
    assert_streamed(&log, "stderr",
                    "cannot execute 'no-such-program': No such file or directory\n");
    stream_log_done(&log);
}

static void
what_fails_before_it_starts_is_a_plain_problem(void **state)
{
    static const struct {
        const char *user, *path, *body;
        long status;
        const char *code;
    } cases[] = {
        {ALICE, "/containers/container_000000000000/exec", "{\"command\": \"id\"}", 404,
         "not_found"},
        {ALICE, "/execute", "{\"command\": \"id\", \"argv\": [\"id\"]}", 422, "validation_failed"},
        {ALICE, "/execute", "{\"command\": \"id\", \"tier\": \"none\"}", 422, "validation_failed"},
        {ALICE, "/execute", "{", 400, "bad_json"},
        {BOB, "/execute", "{\"command\": \"id\", \"tier\": \"Elevated\"}", 403, "forbidden"},
        {VIEWER, "/execute", "{\"command\": \"id\"}", 403, "forbidden"},
        {NULL, "/execute", "{\"command\": \"id\"}", 401, "unauthenticated"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forms) * ARRAY_LEN(cases); i++) {
        const char *form = forms[i % ARRAY_LEN(forms)];
        size_t k = i / ARRAY_LEN(forms);
        char accept[64];
        struct reply r;

        snprintf(accept, sizeof(accept), "Accept: %s", form);
        r = call(cases[k].user, "POST", cases[k].path, cases[k].body, accept, NULL);
        print_message("    %s %s\n", form, cases[k].body);
        assert_status(&r, cases[k].status);
        assert_string_equal(r.content_type, "application/problem+json");
        assert_string_equal(text_at(&r, "code"), cases[k].code);
        reply_done(&r);
    }
}

static void
a_stopped_container_is_a_plain_problem(void **state)
{
    char id[STEP_ID_SIZE], path[128];
    struct reply r;

    (void)state;
    make_container(ALICE, "{\"agent_id\": \"stream\", \"session_id\": \"stopped\"}", id);
    r = act(ALICE, "POST", "/containers/%s/stop", id);
    assert_status(&r, 200);
    reply_done(&r);
    snprintf(path, sizeof(path), "/containers/%s/exec", id);
    r = call(ALICE, "POST", path, "{\"command\": \"id\"}", "Accept: " EVENTS, NULL);
    assert_problem(&r, 409, "container_not_running");
    reply_done(&r);
}

static void
a_container_removed_meanwhile_ends_the_stream(void **state)
{
    struct streaming *s =
        streaming_post(ALICE, "/execute", EVENTS, "{s:s, s:s, s:s}", "agent_id", "stream",
                       "session_id", "removed", "command", "echo here; sleep 600");
    char id[64];
    struct stream_log log;
    struct reply r;

    (void)state;
    streaming_started(s, "container_id", id, sizeof(id));
    streaming_wait(s, "stdout", 1);
    r = act(ALICE, "DELETE", "/containers/%s", id);
    assert_status(&r, 204);
    reply_done(&r);
    log = streaming_land(s);
    r = stream_last(&log, "exit");
    assert_string_equal(text_at(&r, "status"), "killed");
    assert_string_equal(text_at(&r, "signal"), "SIGKILL");
    stream_log_done(&log);
}

/* Whether nothing of `sleep 7777` runs in the sandbox, and the audit entry @arg says `killed`. */
static bool
is_ended(void *arg)
{
    struct reply entry = fetch(ALICE, "/audit/%s", (const char *)arg);
    struct reply r =
        run_plainly("for p in /proc/[0-9]*; do grep -qs 7777 $p/cmdline && echo $p; done | wc -l");
    bool ended = strcmp(text_at(&entry, "status"), "killed") == 0;

    /* What looks for it has the word among its own, twice. */
    ended = ended && strtol(text_at(&r, "stdout"), NULL, 10) <= 2;
    reply_done(&entry);
    reply_done(&r);
    return ended;
}

static void
a_client_that_goes_away_ends_its_execution(void **state)
{
    static const char *const commands[] = {
        "(setsid sleep 7777 &); sleep 7777",                              /* quiet */
        "(setsid sleep 7777 &); while :; do echo more; sleep 0.05; done", /* or not, */
        "(setsid sleep 7777 &); yes",                                     /* or not at all */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(commands) * ARRAY_LEN(forms); i++) {
        struct streaming *s =
            run_streaming(forms[i / ARRAY_LEN(commands)], commands[i % ARRAY_LEN(commands)]);
        char id[64];

        print_message("    %s\n", commands[i % ARRAY_LEN(commands)]);
        streaming_started(s, "id", id, sizeof(id));
        streaming_abort(s);
        wait_until(is_ended, id, 60, "the end of what nobody listens to");
    }
}

/* Fail the test unless @bytes, @len of them, are what `yes 0123456789abcde` writes. */
static void
assert_lines(const char *bytes, size_t len, size_t expected)
{
    assert_int_equal(len, expected);
    for (size_t at = 0; at < len; at += LINE)
        if (memcmp(bytes + at, "0123456789abcde\n", LINE) != 0)
            fail_msg("other bytes from %zu on", at);
}

static void
a_big_output_arrives_whole_and_is_kept_in_part(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct stream_log log = run_to_end(forms[i], "yes 0123456789abcde | head -c 50000000");
        struct reply o, exit = stream_last(&log, "exit");
        size_t len;
        _cleanup_(freep) char *bytes = stream_bytes(&log, "stdout", &len);

        print_message("    %s\n", forms[i]);
        assert_lines(bytes, len, BIG);
        assert_int_equal(int_at(&exit, "stdout_bytes"), BIG);
        assert_true(bool_at(&exit, "stdout_truncated"));
        o = fetch(ALICE, "/audit/%s/output", text_at(&exit, "id"));
        assert_lines(text_at(&o, "stdout"), strlen(text_at(&o, "stdout")), CAP);
        reply_done(&o);
        stream_log_done(&log);
    }
}

static void
a_slow_reader_holds_the_command_back_and_loses_nothing(void **state)
{
    struct streaming *s =
        run_streaming(EVENTS, "rm -f written; yes 0123456789abcde | head -c 50000000; >written");
    const struct timespec held = {.tv_sec = HELD_SECONDS};
    struct stream_log log;
    struct reply r;
    size_t len, before;
    char *bytes;
    long memory;

    (void)state;
    streaming_wait(s, "stdout", 1);
    streaming_hold(s);
    memory = host_workers_private_kib();
    nanosleep(&held, NULL); /* that time passes is the point */
    before = streaming_count(s, "stdout");
    r = run_plainly("test ! -e written");
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
    if (host_workers_private_kib() > memory + MEMORY_SLACK_KIB)
        fail_msg("the workers grew from %ld to %ld KiB", memory, host_workers_private_kib());
    assert_int_equal(streaming_count(s, "stdout"), before);
    streaming_go_on(s);
    log = streaming_land(s);
    bytes = stream_bytes(&log, "stdout", &len);
    assert_lines(bytes, len, BIG);
    free(bytes);
    stream_last(&log, "exit");
    stream_log_done(&log);
    r = run_plainly("test -e written");
    assert_int_equal(int_at(&r, "exit_code"), 0);
    reply_done(&r);
}

static void
a_reader_slower_than_the_deadline_still_hears_the_end(void **state)
{
    struct streaming *s =
        streaming_post(ALICE, "/execute", EVENTS, "{s:s, s:s, s:s, s:i}", "agent_id", "stream",
                       "session_id", "s", "command", "yes", "timeout_seconds", 2);
    const struct timespec held = {.tv_sec = 9}; /* the deadline and what the guest gets past it */
    struct stream_log log;
    struct reply exit;

    (void)state;
    streaming_wait(s, "stdout", 1);
    streaming_hold(s);
    nanosleep(&held, NULL);
    streaming_go_on(s);
    log = streaming_land(s);
    exit = stream_last(&log, "exit");
    assert_string_equal(text_at(&exit, "status"), "timed_out");
    stream_log_done(&log);
}

/* A request by a bare TLS socket, whose answer @arrives line by line: openssl's client. */
static FILE *
open_socket(const char *accept, const char *command)
{
    char text[2048];
    FILE *f;

    snprintf(text, sizeof(text),
             "host=${SANDBOX_URL#https://} host=${host%%%%/*};"
             " auth=$(printf 'alice:%%s' \"$(cat \"$SANDBOX_STATE/test-password-alice\")\" |"
             " base64 -w 0); body='{\"agent_id\": \"stream\", \"session_id\": \"s\","
             " \"command\": \"%s\"}';"
             " { printf 'POST /api/sandbox/execute HTTP/1.1\\r\\nHost: localhost\\r\\n"
             "Authorization: Basic %%s\\r\\nAccept: %s\\r\\nContent-Type: application/json\\r\\n"
             "Content-Length: %%d\\r\\nConnection: close\\r\\n\\r\\n%%s' \"$auth\" \"${#body}\""
             " \"$body\"; } | timeout 60 openssl s_client -quiet -connect \"$host\""
             " -CAfile \"$SANDBOX_CACERT\" 2>/dev/null",
             command, accept);
    f = popen(text, "re"); /* NOLINT(cert-env33-c): the test's own words */
    assert_non_null(f);
    return f;
}

/* Read lines until one begins with @start; returns whether there was one. */
static bool
read_until(FILE *f, const char *start, char *line, int size)
{
    while (fgets(line, size, f))
        if (strncmp(line, start, strlen(start)) == 0)
            return true;
    return false;
}

static void
a_bare_socket_sees_pieces_at_once(void **state)
{
    FILE *f = open_socket(EVENTS, "echo first; while [ ! -e go ]; do sleep 0.1; done; rm go");
    char line[1024];
    struct reply r;

    (void)state;
    assert_true(read_until(f, "HTTP/1.1 200 OK", line, sizeof(line)));
    assert_true(read_until(f, "Content-Type: text/event-stream", line, sizeof(line)));
    assert_true(read_until(f, "event: started\n", line, sizeof(line)));
    assert_true(read_until(f, "id: 0:0\n", line, sizeof(line)));
    assert_true(read_until(f, "data: {\"id\":\"exec_", line, sizeof(line)));
    assert_true(read_until(f, "event: stdout\n", line, sizeof(line)));
    assert_true(read_until(f, "id: 6:0\n", line, sizeof(line)));
    assert_true(read_until(f, "data: {\"data\":\"first\\n\",\"encoding\":\"utf-8\"}\n", line,
                           sizeof(line)));
    r = run_plainly("touch go"); /* it would wait for ever, had we not heard of it already */
    reply_done(&r);
    assert_true(read_until(f, "event: exit\n", line, sizeof(line)));
    pclose(f);
}

int
suite_stream(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_comes_when_it_is_written),
        cmocka_unit_test(the_events_hold_what_the_answer_would),
        cmocka_unit_test(every_event_has_the_offsets_behind_it),
        cmocka_unit_test(characters_are_never_cut_and_bytes_never_lost),
        cmocka_unit_test(a_quiet_command_is_pinged_for),
        cmocka_unit_test(a_timeout_and_a_signal_are_told_by_exit),
        cmocka_unit_test(a_program_that_is_not_there_is_a_stream_too),
        cmocka_unit_test(what_fails_before_it_starts_is_a_plain_problem),
        cmocka_unit_test(a_stopped_container_is_a_plain_problem),
        cmocka_unit_test(a_container_removed_meanwhile_ends_the_stream),
        cmocka_unit_test(a_client_that_goes_away_ends_its_execution),
        cmocka_unit_test(a_big_output_arrives_whole_and_is_kept_in_part),
        cmocka_unit_test(a_slow_reader_holds_the_command_back_and_loses_nothing),
        cmocka_unit_test(a_reader_slower_than_the_deadline_still_hears_the_end),
        cmocka_unit_test(a_bare_socket_sees_pieces_at_once),
    };

    return cmocka_run_group_tests_name("api: stream", tests, NULL, remove_containers);
}
