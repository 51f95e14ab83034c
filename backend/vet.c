/* What an edit of the YAML would do to containers: see vet.h. */
#include "backend/vet.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "backend/buf.h"
#include "backend/refit.h"
#include "backend/store/store.h"

enum {
    NAMED_MAX = 5, /* containers in a sentence; of more, the count */
    TEXT_MAX = 2048
};

/* What a sentence says of some containers. Lifetime: scope; end_group(). */
struct group {
    struct buf names;
    size_t count;
};

/* Take @c into the group. */
static int
add(struct group *g, const struct container *c)
{
    if (g->count++ >= NAMED_MAX)
        return 0;
    return buf_printf(&g->names, "%s%s of %s", g->count > 1 ? ", " : "", c->id, c->owner);
}

/* ", and 3 more" */
static int
close_names(struct group *g)
{
    return g->count <= NAMED_MAX ? 0
                                 : buf_printf(&g->names, ", and %zu more", g->count - NAMED_MAX);
}

static void
group_done(struct group *g)
{
    buf_done(&g->names);
}

/* Whether the container goes by itself, or is on its way. */
static bool
is_passing(const struct container *c)
{
    return c->one_shot || c->status == CONTAINER_REMOVING;
}

/* Lifetime: scope. */
struct vetting {
    struct backend *backend; /* its settings are those in force */
    struct store *store;
    const struct settings *next; /* what the YAML says now */
    struct container *rows;
    size_t row_count;
};

/* What containers may lose. */
struct thing {
    const char *file, *kind;
    bool (*has)(const struct vetting *v, const struct settings *s, const char *name);
    const char *(*of)(const struct container *c);
};

static bool
has_tier(const struct vetting *v, const struct settings *s, const char *name)
{
    (void)v;
    return !name[0] || settings_tier(s, name);
}

static const char *
tier_of(const struct container *c)
{
    return c->tier;
}

/* Also one of the API's, which the YAML's may have hidden. */
static bool
has_template(const struct vetting *v, const struct settings *s, const char *name)
{
    struct template_row row = {0};
    bool in_store;

    if (!name[0] || settings_template(s, name))
        return true;
    in_store = store_template_get(v->store, name, &row, NULL) == 0 && !row.removing;
    template_row_done(&row);
    return in_store;
}

static const char *
template_of(const struct container *c)
{
    return c->template_name;
}

static const struct thing things[] = {
    {"tiers.yaml", "tier", has_tier, tier_of},
    {"templates.yaml", "template", has_template, template_of},
};

/* Whether @c stands on something that @s does not have. */
static bool
misses(const struct vetting *v, const struct thing *t, const struct settings *s,
       const struct container *c)
{
    return !is_passing(c) && !t->has(v, s, t->of(c));
}

/* Refuse to take away @name, which is the thing of some containers. */
static int
refuse(const struct vetting *v, const struct thing *t, const char *name, struct error *err)
{
    _cleanup_(group_done) struct group users = {0};
    int r = 0;

    buf_init(&users.names, TEXT_MAX);
    for (size_t i = 0; r == 0 && i < v->row_count; i++)
        if (misses(v, t, v->next, &v->rows[i]) && strcmp(t->of(&v->rows[i]), name) == 0)
            r = add(&users, &v->rows[i]);
    if (r == 0)
        r = close_names(&users);
    if (r < 0)
        return error_errno(err, ENOMEM, "vet");
    return error_set(err, ERR_CONFLICT,
                     "%s: the %s '%s' is in use: put it back, or DELETE containers/ID first (%zu): "
                     "%s",
                     t->file, t->kind, name, users.count, users.names.data);
}

/* What is missing from the settings in force already is not this edit's fault. */
static int
look_for_users(const struct vetting *v, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(things); i++) {
        const struct thing *t = &things[i];

        for (size_t j = 0; j < v->row_count; j++)
            if (misses(v, t, v->next, &v->rows[j]) &&
                !misses(v, t, v->backend->settings, &v->rows[j]))
                return refuse(v, t, t->of(&v->rows[j]), err);
    }
    return 0;
}

/* The pool's templates, which the API may have: the YAML alone cannot be asked. */
static int
look_at_pool(const struct vetting *v, struct error *err)
{
    const struct pool_target *targets = v->next->pool.targets.items;

    for (size_t i = 0; i < v->next->pool.targets.count; i++) {
        const char *name = targets[i].template_name;

        if (!has_template(v, v->next, name) && has_template(v, v->backend->settings, name))
            return error_set(err, ERR_CONFLICT,
                             "templates.yaml: the template '%s' is in use: sandbox.yaml: "
                             "/pool/targets/%zu/template names it",
                             name, i);
    }
    return 0;
}

static int
open_vetting(struct vetting *v, struct backend *b, struct error *err)
{
    int r;

    v->backend = b;
    r = backend_store(b, &v->store, err);
    return r < 0 ? r : store_container_all(v->store, &v->rows, &v->row_count, err);
}

static void
vetting_done(struct vetting *v)
{
    store_container_list_free(v->rows, v->row_count);
}

int
vet_yaml(struct backend *b, struct error *err)
{
    _cleanup_(settings_unrefp) struct settings *next = NULL;
    _cleanup_(vetting_done) struct vetting v = {0};
    char dir[PATH_MAX];
    int r = backend_begin(b, err);

    snprintf(dir, sizeof(dir), "%s/yaml", b->context->state_dir);
    if (r == 0)
        r = settings_load(dir, b->settings->overrides, &next, err);
    if (r == 0)
        r = open_vetting(&v, b, err);
    v.next = next;
    if (r == 0)
        r = look_for_users(&v, err);
    if (r == 0)
        r = look_at_pool(&v, err);
    backend_end(b);
    return r;
}

/* Append a sentence about a group that is not empty. */
static int
tell(struct group *g, const char *before, const char *after, json_t *list)
{
    if (g->count == 0)
        return 0;
    if (close_names(g) < 0)
        return -ENOMEM;
    return json_array_append_new(list, json_sprintf("%s: %s; %s", before, g->names.data, after)) < 0
               ? -ENOMEM
               : 0;
}

/* Containers whose tier, or template, there is no more. */
static int
tell_of_missing(const struct vetting *v, const struct thing *t, json_t *list)
{
    _cleanup_(group_done) struct group g = {0};
    char before[96];
    int r = 0;

    buf_init(&g.names, TEXT_MAX);
    for (size_t i = 0; r == 0 && i < v->row_count; i++)
        if (misses(v, t, v->backend->settings, &v->rows[i]))
            r = add(&g, &v->rows[i]);
    snprintf(before, sizeof(before), "containers whose %s there is no more", t->kind);
    return r < 0 ? r : tell(&g, before, "no request finds them by it", list);
}

static int
tell_of_limits(const struct vetting *v, json_t *list)
{
    _cleanup_(group_done) struct group g = {0};
    int r = 0;

    buf_init(&g.names, TEXT_MAX);
    for (size_t i = 0; r == 0 && i < v->row_count; i++) {
        const struct container *c = &v->rows[i];

        if (!is_passing(c) && c->status == CONTAINER_RUNNING && refit_due(v->backend->settings, c))
            r = add(&g, c);
    }
    return r < 0 ? r
                 : tell(&g, "containers without the limits that their tier has now",
                        "more memory is in use than the new limit: they get it once they use "
                        "less, or when they start again",
                        list);
}

int
vet_containers(struct backend *b, json_t *list, struct error *err)
{
    _cleanup_(vetting_done) struct vetting v = {0};
    int r = open_vetting(&v, b, err);

    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(things); i++)
        r = tell_of_missing(&v, &things[i], list);
    if (r == 0)
        r = tell_of_limits(&v, list);
    return r < 0 ? error_errno(err, ENOMEM, "warnings") : 0;
}
