/* Quotas as requests meet them: see quota.h. */
#include "backend/quota.h"

#include <errno.h>
#include <string.h>

#include "backend/config/source.h"
#include "backend/store/store.h"

enum { SOON_SECONDS = 1 };

static const struct {
    enum error_code code;
    const char *rest; /* of the sentence, after "KEY is N, and " */
} refusals[QUOTA_COUNT] = {
    [QUOTA_CONTAINERS] = {ERR_QUOTA_EXCEEDED, "there are as many; remove one"},
    [QUOTA_CONCURRENT_EXECUTIONS] = {ERR_QUOTA_EXCEEDED,
                                     "as many run; try again when one has ended"},
    [QUOTA_EXECUTIONS_PER_MINUTE] = {ERR_RATE_LIMITED, "as many were begun in the last minute"},
    [QUOTA_EXECUTIONS_PER_DAY] = {ERR_RATE_LIMITED, "as many were begun since 00:00 UTC"},
    [QUOTA_CPU_SECONDS_PER_DAY] = {ERR_QUOTA_EXCEEDED, "as many were used since 00:00 UTC"},
    [QUOTA_DISK_MB] = {ERR_QUOTA_EXCEEDED, "as many are taken; remove containers or snapshots"},
    [QUOTA_SNAPSHOTS] = {ERR_QUOTA_EXCEEDED, "there are as many; remove one"},
};

struct quota_gate
quota_gate(const struct backend *b, const char *owner)
{
    return (struct quota_gate){.quotas = &settings_access(b->settings, owner)->quotas};
}

/* How long it makes sense to wait; 0: not at all. */
static int
wait_seconds(const struct quota_gate *gate)
{
    int64_t left_ms = gate->free_at_ms - time_now_ms();

    if (gate->which == QUOTA_CONCURRENT_EXECUTIONS)
        return SOON_SECONDS;
    if (gate->free_at_ms == 0)
        return 0;
    return left_ms > 0 ? (int)((left_ms + 999) / 1000) : SOON_SECONDS;
}

int
quota_refuse(const struct backend *b, const char *owner, const struct quota_gate *gate,
             struct error *err)
{
    const struct access_rule *rule = settings_access(b->settings, owner);
    char key[SOURCE_SIZE];
    int r;

    source_access(rule, ACCESS_KEY_QUOTAS + (int)gate->which, key);
    r = error_set(err, refusals[gate->which].code, "%s is %lld, and %s", key,
                  (long long)gate->quotas->most[gate->which], refusals[gate->which].rest);
    if (err)
        err->retry_after_seconds = wait_seconds(gate);
    return r;
}

/* Whether there is anything to look at. */
static bool
bounds_executions(const struct quotas *q)
{
    return q->most[QUOTA_CONCURRENT_EXECUTIONS] || q->most[QUOTA_EXECUTIONS_PER_MINUTE] ||
           q->most[QUOTA_EXECUTIONS_PER_DAY] || q->most[QUOTA_CPU_SECONDS_PER_DAY] ||
           q->most[QUOTA_DISK_MB];
}

int
quota_look(struct backend *b, const char *owner, bool new_container, struct error *err)
{
    struct quota_gate gate = quota_gate(b, owner);
    struct store *store = NULL;
    int r;

    if (!new_container && !bounds_executions(gate.quotas))
        return 0;
    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_quota_look(store, owner, new_container, time_now_ms(), &gate, err);
    return gate.shut ? quota_refuse(b, owner, &gate, err) : r;
}

int
quota_usage(struct backend *b, const char *owner, int64_t ret[QUOTA_COUNT], struct error *err)
{
    struct store *store = NULL;
    int r = backend_store(b, &store, err);

    return r < 0 ? r : store_quota_usage(store, owner, time_now_ms(), ret, err);
}
