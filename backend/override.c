/* PUT config: see override.h. */
#include "backend/override.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "backend/change.h"
#include "backend/store/store.h"

/* One edit, inside the store's write transaction. */
struct edit {
    const struct settings *base; /* whose YAML the overrides are checked over */
    json_t *patch;
    const char *if_match;
    json_t *before, *after; /* owned: the members of the policy that it changes */
};

void
override_etag(const struct settings *settings, char out[ETAG_SIZE])
{
    _cleanup_(freep) char *text = json_dumps(settings->policy_json, JSON_COMPACT);
    unsigned char digest[16];
    char hex[2 * sizeof(digest) + 1];

    crypto_generichash(digest, sizeof(digest), (const unsigned char *)(text ? text : ""),
                       text ? strlen(text) : 0, NULL, 0);
    snprintf(out, ETAG_SIZE, "\"%s\"", sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest)));
}

/* Whether @if_match, "*" or a list (RFC 9110, 13.1.1), holds @etag. A weak tag, W/"…", never
 * matches. */
static bool
tag_matches(const char *if_match, const char *etag)
{
    const char *at = if_match;

    if (strcmp(if_match, "*") == 0)
        return true;
    while ((at = strstr(at, etag))) {
        if (at == if_match || strchr(", \t", at[-1]))
            return true;
        at++;
    }
    return false;
}

static int
check_etag(const struct settings *now, const char *if_match, struct error *err)
{
    char etag[ETAG_SIZE];

    override_etag(now, etag);
    if (!if_match || tag_matches(if_match, etag))
        return 0;
    return error_set(err, ERR_PRECONDITION_FAILED,
                     "the config has changed since you read it; its entity tag is now %s", etag);
}

/* Compare the tag with what is stored (this process may lag behind), patch, and check the result.
 */
static int
edit(json_t *stored, void *arg, json_t **ret, struct error *err)
{
    struct edit *e = arg;
    _cleanup_(settings_unrefp) struct settings *now = NULL;
    _cleanup_(settings_unrefp) struct settings *then = NULL;
    json_auto_t *overrides = NULL;
    int r;

    r = settings_with_overrides(e->base, stored, &now, err);
    if (r == 0)
        r = check_etag(now, e->if_match, err);
    if (r == 0)
        r = settings_override(stored, e->patch, &overrides, err);
    if (r == 0)
        r = settings_with_overrides(e->base, overrides, &then, err);
    if (r == 0 && change_difference(now->policy_json, then->policy_json, &e->before, &e->after) < 0)
        r = error_errno(err, ENOMEM, "change of the config");
    if (r == 0)
        *ret = TAKE(overrides);
    return r;
}

/* Have every process take over the new overrides, and leave the change entry. */
static int
announce(struct backend *b, const struct caller *caller, const struct edit *e, struct error *err)
{
    const struct change change = {.before = e->before, .after = e->after};
    int r;

    atomic_fetch_add(&b->context->shared->settings_generation, 1);
    r = backend_begin(b, err);
    if (r < 0 || json_equal(e->before, e->after))
        return r;
    return change_note(b, caller, &change, err);
}

int
override_apply(struct backend *b, const struct caller *caller, json_t *patch, const char *if_match,
               struct error *err)
{
    struct edit e = {.base = b->settings, .patch = patch, .if_match = if_match};
    struct store *store = NULL;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_override_change(store, edit, &e, err);
    if (r == 0)
        r = announce(b, caller, &e, err);
    json_decref(e.before);
    json_decref(e.after);
    return r;
}
