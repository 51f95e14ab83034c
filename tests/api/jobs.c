/* What the groups about templates share: see jobs.h. */
#include "tests/test.h"

#include "tests/api/jobs.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"

enum { PATH_SIZE = 512, RELOAD_SECONDS = 60 };

static const char *const yaml_files[] = {"sandbox.yaml", "templates.yaml"};
static bool edited;

void
template_make(const char *format, ...)
{
    _cleanup_(freep) char *body = NULL;
    json_auto_t *json = NULL;
    struct reply r;
    va_list ap;

    va_start(ap, format);
    json = json_vpack_ex(NULL, 0, format, ap);
    va_end(ap);
    assert_non_null(json);
    body = json_dumps(json, 0);
    assert_non_null(body);
    r = call(ADMIN, "POST", "/templates", body, NULL);
    assert_status(&r, 201);
    reply_done(&r);
}

void
job_begin(const char *name, const char *kind)
{
    struct reply r = act(ADMIN, "POST", "/templates/%s/%s", name, kind);

    assert_status(&r, 202);
    assert_string_equal(text_at(&r, "status"), strcmp(kind, "pull") == 0 ? "pulling" : "building");
    reply_done(&r);
}

static bool
job_has_ended(void *name)
{
    _cleanup_(freep) char *status = template_member(name, "status");

    return strcmp(status, "\"building\"") != 0 && strcmp(status, "\"pulling\"") != 0;
}

void
job_wait(const char *name, const char *status)
{
    char copy[128];
    struct reply r;

    snprintf(copy, sizeof(copy), "%s", name);
    wait_until(job_has_ended, copy, JOB_SECONDS, "the job to end");
    r = fetch(ADMIN, "/templates/%s", name);
    if (strcmp(text_at(&r, "status"), status) != 0) {
        _cleanup_(freep) char *log = job_log(name);

        fail_msg("expected %s: %s\n%s", status, r.body, log);
    }
    reply_done(&r);
}

void
job_run(const char *name, const char *kind, const char *status)
{
    job_begin(name, kind);
    job_wait(name, status);
}

char *
job_log(const char *name)
{
    struct reply r = act(ADMIN, "GET", "/templates/%s/log", name);
    char *text;

    assert_status(&r, 200);
    assert_string_equal(r.content_type, "text/plain; charset=utf-8");
    text = strdup(r.body);
    assert_non_null(text);
    reply_done(&r);
    return text;
}

struct log_wanted {
    const char *name, *text;
};

static bool
log_holds(void *arg)
{
    const struct log_wanted *w = arg;
    _cleanup_(freep) char *log = job_log(w->name);

    return strstr(log, w->text) != NULL;
}

void
job_wait_log(const char *name, const char *text)
{
    struct log_wanted wanted = {name, text};

    wait_until(log_holds, &wanted, JOB_SECONDS, text);
}

char *
template_member(const char *name, const char *member)
{
    struct reply r = fetch(ADMIN, "/templates/%s", name);
    char *text = json_dumps(at(&r, member), JSON_ENCODE_ANY);

    assert_non_null(text);
    reply_done(&r);
    return text;
}

void
assert_prints(const char *name, const char *command, const char *expected)
{
    struct reply r = execute(ADMIN, "{s:s, s:s}", "template", name, "command", command);

    assert_status(&r, 200);
    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("'%s' printed: %s", command, r.body);
    reply_done(&r);
}

/* How often a role has said that it has new settings. */
static size_t
reloads_of(const char *role)
{
    _cleanup_(freep) char *log = state_file("log/sandboxd.log");
    char mark[64];
    size_t count = 0;

    assert_non_null(log);
    snprintf(mark, sizeof(mark), "role=%s ", role);
    for (char *line = log; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strstr(line, mark) && strstr(line, mark) < strchrnul(line, '\n') &&
            strstr(line, "msg=\"settings reloaded\"") &&
            strstr(line, "msg=\"settings reloaded\"") < strchrnul(line, '\n'))
            count++;
    }
    return count;
}

struct reload {
    size_t broker, builder, workers;
};

static bool
reloaded(void *arg)
{
    const struct reload *before = arg;

    return reloads_of("broker") > before->broker && reloads_of("builder") > before->builder &&
           reloads_of("worker") >= before->workers + host_role("worker").count;
}

void
yaml_reload(void)
{
    struct reload before = {reloads_of("broker"), reloads_of("builder"), reloads_of("worker")};

    assert_int_equal(kill(host_pid_file("run/sandboxd.pid"), SIGHUP), 0);
    wait_until(reloaded, &before, RELOAD_SECONDS, "the YAML to be read again");
}

void
yaml_edit(const char *name, const char *script)
{
    edited = true;
    assert_int_equal(
        host_shell("cd \"$SANDBOX_STATE/yaml\" && { [ -e %s.kept ] || cp %s %s.kept; } && "
                   "sed -E -i '%s' %s && ! cmp -s %s %s.kept",
                   name, name, name, script, name, name, name),
        0);
    yaml_reload();
}

void
yaml_restore(void)
{
    if (!edited)
        return;
    for (size_t i = 0; i < ARRAY_LEN(yaml_files); i++)
        assert_int_equal(
            host_shell("cd \"$SANDBOX_STATE/yaml\" && if [ -e %s.kept ]; then mv %s.kept "
                       "%s; fi",
                       yaml_files[i], yaml_files[i], yaml_files[i]),
            0);
    yaml_reload();
    edited = false;
}

char *
image_id(const char *reference)
{
    char path[PATH_SIZE];
    struct reply r;
    char *id;

    snprintf(path, sizeof(path), "/images/%s/json", reference);
    r = host_engine("GET", path, NULL);
    assert_status(&r, 200);
    id = strdup(text_at(&r, "Id"));
    reply_done(&r);
    return id;
}

bool
image_exists(const char *reference)
{
    char path[PATH_SIZE];
    struct reply r;
    bool exists;

    snprintf(path, sizeof(path), "/images/%s/json", reference);
    r = host_engine("GET", path, NULL);
    exists = r.status == 200;
    reply_done(&r);
    return exists;
}

static bool
all_have_ended(void *arg)
{
    struct reply list = call(ADMIN, "GET", "/templates", NULL, NULL);
    bool ended = list.status == 200;
    json_t *item;
    size_t i;

    (void)arg;
    json_array_foreach(json_object_get(list.json, "templates"), i, item)
    {
        const char *status = json_string_value(json_object_get(item, "status"));

        ended = ended && strcmp(status, "building") != 0 && strcmp(status, "pulling") != 0;
    }
    reply_done(&list);
    return ended;
}

int
templates_clean(void **state)
{
    struct reply list;
    json_t *item;
    size_t i;

    wait_until(all_have_ended, NULL, JOB_SECONDS, "all jobs to end");
    remove_containers(state);
    yaml_restore();
    list = call(ADMIN, "GET", "/templates", NULL, NULL);
    json_array_foreach(json_object_get(list.json, "templates"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "id"));
        struct reply r;

        if (strcmp(json_string_value(json_object_get(item, "source")), "api") != 0)
            continue;
        r = act(ADMIN, "DELETE", "/templates/%s", name);
        if (r.status != 204)
            print_error("template %s stays: %s\n", name, r.body);
        reply_done(&r);
    }
    reply_done(&list);
    return 0;
}
