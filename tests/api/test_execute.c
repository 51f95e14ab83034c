/* POST execute: what a command gets, what comes back, what is refused. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"

enum { DEFAULT_CAP = 1 << 20 };

/* Commands of one session, and how each has to end. */
static const struct {
    const char *command; /* sh text */
    int exit_code;       /* -1: null, for it is killed by @signal */
    const char *signal;
    const char *out, *errout;
} commands[] = {
    {"echo hi", 0, NULL, "hi\n", ""},
    {"printf 'no newline'", 0, NULL, "no newline", ""},
    {"true", 0, NULL, "", ""},
    {"false", 1, NULL, "", ""},
    {"exit 255", 255, NULL, "", ""},
    {"exit 256", 0, NULL, "", ""},
    {"echo out; echo err >&2; exit 3", 3, NULL, "out\n", "err\n"},
    {"kill -9 $$", -1, "SIGKILL", "", ""},
    {"kill -TERM $$", -1, "SIGTERM", "", ""},
    {"kill -SEGV $$", -1, "SIGSEGV", "", ""},
    {"echo early; kill -KILL $$", -1, "SIGKILL", "early\n", ""},
    {"sh -c 'kill -9 $$' 2>/dev/null; echo $?", 0, NULL, "137\n", ""},
    {"exit $((1 + 1))", 2, NULL, "", ""},
    {"pwd", 0, NULL, "/workspace\n", ""},
    {"echo $HOME", 0, NULL, "/home/sandbox\n", ""},
    {"cd && pwd", 0, NULL, "/home/sandbox\n", ""},
    {"id -un", 0, NULL, "sandbox\n", ""},
    {"test $(id -u) -ge 10000 && test $(id -u) = $(id -g) && id -G | wc -w", 0, NULL, "1\n", ""},
    {"cat", 0, NULL, "", ""}, /* stdin is there, and empty */
    {"echo 'quotes \" and \\ and $HOME'", 0, NULL, "quotes \" and \\ and $HOME\n", ""},
    {"echo caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\x89", 0, NULL,
     "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\x89\n", ""},
    {"printf 'tab\\tnew\\nline'", 0, NULL, "tab\tnew\nline", ""},
    {"printf '\\033[1mbold\\033[0m'", 0, NULL, "\033[1mbold\033[0m", ""},
    {"echo first\necho second", 0, NULL, "first\nsecond\n", ""},
    {"# nothing but a comment", 0, NULL, "", ""},
    {" ", 0, NULL, "", ""},
    {"for i in 1 2 3; do echo $i; done | tac | head -n 1", 0, NULL, "3\n", ""},
    {"(sleep 60 &) ; echo left behind", 0, NULL, "left behind\n", ""},
    {"touch /workspace/a $HOME/b /tmp/c && ls /workspace $HOME /tmp >/dev/null", 0, NULL, "", ""},
    {"touch /usr/x 2>/dev/null || touch /x 2>/dev/null || echo refused", 0, NULL, "refused\n", ""},
};

static void
assert_ended(const struct reply *r, const char *what, int exit_code, const char *signal)
{
    json_auto_t *code = exit_code < 0 ? json_null() : json_integer(exit_code);
    json_auto_t *name = signal ? json_string(signal) : json_null();

    if (!json_equal(at(r, "exit_code"), code) || !json_equal(at(r, "signal"), name))
        fail_msg("'%s' ended so: %s", what, r->body);
}

static void
commands_end_as_on_any_unix(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct reply r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "execute", "session_id",
                                 "commands", "command", commands[i].command);

        assert_status(&r, 200);
        assert_ended(&r, commands[i].command, commands[i].exit_code, commands[i].signal);
        assert_string_equal(text_at(&r, "stdout"), commands[i].out);
        assert_string_equal(text_at(&r, "stderr"), commands[i].errout);
        assert_string_equal(text_at(&r, "encoding"), "utf-8");
        assert_false(bool_at(&r, "timed_out"));
        assert_false(bool_at(&r, "oom_killed"));
        reply_done(&r);
    }
}

static void
the_answer_has_every_field(void **state)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "execute", "session_id",
                             "fields", "command", "echo out; echo error >&2; exit 3");

    (void)state;
    assert_status(&r, 200);
    assert_string_equal(r.content_type, "application/json; charset=utf-8");
    assert_members(r.json, "id container_id status exit_code signal stdout stderr encoding "
                           "stdout_bytes stderr_bytes stdout_truncated stderr_truncated timed_out "
                           "oom_killed duration_ms usage started_at");
    assert_members(at(&r, "usage"), "cpu_ms max_memory_mb");
    assert_memory_equal(text_at(&r, "id"), "exec_", 5);
    assert_memory_equal(text_at(&r, "container_id"), "container_", 10);
    assert_string_equal(text_at(&r, "status"), "failed");
    assert_int_equal(int_at(&r, "exit_code"), 3);
    assert_true(null_at(&r, "signal"));
    assert_int_equal(int_at(&r, "stdout_bytes"), 4);
    assert_int_equal(int_at(&r, "stderr_bytes"), 6);
    assert_false(bool_at(&r, "stdout_truncated"));
    assert_false(bool_at(&r, "stderr_truncated"));
    assert_true(int_at(&r, "duration_ms") >= 0);
    assert_true(int_at(&r, "usage.cpu_ms") >= 0);
    assert_true(number_at(&r, "usage.max_memory_mb") > 0);
    assert_time(text_at(&r, "started_at"));
    reply_done(&r);
}

static void
usage_is_measured(void **state)
{
    struct reply r =
        execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "execute", "session_id", "usage", "command",
                "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; "
                "dd if=/dev/zero of=/dev/null bs=20M count=1 2>/dev/null; sleep 0.2");

    (void)state;
    assert_status(&r, 200);
    assert_true(int_at(&r, "duration_ms") >= 200);
    assert_true(int_at(&r, "usage.cpu_ms") > 10);
    assert_true(number_at(&r, "usage.max_memory_mb") > 15);
    reply_done(&r);
}

static void
argv_runs_without_a_shell(void **state)
{
    struct reply r =
        execute(ALICE, "{s:s, s:s, s:[s, s, s, s, s]}", "agent_id", "execute", "session_id", "argv",
                "argv", "printf", "%s|%s|%s\\n", "$HOME", "two  words", "*");

    (void)state;
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "stdout"), "$HOME|two  words|*\n");
    reply_done(&r);
}

static void
what_cannot_be_started_fails_as_in_a_shell(void **state)
{
    static const struct {
        const char *body, *told;
        int exit_code;
    } cases[] = {
        {"{\"argv\": [\"no-such-program\"]}", "no-such-program", 127},
        {"{\"argv\": [\"/no/such/program\", \"x\"]}", "/no/such/program", 127},
        {"{\"argv\": [\"/etc/passwd\"]}", "/etc/passwd", 126},
        {"{\"argv\": [\"/\"]}", "/", 126},
        {"{\"command\": \"true\", \"cwd\": \"/nowhere\"}", "/nowhere", 126},
        {"{\"command\": \"true\", \"cwd\": \"/etc/passwd\"}", "/etc/passwd", 126},
        {"{\"command\": \"true\", \"cwd\": \"/proc/1/fd\"}", "/proc/1/fd", 126},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = call(ALICE, "POST", "/execute", cases[i].body, NULL);

        assert_status(&r, 200);
        assert_ended(&r, cases[i].body, cases[i].exit_code, NULL);
        assert_string_equal(text_at(&r, "status"), "failed");
        assert_string_equal(text_at(&r, "stdout"), "");
        assert_non_null(strstr(text_at(&r, "stderr"), cases[i].told));
        assert_int_equal(int_at(&r, "stderr_bytes"), strlen(text_at(&r, "stderr")));
        reply_done(&r);
    }
}

static void
cwd_is_where_the_command_starts(void **state)
{
    static const char *const directories[] = {"/", "/tmp", "/workspace", "/home/sandbox", "/usr"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
        struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:s}", "agent_id", "execute", "session_id",
                                 "cwd", "cwd", directories[i], "command", "printf %s \"$(pwd)\"");

        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "stdout"), directories[i]);
        reply_done(&r);
    }
}

/* Variables, and whether their names are good. */
static const struct {
    const char *name, *value;
    bool fine;
} variables[] = {
    {"A", "1", true},
    {"_", "x", true},
    {"lower_Case9", "two words", true},
    {"EMPTY", "", true},
    {"LINES_IN_IT", "one\ntwo\n", true},
    {"EQUALS", "a=b=c", true},
    {"UTF", "\xe2\x82\xac", true},
    {"SHELL_WORDS", "$(id) `id` \"'\\", true},
    {"HOME", "/tmp", true},
    {"PATH", "/bin:/usr/bin", true},
    {"", "x", false},
    {"A=B", "x", false},
    {"9A", "x", false},
    {"A-B", "x", false},
    {"A B", "x", false},
    {"A\nB", "x", false},
    {"A.B", "x", false},
    {"caf\xc3\xa9", "x", false},
};

static void
env_adds_variables_with_good_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        struct reply r =
            execute(ALICE, "{s:s, s:s, s:{s:s}, s:[s]}", "agent_id", "execute", "session_id", "env",
                    "env", variables[i].name, variables[i].value, "argv", "env");
        _cleanup_(freep) char *line = NULL;

        if (!variables[i].fine) {
            assert_violation(&r, "/env");
            reply_done(&r);
            continue;
        }
        assert_status(&r, 200);
        assert_true(asprintf(&line, "%s=%s\n", variables[i].name, variables[i].value) > 0);
        if (!strstr(text_at(&r, "stdout"), line))
            fail_msg("no %s in %s", line, r.body);
        reply_done(&r);
    }
}

static void
one_executions_env_is_not_the_nexts(void **state)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:{s:s}, s:s}", "agent_id", "execute", "session_id",
                             "env", "env", "ONLY_ONCE", "x", "command", "true");

    (void)state;
    assert_status(&r, 200);
    reply_done(&r);
    r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "execute", "session_id", "env", "command",
                "echo ${ONLY_ONCE-unset}");
    assert_string_equal(text_at(&r, "stdout"), "unset\n");
    reply_done(&r);
}

static void
stdin_reaches_the_command_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 4096, 65536, 65537, 400000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        _cleanup_(freep) char *text = malloc(sizes[i] + 1);
        char expected[32];
        struct reply r;

        assert_non_null(text);
        memset(text, 'x', sizes[i]);
        text[sizes[i]] = '\0';
        snprintf(expected, sizeof(expected), "%zu\n", sizes[i]);
        r = execute(ALICE, "{s:s, s:s, s:s, s:s}", "agent_id", "execute", "session_id", "stdin",
                    "stdin", text, "command", "wc -c");
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "stdout"), expected);
        reply_done(&r);
        r = execute(ALICE, "{s:s, s:s, s:s, s:s}", "agent_id", "execute", "session_id", "stdin",
                    "stdin", text, "command", "exit 0"); /* that does not read it */
        assert_status(&r, 200);
        assert_int_equal(int_at(&r, "exit_code"), 0);
        reply_done(&r);
    }
}

static void
output_that_is_not_utf8_comes_as_base64(void **state)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s}", "agent_id", "execute", "session_id",
                             "binary", "command", "printf '\\377\\000\\001'; echo text >&2");

    (void)state;
    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "encoding"), "base64");
    assert_string_equal(text_at(&r, "stdout"), "/wAB");
    assert_string_equal(text_at(&r, "stderr"), "dGV4dAo=");
    assert_int_equal(int_at(&r, "stdout_bytes"), 3);
    reply_done(&r);
}

/* How many of @c are in @text. */
static size_t
count_char(const char *text, char c)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == c;
    return n;
}

static void
max_output_bytes_keeps_head_and_tail(void **state)
{
    static const struct {
        const char *out;
        int cap;
        bool truncated;
    } cases[] = {
        {"0123456789", 10, false}, {"0123456789", 11, false}, {NULL, 9, true},
        {"0189", 4, true},         {"09", 2, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r =
            execute(ALICE, "{s:s, s:s, s:i, s:s}", "agent_id", "execute", "session_id", "cap",
                    "max_output_bytes", cases[i].cap, "command", "printf 0123456789; printf e >&2");

        assert_status(&r, 200);
        if (cases[i].out)
            assert_string_equal(text_at(&r, "stdout"), cases[i].out);
        assert_true(strlen(text_at(&r, "stdout")) <= (size_t)cases[i].cap);
        assert_int_equal(bool_at(&r, "stdout_truncated"), cases[i].truncated);
        assert_int_equal(int_at(&r, "stdout_bytes"), 10);
        assert_string_equal(text_at(&r, "stderr"), "e");
        assert_false(bool_at(&r, "stderr_truncated"));
        reply_done(&r);
    }
}

static void
without_a_cap_of_its_own_a_stream_keeps_a_mebibyte(void **state)
{
    struct reply r = execute(
        ALICE, "{s:s, s:s, s:s}", "agent_id", "execute", "session_id", "cap", "command",
        "echo head; head -c 3000000 /dev/zero | tr '\\0' x; echo tail; head -c 1048576 /dev/zero | "
        "tr '\\0' y >&2");
    const char *out;

    (void)state;
    assert_status(&r, 200);
    out = text_at(&r, "stdout");
    assert_int_equal(strlen(out), DEFAULT_CAP);
    assert_memory_equal(out, "head\n", 5);
    assert_string_equal(out + DEFAULT_CAP - 5, "tail\n");
    assert_int_equal(count_char(out, 'x'), DEFAULT_CAP - 10);
    assert_true(bool_at(&r, "stdout_truncated"));
    assert_int_equal(int_at(&r, "stdout_bytes"), 3000010);
    assert_int_equal(strlen(text_at(&r, "stderr")), DEFAULT_CAP);
    assert_false(bool_at(&r, "stderr_truncated"));
    reply_done(&r);
}

static void
a_deadline_is_told_by_timed_out(void **state)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:i, s:s}", "agent_id", "execute", "session_id",
                             "deadline", "timeout_seconds", 1, "command", "echo begun; sleep 600");

    (void)state;
    assert_status(&r, 200);
    assert_true(bool_at(&r, "timed_out"));
    assert_string_equal(text_at(&r, "status"), "timed_out");
    assert_ended(&r, "sleep 600", -1, "SIGKILL");
    assert_string_equal(text_at(&r, "stdout"), "begun\n");
    assert_true(int_at(&r, "duration_ms") >= 1000);
    reply_done(&r);
}

static void
a_sandbox_of_no_session_is_gone_afterwards(void **state)
{
    struct reply r = execute(ALICE, "{s:s, s:s}", "agent_id", "execute", "command", "true");
    struct reply gone;

    (void)state;
    assert_status(&r, 200);
    gone = act(ALICE, "GET", "/containers/%s", text_at(&r, "container_id"));
    assert_problem(&gone, 404, "not_found");
    reply_done(&gone);
    reply_done(&r);
}

#define LONG_NAME                                                                                  \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaa"                                                                                         \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaa"                                                                                         \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaa"
#define NAME_65 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define WITH(members) "{\"command\": \"true\", \"agent_id\": \"refused\", " members "}"
#define BAD_ID(field, value)                                                                       \
    {                                                                                              \
        "{\"command\": \"true\", \"" field "\": " value "}", "/" field                             \
    }
#define BAD_IDS(field)                                                                             \
    BAD_ID(field, "\"\""), BAD_ID(field, "null"), BAD_ID(field, "7"), BAD_ID(field, "true"),       \
        BAD_ID(field, "[\"a\"]"), BAD_ID(field, "{}"), BAD_ID(field, "\"" LONG_NAME "\""),         \
        BAD_ID(field, "\"" NAME_65 "\""), BAD_ID(field, "\"../x\""), BAD_ID(field, "\"..\""),      \
        BAD_ID(field, "\".\""), BAD_ID(field, "\".hidden\""), BAD_ID(field, "\"/etc\""),           \
        BAD_ID(field, "\"a/b\""), BAD_ID(field, "\"a/../../b\""), BAD_ID(field, "\"a b\""),        \
        BAD_ID(field, "\"a\\u0301\""), BAD_ID(field, "\"\\u0430lice\""),                           \
        BAD_ID(field, "\"\\uff41gent\""), BAD_ID(field, "\"a\\u2024b\""),                          \
        BAD_ID(field, "\"a\\u202eb\""), BAD_ID(field, "\"a\\nb\""), BAD_ID(field, "\"a~new\""),    \
        BAD_ID(field, "\"-rf\""), BAD_ID(field, "\"_a\""), BAD_ID(field, "\"a%2f\""),              \
        BAD_ID(field, "\"a:b\""), BAD_ID(field, "\"a\\\\b\""), BAD_ID(field, "\"$(id)\"")

/* Bodies that are refused, and where the answer has to point. */
static const struct {
    const char *body, *pointer;
} refused[] = {
    {"{}", "/command"},
    {"{\"agent_id\": \"refused\"}", "/command"},
    {"{\"command\": \"\"}", "/command"},
    {"{\"command\": null}", "/command"},
    {"{\"command\": 7}", "/command"},
    {"{\"command\": [\"true\"]}", "/command"},
    {"{\"command\": \"true\", \"argv\": [\"true\"]}", "/argv"},
    {"{\"argv\": []}", "/argv"},
    {"{\"argv\": \"true\"}", "/argv"},
    {"{\"argv\": [7]}", "/argv/0"},
    {"{\"argv\": [\"echo\", null]}", "/argv/1"},
    {"{\"argv\": [\"\"]}", "/argv/0"},
    BAD_IDS("agent_id"),
    BAD_IDS("session_id"),
    {WITH("\"scope\": \"user\""), "/scope"},
    {WITH("\"scope\": \"SESSION\""), "/scope"},
    {WITH("\"scope\": 1"), "/scope"},
    {WITH("\"tier\": \"Nope\""), "/tier"},
    {WITH("\"tier\": \"\""), "/tier"},
    {WITH("\"tier\": 1"), "/tier"},
    {WITH("\"tier\": \"Sandbox \""), "/tier"},
    {WITH("\"template\": \"no-such-template\""), "/template"},
    {WITH("\"template\": \"../base\""), "/template"},
    {WITH("\"template\": \"\""), "/template"},
    {WITH("\"template\": null"), "/template"},
    {WITH("\"workspace_access\": \"rwx\""), "/workspace_access"},
    {WITH("\"workspace_access\": 3"), "/workspace_access"},
    {WITH("\"timeout_seconds\": 0"), "/timeout_seconds"},
    {WITH("\"timeout_seconds\": -1"), "/timeout_seconds"},
    {WITH("\"timeout_seconds\": 301"), "/timeout_seconds"},
    {WITH("\"timeout_seconds\": 1.5"), "/timeout_seconds"},
    {WITH("\"timeout_seconds\": \"10\""), "/timeout_seconds"},
    {WITH("\"timeout_seconds\": 9223372036854775807"), "/timeout_seconds"},
    {WITH("\"timeout_seconds\": 61, \"tier\": \"Sandbox\""), "/timeout_seconds"},
    {WITH("\"max_output_bytes\": 0"), "/max_output_bytes"},
    {WITH("\"max_output_bytes\": 1"), "/max_output_bytes"},
    {WITH("\"max_output_bytes\": -5"), "/max_output_bytes"},
    {WITH("\"max_output_bytes\": 1048577"), "/max_output_bytes"},
    {WITH("\"max_output_bytes\": 1e3"), "/max_output_bytes"},
    {WITH("\"stdin\": 7"), "/stdin"},
    {WITH("\"stdin\": null"), "/stdin"},
    {WITH("\"env\": []"), "/env"},
    {WITH("\"env\": \"A=B\""), "/env"},
    {WITH("\"env\": {\"A\": 1}"), "/env/A"},
    {WITH("\"env\": {\"A\": null}"), "/env/A"},
    {WITH("\"cwd\": \"relative\""), "/cwd"},
    {WITH("\"cwd\": \"\""), "/cwd"},
    {WITH("\"cwd\": 7"), "/cwd"},
    {WITH("\"sandbox\": \"true\""), "/sandbox"},
    {WITH("\"sandbox\": 1"), "/sandbox"},
    {WITH("\"privileged\": true"), "/privileged"},
    {WITH("\"user\": \"root\""), "/user"},
    {WITH("\"owner\": \"bob\""), "/owner"},
    {WITH("\"labels\": {}"), "/labels"},
    {WITH("\"Command\": \"true\""), "/Command"},
    {"[]", ""},
    {"\"true\"", ""},
    {"7", ""},
    {"null", ""},
};

/* What is there of containers, their directories and workspaces. */
struct traces {
    size_t containers, workspaces, guests, slots;
};

static struct traces
look_for_traces(void)
{
    struct reply list = fetch(ADMIN, "/containers?limit=500");
    struct traces t = {
        .containers = json_array_size(at(&list, "containers")),
        .workspaces = count_files("workspaces"),
        .guests = count_files("guests"),
        .slots = count_files("slots"),
    };

    reply_done(&list);
    return t;
}

static void
a_refused_body_is_pointed_at_and_leaves_nothing(void **state)
{
    const struct traces before = look_for_traces();
    struct traces after;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct reply r = call(ALICE, "POST", "/execute", refused[i].body, NULL);

        if (r.status != 422)
            fail_msg("%s gave %ld %s", refused[i].body, r.status, r.body);
        assert_violation(&r, refused[i].pointer);
        reply_done(&r);
        after = look_for_traces();
        if (memcmp(&before, &after, sizeof(before)) != 0)
            fail_msg("%s left something behind", refused[i].body);
    }
}

static void
a_body_without_content_lacks_its_command(void **state)
{
    struct reply r = call(ALICE, "POST", "/execute", NULL, NULL);

    (void)state;
    assert_violation(&r, "/command");
    reply_done(&r);
}

static void
a_template_that_is_not_here_leaves_nothing(void **state)
{
    static const char *const bodies[] = {
        "{\"command\": \"true\", \"agent_id\": \"absent\", \"template\": \"python\"}",
        "{\"command\": \"true\", \"agent_id\": \"absent\", \"session_id\": \"s\","
        " \"template\": \"node\"}",
    };
    const struct traces before = look_for_traces();
    struct traces after;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct reply r = call(ALICE, "POST", "/execute", bodies[i], NULL);

        assert_problem(&r, 409, "template_not_ready");
        reply_done(&r);
        after = look_for_traces();
        assert_memory_equal(&before, &after, sizeof(before));
    }
}

static void
a_tier_above_the_ceiling_is_forbidden(void **state)
{
    static const struct {
        const char *user, *tier;
        long status;
    } cases[] = {
        {ALICE, "Elevated", 200}, {ALICE, "Unrestricted", 403}, {BOB, "standard", 200},
        {BOB, "ELEVATED", 403},   {ADMIN, "sandbox", 200},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r = execute(cases[i].user, "{s:s, s:s, s:s}", "agent_id", "ceiling", "tier",
                                 cases[i].tier, "command", "true");

        assert_status(&r, cases[i].status);
        if (cases[i].status == 403)
            assert_problem(&r, 403, "forbidden");
        reply_done(&r);
    }
}

int
suite_execute(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(commands_end_as_on_any_unix, remove_containers),
        cmocka_unit_test_teardown(the_answer_has_every_field, remove_containers),
        cmocka_unit_test_teardown(usage_is_measured, remove_containers),
        cmocka_unit_test_teardown(argv_runs_without_a_shell, remove_containers),
        cmocka_unit_test_teardown(what_cannot_be_started_fails_as_in_a_shell, remove_containers),
        cmocka_unit_test_teardown(cwd_is_where_the_command_starts, remove_containers),
        cmocka_unit_test_teardown(env_adds_variables_with_good_names, remove_containers),
        cmocka_unit_test_teardown(one_executions_env_is_not_the_nexts, remove_containers),
        cmocka_unit_test_teardown(stdin_reaches_the_command_whole, remove_containers),
        cmocka_unit_test_teardown(output_that_is_not_utf8_comes_as_base64, remove_containers),
        cmocka_unit_test_teardown(max_output_bytes_keeps_head_and_tail, remove_containers),
        cmocka_unit_test_teardown(without_a_cap_of_its_own_a_stream_keeps_a_mebibyte,
                                  remove_containers),
        cmocka_unit_test_teardown(a_deadline_is_told_by_timed_out, remove_containers),
        cmocka_unit_test_teardown(a_sandbox_of_no_session_is_gone_afterwards, remove_containers),
        cmocka_unit_test_teardown(a_refused_body_is_pointed_at_and_leaves_nothing,
                                  remove_containers),
        cmocka_unit_test_teardown(a_body_without_content_lacks_its_command, remove_containers),
        cmocka_unit_test_teardown(a_template_that_is_not_here_leaves_nothing, remove_containers),
        cmocka_unit_test_teardown(a_tier_above_the_ceiling_is_forbidden, remove_containers),
    };

    return cmocka_run_group_tests_name("api: execute", tests, NULL, NULL);
}
