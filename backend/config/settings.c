/* Loading of settings: see settings.h. The files' rules are in tables.c (shape) and check.c
 * (sense). */
#include "backend/config/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "backend/config/access.h"
#include "backend/config/check.h"
#include "backend/config/tables.h"
#include "backend/config/yaml.h"

const char *const settings_file_names[SETTINGS_DOCUMENT_COUNT] = {
    [SETTINGS_SANDBOX] = "sandbox.yaml",
    [SETTINGS_TIERS] = "tiers.yaml",
    [SETTINGS_TEMPLATES] = "templates.yaml",
    [SETTINGS_ACCESS] = "access.yaml",
};

static const struct field *const file_fields[SETTINGS_DOCUMENT_COUNT] = {
    [SETTINGS_SANDBOX] = sandbox_fields,
    [SETTINGS_TIERS] = tiers_fields,
    [SETTINGS_TEMPLATES] = templates_fields,
    [SETTINGS_ACCESS] = access_fields,
};

/* The files of one load. Lifetime: scope. */
struct files {
    struct yaml_file *file[SETTINGS_DOCUMENT_COUNT]; /* owned */
};

static void
files_done(struct files *files)
{
    int i;

    for (i = 0; i < SETTINGS_DOCUMENT_COUNT; i++)
        yaml_file_free(files->file[i]);
}

static struct settings *
settings_new(void)
{
    struct settings *s = calloc(1, sizeof(*s));

    if (s)
        atomic_init(&s->references, 1);
    return s;
}

static void
settings_free(struct settings *s)
{
    int i;

    for (i = 0; i < SETTINGS_DOCUMENT_COUNT; i++) {
        schema_release(file_fields[i], s);
        json_decref(s->documents[i]);
        json_decref(s->lines[i]);
    }
    json_decref(s->policy_json);
    json_decref(s->overrides);
    json_decref(s->merged);
    free(s);
}

struct settings *
settings_ref(struct settings *s)
{
    atomic_fetch_add(&s->references, 1);
    return s;
}

void
settings_unref(struct settings *s)
{
    if (s && atomic_fetch_sub(&s->references, 1) == 1)
        settings_free(s);
}

/* Put into the object @into what only @defaults has; both have the shape of tables. -1 without
 * memory. */
static int
fill_missing(json_t *into, json_t *defaults)
{
    const char *key;
    json_t *value, *present;
    int r = 0;

    json_object_foreach(defaults, key, value)
    {
        present = json_object_get(into, key);
        if (!present)
            r = json_object_set(into, key, value);
        else if (json_is_object(present))
            r = fill_missing(present, value);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Decode the document @which into @s, failures located by @places (may be NULL). */
static int
decode_document(struct settings *s, enum settings_document which, const struct places *places,
                struct error *err)
{
    struct error found = {0};

    if (schema_decode(file_fields[which], s->documents[which], s, &found) < 0)
        return places_locate(places, &found, err);
    return 0;
}

static int
read_document(struct settings *s, enum settings_document which, const char *dir,
              struct files *files, struct error *err)
{
    json_auto_t *defaults = NULL;
    json_t *root;
    int r;

    r = yaml_file_read(dir, settings_file_names[which], &files->file[which], err);
    if (r < 0)
        return r;
    root = files->file[which]->root;
    s->documents[which] = json_incref(root);
    s->lines[which] = places_lines(&files->file[which]->places);
    if (!s->lines[which])
        return error_errno(err, ENOMEM, settings_file_names[which]);
    if (which == SETTINGS_SANDBOX && json_is_object(root)) {
        defaults = sandbox_defaults();
        if (!defaults || fill_missing(root, defaults) < 0)
            return error_errno(err, ENOMEM, settings_file_names[which]);
    }
    return decode_document(s, which, &files->file[which]->places, err);
}

/* All is decoded by now; the tiers come first, as the other files name them. Rules of access.yaml
 * are checked as they are written, and once they are whole. */
static int
check_documents(struct settings *s, const struct files *files, struct error *err)
{
    int r;

    r = check_tiers(s, &files->file[SETTINGS_TIERS]->places, err);
    if (r == 0)
        r = check_policy(&s->policy, &files->file[SETTINGS_SANDBOX]->places, err);
    if (r == 0)
        r = check_service(s, &files->file[SETTINGS_SANDBOX]->places, err);
    if (r == 0)
        r = check_egress(&s->egress, &files->file[SETTINGS_SANDBOX]->places, err);
    if (r == 0)
        r = check_templates(s, &files->file[SETTINGS_TEMPLATES]->places, err);
    if (r == 0)
        r = check_pool(s, &files->file[SETTINGS_SANDBOX]->places, err);
    if (r == 0)
        r = check_access(s, &files->file[SETTINGS_ACCESS]->places, err);
    if (r == 0)
        r = access_resolve(s, err);
    if (r == 0)
        r = check_access_whole(s, &files->file[SETTINGS_ACCESS]->places, err);
    return r;
}

static void
fill_runtimes(struct settings *s)
{
    struct tier *tiers = s->tiers.items;
    size_t i;

    for (i = 0; i < s->tiers.count; i++)
        if (!tiers[i].runtime)
            tiers[i].runtime = s->service.docker_runtime;
}

static json_t *
strings_json(const struct strings *strings)
{
    json_auto_t *list = json_array();
    size_t i;

    for (i = 0; i < strings->count; i++)
        if (json_array_append_new(list, json_string(strings->items[i])) < 0)
            return NULL;
    return TAKE(list);
}

static json_t *
policy_json(const struct policy *p)
{
    const struct limits *l = &p->resource_limits;
    const struct network_policy *n = &p->network_policy;

    return json_pack("{s:s, s:s, s:s, s:{s:f, s:I, s:I, s:I, s:I}, s:{s:b, s:o, s:o}}", "mode",
                     mode_names[p->mode - 1], "scope_mode", scope_names[p->scope_mode - 1],
                     "workspace_access", access_names[p->workspace_access - 1], "resource_limits",
                     "cpu_cores", l->cpu_cores, "memory_mb", (json_int_t)l->memory_mb, "disk_mb",
                     (json_int_t)l->disk_mb, "max_processes", (json_int_t)l->max_processes,
                     "timeout_seconds", (json_int_t)l->timeout_seconds, "network_policy", "enabled",
                     n->enabled, "allowed_domains", strings_json(&n->allowed_domains),
                     "blocked_domains", strings_json(&n->blocked_domains));
}

/* The policy of the YAML under @overrides, as JSON; NULL without memory. */
static json_t *
merge_policy(json_t *sandbox, json_t *overrides)
{
    json_auto_t *merged = json_object();
    const struct field *f;

    for (f = policy_fields; f->name; f++)
        if (json_object_set_new(merged, f->name,
                                json_deep_copy(json_object_get(sandbox, f->name))) < 0)
            return NULL;
    return json_object_update_recursive(merged, overrides) < 0 ? NULL : TAKE(merged);
}

/* Put the policy under @overrides (NULL: none) in the place of that of the YAML alone. */
static int
apply_overrides(struct settings *s, json_t *overrides, struct error *err)
{
    int r;

    if (overrides && !json_is_object(overrides))
        return error_violation(err, "", "must be an object");
    s->overrides = overrides ? json_deep_copy(overrides) : json_object();
    s->merged = s->overrides ? merge_policy(s->documents[SETTINGS_SANDBOX], s->overrides) : NULL;
    if (!s->merged)
        return error_errno(err, ENOMEM, "settings");
    schema_release(policy_fields, &s->policy);
    r = schema_decode(policy_fields, s->merged, &s->policy, err);
    if (r == 0)
        r = check_policy(&s->policy, NULL, err);
    if (r < 0)
        return r;
    s->policy_json = policy_json(&s->policy);
    return s->policy_json ? 0 : error_errno(err, ENOMEM, "settings");
}

static int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int
settings_load(const char *dir, json_t *overrides, struct settings **ret, struct error *err)
{
    _cleanup_(files_done) struct files files = {0};
    _cleanup_(settings_unrefp) struct settings *s = settings_new();
    int i, r;

    if (!s)
        return error_errno(err, ENOMEM, "settings");
    s->loaded_at_ms = now_ms();
    for (i = 0; i < SETTINGS_DOCUMENT_COUNT; i++) {
        r = read_document(s, (enum settings_document)i, dir, &files, err);
        if (r < 0)
            return r;
    }
    r = check_documents(s, &files, err);
    if (r == 0)
        r = apply_overrides(s, overrides, err);
    if (r < 0)
        return r;
    fill_runtimes(s);
    *ret = TAKE(s);
    return 0;
}

int
settings_with_overrides(const struct settings *base, json_t *overrides, struct settings **ret,
                        struct error *err)
{
    _cleanup_(settings_unrefp) struct settings *s = settings_new();
    int i, r;

    if (!s)
        return error_errno(err, ENOMEM, "settings");
    s->loaded_at_ms = base->loaded_at_ms;
    for (i = 0; i < SETTINGS_DOCUMENT_COUNT; i++) {
        s->documents[i] = json_incref(base->documents[i]);
        s->lines[i] = json_incref(base->lines[i]);
        r = decode_document(s, (enum settings_document)i, NULL, err);
        if (r < 0)
            return r;
    }
    r = access_resolve(s, err);
    if (r == 0)
        r = apply_overrides(s, overrides, err);
    if (r < 0)
        return r;
    fill_runtimes(s);
    *ret = TAKE(s);
    return 0;
}
