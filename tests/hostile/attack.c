/* Carrying out attacks: see attack.h. */
#include "tests/hostile/attack.h"

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"

enum { SCRIPT_SIZE = 8192 };

/* The attacker's program lies in a workspace that its tenant could have written it to. */
void
attack_place(const char *user, const char *agent, const char *program)
{
    const char *from = getenv("ATTACKERS"); /* NOLINT(concurrency-mt-unsafe): one thread */

    assert_non_null(from);
    run_in(user, agent, "attack", "true"); /* makes the workspace */
    assert_int_equal(host_shell("install -m 755 '%s/%s' \"$SANDBOX_STATE/workspaces/%s/%s/%s\"",
                                from, program, user, agent, program),
                     0);
}

struct reply
attack_shell(const char *user, const char *agent, const char *command)
{
    struct reply r = execute(user, "{s:s, s:s, s:s}", "command", command, "agent_id", agent,
                             "session_id", "attack");

    if (strstr(r.body, CANARY_TEXT))
        fail_msg("the attacker has read a canary: %s", r.body);
    return r;
}

struct reply
attack(const char *user, const char *agent, const char *program, const char *arguments)
{
    char script[SCRIPT_SIZE];

    attack_place(user, agent, program);
    snprintf(script, sizeof(script), "/workspace/%s %s", program, arguments);
    return attack_shell(user, agent, script);
}

void
assert_got(const struct reply *r, const char *expected)
{
    assert_status(r, 200);
    assert_string_equal(text_at(r, "stdout"), expected);
    if (null_at(r, "exit_code") || int_at(r, "exit_code") != 0)
        fail_msg("the attacker failed: %s", r->body);
}

static bool
is_refusal(const char *line, size_t len)
{
    static const char *const answers[] = {"Operation not permitted",  "Permission denied",
                                          "Read-only file system",    "No such file or directory",
                                          "Function not implemented", "Text file busy"};

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        size_t size = strlen(answers[i]);

        if (len > size + 2 && strncmp(line + len - size, answers[i], size) == 0 &&
            strncmp(line + len - size - 2, ": ", 2) == 0)
            return true;
    }
    return false;
}

void
assert_refusals(const char *text, size_t count)
{
    const char *line;
    size_t seen = 0, len;

    for (line = text; *line; line += len + (line[len] != '\0')) {
        len = strcspn(line, "\n");
        if (!is_refusal(line, len))
            fail_msg("the attacker got: %.*s", (int)len, line);
        seen++;
    }
    assert_int_equal(seen, count);
}

void
assert_refused(const struct reply *r, size_t count)
{
    assert_status(r, 200);
    assert_refusals(text_at(r, "stdout"), count);
    assert_int_equal(int_at(r, "exit_code"), 0);
}

/* Take the engine's terminal's carriage returns out. */
static void
drop_returns(char *text)
{
    char *to = text;

    for (; *text; text++)
        if (*text != '\r')
            *to++ = *text;
    *to = '\0';
}

/* By the engine's exec, whose processes have the container's capabilities, as the guest has. */
char *
attack_as_guest(const char *id, const char *program, const char *arguments)
{
    const char *from = getenv("ATTACKERS"); /* NOLINT(concurrency-mt-unsafe): one thread */
    char name[128], path[256], body[SCRIPT_SIZE];
    struct reply r;
    char *text;

    assert_int_equal(
        host_shell("install -m 755 '%s/%s' \"$SANDBOX_STATE/guests/%s/\"", from, program, id), 0);
    host_engine_name(id, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s/exec", name);
    snprintf(body, sizeof(body),
             "{\"Cmd\": [\"/.sandbox/run/%s\"%s], \"AttachStdout\": true, \"Tty\": true}", program,
             arguments);
    r = host_engine("POST", path, body);
    assert_status(&r, 201);
    snprintf(path, sizeof(path), "/exec/%s/start", text_at(&r, "Id"));
    reply_done(&r);
    r = host_engine("POST", path, "{\"Detach\": false, \"Tty\": true}");
    assert_status(&r, 200);
    text = strdup(r.body);
    reply_done(&r);
    assert_non_null(text);
    drop_returns(text);
    return text;
}
