/* Containers to attack from: see box.h. */
#include "tests/test.h"

#include "tests/hostile/box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"

enum { COMMAND_SIZE = 8192, NEIGHBOUR_SECONDS = 60 };

void
box_place(const struct box *box, const char *program)
{
    const char *from = getenv("ATTACKERS");

    assert_non_null(from);
    assert_int_equal(host_shell("install -m 755 '%s/%s' \"$SANDBOX_STATE/workspaces/%s/%s/%s\"",
                                from, program, box->user, box->agent, program),
                     0);
}

void
box_open(struct box *box, const char *user, const char *agent, const char *tier)
{
    json_auto_t *body =
        json_pack("{s:s, s:s, s:s*}", "agent_id", agent, "session_id", "attack", "tier", tier);
    _cleanup_(freep) char *text = json_dumps(body, 0);

    *box = (struct box){.user = user};
    snprintf(box->agent, sizeof(box->agent), "%s", agent);
    make_container(user, text, box->id);
    snprintf(box->exec, sizeof(box->exec), "/containers/%s/exec", box->id);
    box_place(box, "exhaust");
}

void
box_close(const struct box *box)
{
    struct reply r = act(box->user, "DELETE", "/containers/%s", box->id);

    assert_status(&r, 204);
    reply_done(&r);
}

static char *
body_of(int seconds, const char *format, va_list ap)
{
    char command[COMMAND_SIZE];
    json_auto_t *body = NULL;

    assert_true(vsnprintf(command, sizeof(command), format, ap) < COMMAND_SIZE);
    body = json_pack("{s:s, s:i}", "command", command, "timeout_seconds", seconds);
    assert_non_null(body);
    return json_dumps(body, 0);
}

struct reply
box_try(const struct box *box, int seconds, const char *format, ...)
{
    _cleanup_(freep) char *body = NULL;
    va_list ap;

    va_start(ap, format);
    body = body_of(seconds, format, ap);
    va_end(ap);
    return call(box->user, "POST", box->exec, body, NULL);
}

struct reply
box_run(const struct box *box, int seconds, const char *format, ...)
{
    _cleanup_(freep) char *body = NULL;
    struct reply r;
    va_list ap;

    va_start(ap, format);
    body = body_of(seconds, format, ap);
    va_end(ap);
    r = call(box->user, "POST", box->exec, body, NULL);
    assert_status(&r, 200);
    return r;
}

struct flight *
box_start(const struct box *box, int seconds, const char *format, ...)
{
    char command[COMMAND_SIZE];
    va_list ap;

    va_start(ap, format);
    assert_true(vsnprintf(command, sizeof(command), format, ap) < COMMAND_SIZE);
    va_end(ap);
    return flight_post(box->user, box->exec, "{s:s, s:i}", "command", command, "timeout_seconds",
                       seconds);
}

long
box_exhaust(const struct box *box, const char *arguments, const char *expected)
{
    struct reply r = box_run(box, 60, "exec /workspace/exhaust %s", arguments);
    const char *out = text_at(&r, "stdout"), *colon = strchr(out, ':');
    size_t len = strlen(expected);
    long n;

    if (!colon || strncmp(colon + 2, expected, len) != 0)
        fail_msg("exhaust %s: expected '%s' in %s", arguments, expected, r.body);
    n = strtol(strrchr(out, ' '), NULL, 10);
    print_message("    %s", out);
    reply_done(&r);
    return n;
}

void
box_works(const struct box *box)
{
    struct reply r = box_run(box, 30, "echo still $((6 * 7))");

    if (null_at(&r, "exit_code") || strcmp(text_at(&r, "stdout"), "still 42\n") != 0)
        fail_msg("the next command got %s", r.body);
    reply_done(&r);
}

void
neighbour_works(void)
{
    struct reply r = execute(BOB, "{s:s, s:s, s:s, s:s, s:i}", "agent_id", "neighbour",
                             "session_id", "neighbour", "tier", "Sandbox", "command",
                             "echo still $((6 * 7))", "timeout_seconds", NEIGHBOUR_SECONDS);

    assert_status(&r, 200);
    if (strcmp(text_at(&r, "stdout"), "still 42\n") != 0)
        fail_msg("the neighbour got %s", r.body);
    reply_done(&r);
    r = fetch(ADMIN, "/status");
    assert_true(bool_at(&r, "docker_available"));
    reply_done(&r);
}

long
box_guest(const struct box *box)
{
    char name[128], path[192];
    struct reply r;
    long pid;

    host_engine_name(box->id, name, sizeof(name));
    snprintf(path, sizeof(path), "/containers/%s/json", name);
    r = host_engine("GET", path, NULL);
    assert_int_equal(r.status, 200);
    pid = (long)int_at(&r, "State.Pid");
    reply_done(&r);
    assert_true(pid > 1);
    return pid;
}

/* Whether the line "N:CONTROLLERS:PATH" of /proc/PID/cgroup is about @controller. */
static bool
is_of(const char *line, const char *controller)
{
    const char *at = strchr(line, ':'), *end = at ? strchr(at + 1, ':') : NULL;
    size_t len = strlen(controller);

    for (const char *p = at; p && p < end; p = strpbrk(p + 1, ",:"))
        if (strncmp(p + 1, controller, len) == 0 && (p[1 + len] == ',' || p[1 + len] == ':'))
            return true;
    return false;
}

char *
box_cgroup_text(const struct box *box, const char *controller, const char *file)
{
    char path[64], line[512], full[1024] = "", text[4096];
    FILE *f;
    size_t n;

    snprintf(path, sizeof(path), "/proc/%ld/cgroup", box_guest(box));
    f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        if (is_of(line, controller))
            snprintf(full, sizeof(full), "/sys/fs/cgroup/%s%s/%s", controller,
                     strrchr(line, ':') + 1, file);
        else if (strncmp(line, "0::", 3) == 0 && full[0] == '\0')
            snprintf(full, sizeof(full), "/sys/fs/cgroup%s/%s", line + 3, file);
    }
    fclose(f);
    f = fopen(full, "re");
    if (!f)
        return NULL;
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    return strdup(text);
}

long long
box_cgroup(const struct box *box, const char *controller, const char *file)
{
    _cleanup_(freep) char *text = box_cgroup_text(box, controller, file);

    return text ? strtoll(text, NULL, 10) : -1;
}
