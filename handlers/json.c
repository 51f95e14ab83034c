/* Records as JSON: see json.h. */
#include "handlers/json.h"

#include <math.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/placement.h"

enum { REAL_DIGITS = 15 }; /* as many as a double holds in decimal, so that 0.8 stays 0.8 */

char *
json_print(const json_t *json)
{
    return json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
}

json_t *
json_text(const char *text)
{
    return text && text[0] ? json_string(text) : json_null();
}

json_t *
json_time(int64_t ms)
{
    char text[TIMESTAMP_SIZE];

    if (ms == 0)
        return json_null();
    time_format(ms, text);
    return json_string(text);
}

json_t *
json_spelled(const char *const *names, int value)
{
    return value > 0 ? json_string(names[value - 1]) : json_null();
}

json_t *
json_figure(double value)
{
    return json_real(round(value * 10) / 10);
}

json_t *
json_limits(const struct limits *limits)
{
    return json_pack("{s:f, s:I, s:I, s:I, s:I}", "cpu_cores", limits->cpu_cores, "memory_mb",
                     (json_int_t)limits->memory_mb, "disk_mb", (json_int_t)limits->disk_mb,
                     "max_processes", (json_int_t)limits->max_processes, "timeout_seconds",
                     (json_int_t)limits->timeout_seconds);
}

static json_t *
json_labels(const char *text)
{
    json_t *labels = text ? json_loads(text, 0, NULL) : NULL;

    return labels ? labels : json_object();
}

json_t *
json_container(const struct settings *s, const struct container *c,
               const struct engine_stats *stats, int64_t disk_bytes)
{
    json_auto_t *json = json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I}", "id", c->id, "agent_id", c->agent_id, "scope",
        json_spelled(scope_names, (int)c->scope), "status",
        json_spelled(container_status_names, (int)c->status), "created_at",
        json_time(c->created_at_ms), "cpu_percent", json_figure(stats->cpu_percent), "memory_mb",
        json_figure(stats->memory_mb), "executions_count", (json_int_t)c->executions_count);
    json_auto_t *more = json_pack(
        "{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "owner", c->owner, "session_id",
        json_text(c->session_id), "tier", json_text(c->tier), "template", c->template_name,
        "network", json_spelled(network_names, (int)placement_network(s, c)), "workspace_access",
        json_spelled(access_names, (int)c->workspace_access), "started_at",
        json_time(c->started_at_ms), "last_used_at", json_time(c->last_used_at_ms), "processes",
        (json_int_t)stats->processes, "limits", json_limits(&c->limits), "labels",
        json_labels(c->labels));

    if (!json || !more || json_object_update(json, more) < 0)
        return NULL;
    if (disk_bytes >= 0 &&
        json_object_set_new(json, "disk_mb", json_figure((double)disk_bytes / (1 << 20))) < 0)
        return NULL;
    return TAKE(json);
}

/* What only some entries have: a change's before and after. */
static json_t *
json_details(const struct audit_entry *e)
{
    json_t *details = e->details ? json_loads(e->details, 0, NULL) : NULL;

    return details ? details : json_object();
}

json_t *
json_snapshot(const struct snapshot *s)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", s->id, "container_id", s->container_id,
                     "name", s->name, "created_at", json_time(s->created_at_ms), "size_mb",
                     json_figure((double)s->size_bytes / (1 << 20)));
}

json_t *
json_audit_entry(const struct audit_entry *e)
{
    json_auto_t *details = json_details(e);
    json_t *finished = e->status == AUDIT_RUNNING ? json_null() : json_time(e->finished_at_ms);
    json_t *duration =
        e->status == AUDIT_RUNNING ? json_null() : json_integer((json_int_t)e->duration_ms);

    json_t *json = json_pack(
        "{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, "
        "s:s, s:o}",
        "id", e->id, "kind", json_spelled(audit_kind_names, (int)e->kind), "owner", e->owner,
        "agent_id", json_text(e->agent_id), "session_id", json_text(e->session_id), "container_id",
        json_text(e->container_id), "tier", json_text(e->tier), "template",
        json_text(e->template_name), "command", e->command, "status",
        json_spelled(audit_status_names, (int)e->status), "started_at", json_time(e->started_at_ms),
        "finished_at", finished, "duration_ms", duration, "exit_code",
        e->exit_code < 0 ? json_null() : json_integer(e->exit_code), "signal", json_text(e->signal),
        "stdout_bytes", (json_int_t)e->stdout_bytes, "stderr_bytes", (json_int_t)e->stderr_bytes,
        "request_id", e->request_id, "hash", json_text(e->hash));

    if (json && json_object_update(json, details) < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

json_t *
json_execution(const struct audit_entry *e, const struct audit_output *output)
{
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:b, s:b, s:I, s:I, s:b, s:b, s:I, s:{s:I, s:f}, s:o}", "id",
        e->id, "container_id", json_text(e->container_id), "status",
        json_spelled(audit_status_names, (int)e->status), "exit_code",
        e->exit_code < 0 ? json_null() : json_integer(e->exit_code), "signal", json_text(e->signal),
        "stdout_truncated", output->out_truncated, "stderr_truncated", output->errout_truncated,
        "stdout_bytes", (json_int_t)e->stdout_bytes, "stderr_bytes", (json_int_t)e->stderr_bytes,
        "timed_out", e->status == AUDIT_TIMED_OUT, "oom_killed", e->status == AUDIT_OOM_KILLED,
        "duration_ms", (json_int_t)e->duration_ms, "usage", "cpu_ms", (json_int_t)e->cpu_ms,
        "max_memory_mb", (double)e->max_memory_kib / 1024, "started_at",
        json_time(e->started_at_ms));
}

static json_t *
json_base64(const char *data, size_t len)
{
    size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    _cleanup_(freep) char *text = malloc(size);

    if (!text)
        return NULL;
    sodium_bin2base64(text, size, (const unsigned char *)data, len, sodium_base64_VARIANT_ORIGINAL);
    return json_string_nocheck(text);
}

json_t *
json_bytes(const char *data, size_t len, const char **ret_encoding)
{
    json_t *text = json_stringn(data, len);

    *ret_encoding = text ? "utf-8" : "base64";
    return text ? text : json_base64(data, len);
}

int
json_set_output(json_t *object, const struct audit_output *output)
{
    const char *out_data = output->out ? output->out : "";
    const char *err_data = output->errout ? output->errout : "";
    json_t *out = json_stringn(out_data, output->out_len);
    json_t *errout = json_stringn(err_data, output->errout_len);
    const char *encoding = "utf-8";

    if (!out || !errout) {
        json_decref(out);
        json_decref(errout);
        out = json_base64(out_data, output->out_len);
        errout = json_base64(err_data, output->errout_len);
        encoding = "base64";
    }
    return json_object_set_new(object, "stdout", out) < 0 ||
                   json_object_set_new(object, "stderr", errout) < 0 ||
                   json_object_set_new(object, "encoding", json_string(encoding)) < 0
               ? -1
               : 0;
}
