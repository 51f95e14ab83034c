/* Records as the API shows them. Every function returns a new reference, or NULL out of memory. */
#ifndef HANDLERS_JSON_H
#define HANDLERS_JSON_H

#include <jansson.h>

#include "backend/config/settings.h"
#include "backend/engine.h"
#include "backend/store/records.h"

/* @json as the API writes it, on one line: a string of the caller's, or NULL out of memory. */
char *json_print(const json_t *json);

/* A string, or null for NULL and "". */
json_t *json_text(const char *text);

/* RFC 3339, or null for 0. */
json_t *json_time(int64_t ms);

/* The spelling of an enum's value. */
json_t *json_spelled(const char *const *names, int value);

/* A measured figure, to one decimal. */
json_t *json_figure(double value);

json_t *json_limits(const struct limits *limits);

/* A container, its network while the settings are @s, and what it uses now; @disk_bytes < 0: not
 * measured (lists), and left out. */
json_t *json_container(const struct settings *s, const struct container *c,
                       const struct engine_stats *stats, int64_t disk_bytes);

/* A snapshot; its size in MB, to one decimal. */
json_t *json_snapshot(const struct snapshot *s);

json_t *json_audit_entry(const struct audit_entry *e);

/* How an execution went, without what it wrote. */
json_t *json_execution(const struct audit_entry *e, const struct audit_output *output);

/* @len bytes as text if they are UTF-8, else as base64 (RFC 4648, with padding); *ret_encoding says
 * which: "utf-8" or "base64". */
json_t *json_bytes(const char *data, size_t len, const char **ret_encoding);

/*
 * Set `stdout`, `stderr` and `encoding` of @object: text where both streams are UTF-8, else base64
 * for both. Returns 0 or -1.
 */
int json_set_output(json_t *object, const struct audit_output *output);

#endif
