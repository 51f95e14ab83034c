/* The service's state: see overview.h. */
#include "backend/overview.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "backend/store/store.h"
#include "backend/vet.h"
#include "backend/warnings.h"

int
overview_usage(struct backend *b, const char *user, struct counts *ret, struct error *err)
{
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    return r < 0 ? r : store_counts(store, user, time_day_start(time_now_ms()), ret, err);
}

/*
 * Why the YAML as it is now is not in force. Who is not an admin learns which file and place it is
 * about; the rest may name others and what they have.
 */
static void
find_yaml_error(struct backend *b, const struct caller *caller, char out[OVERVIEW_YAML_ERROR_SIZE])
{
    char *end;

    shared_refusal(b->context->shared, out);
    if (!out[0])
        current_failure(b->context->current, out, OVERVIEW_YAML_ERROR_SIZE);
    end = caller_owner(caller) ? strstr(out, ": ") : NULL;
    if (end)
        *end = '\0';
}

int
overview_get(struct backend *b, const struct caller *caller, struct overview *ret,
             struct error *err)
{
    struct overview o = {0};
    struct error down = {0};
    struct timespec now;
    int r;

    r = overview_usage(b, caller_owner(caller), &o.counts, err);
    if (r < 0)
        return r;
    o.engine_available = engine_info(b->engine, &o.engine, &down) == 0;
    clock_gettime(CLOCK_BOOTTIME, &now);
    o.uptime_seconds =
        ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - b->context->shared->started_at_ms) /
        1000;
    find_yaml_error(b, caller, o.yaml_error);
    o.warnings = warnings_json(b->settings, o.engine_available ? &o.engine : NULL);
    if (!o.warnings)
        return error_errno(err, ENOMEM, "overview");
    r = caller_owner(caller) ? 0 : vet_containers(b, o.warnings, err);
    if (r < 0)
        overview_done(&o);
    else
        *ret = o;
    return r;
}

void
overview_done(struct overview *o)
{
    json_decref(o->warnings);
    o->warnings = NULL;
}
