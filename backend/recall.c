/* How an execution went: see recall.h. */
#include "backend/recall.h"

#include <errno.h>

#include "backend/audit.h"
#include "backend/idempotency.h"
#include "backend/store/store.h"

enum { RECALL_WAIT_MS = 10000 };

/* What the audit has of @id; -ENOENT, without an error noted, if that is nothing. */
static int
read_execution(struct backend *b, const struct caller *caller, const char *id,
               struct execution *ret, struct error *err)
{
    struct error failure = {0};
    int r = audit_get(b, caller, id, &ret->entry, &failure);

    if (r == 0)
        r = store_audit_output(b->store, ret->entry.seq, &ret->output, &failure);
    if (r < 0 && r != -ENOENT && err)
        *err = failure;
    return r;
}

int
execution_recall(struct backend *b, const struct caller *caller, const char *nonce, int peer_fd,
                 struct execution *ret, struct error *err)
{
    int64_t deadline_ms = time_monotonic_ms() + RECALL_WAIT_MS;
    struct execution x = {0};
    char id[AUDIT_ID_SIZE];
    int r;

    id_audit_derived(nonce, id);
    for (;;) {
        r = read_execution(b, caller, id, &x, err);
        if (r < 0 || x.entry.background || x.entry.status != AUDIT_RUNNING)
            break;
        execution_done(&x);
        r = idempotency_wait(deadline_ms, peer_fd, err);
        if (r < 0)
            break;
    }
    if (r == 0 && x.entry.status == AUDIT_REFUSED)
        r = error_set(err, ERR_OVERLOADED, "the execution could not be started; try again");
    if (r < 0)
        execution_done(&x);
    else
        *ret = x;
    return r;
}
