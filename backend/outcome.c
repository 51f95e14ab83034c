/* How an execution ended: see outcome.h. */
#include "backend/outcome.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backend/id.h"

static enum audit_status
status_of(const struct guest_result *g)
{
    if (g->oom_killed && (g->end == GUEST_SIGNALED || g->exit_code == 128 + SIGKILL))
        return AUDIT_OOM_KILLED;
    switch (g->end) {
    case GUEST_EXITED:
        return g->exit_code == 0 ? AUDIT_COMPLETED : AUDIT_FAILED;
    case GUEST_SIGNALED:
        return AUDIT_FAILED;
    case GUEST_TIMED_OUT:
        return AUDIT_TIMED_OUT;
    case GUEST_CANCELLED:
    case GUEST_KILLED:
        return AUDIT_KILLED;
    }
    return AUDIT_INTERRUPTED;
}

void
outcome_note(struct audit_entry *e, const struct guest_result *g)
{
    const char *name = sigabbrev_np(g->signal);

    e->status = status_of(g);
    e->duration_ms = (g->duration_us + 500) / 1000;
    e->cpu_ms = (g->cpu_us + 500) / 1000;
    e->max_memory_kib = g->max_memory_kib;
    if (g->end == GUEST_EXITED)
        e->exit_code = g->exit_code;
    else if (name)
        snprintf(e->signal, sizeof(e->signal), "SIG%s", name);
    else
        snprintf(e->signal, sizeof(e->signal), "SIG%d", g->signal);
}

void
outcome_cut_off(struct audit_entry *e, enum audit_status status)
{
    e->status = status;
    e->duration_ms = time_now_ms() - e->started_at_ms;
    snprintf(e->signal, sizeof(e->signal), "SIGKILL");
}

int
outcome_output(struct audit_entry *e, const struct capture *out, const struct capture *errout,
               struct audit_output *ret, struct error *err)
{
    e->stdout_bytes = out->total;
    e->stderr_bytes = errout->total;
    ret->out_truncated = capture_truncated(out);
    ret->errout_truncated = capture_truncated(errout);
    ret->out = capture_join(out, &ret->out_len, &ret->out_head);
    ret->errout = capture_join(errout, &ret->errout_len, &ret->errout_head);
    return ret->out && ret->errout ? 0 : error_errno(err, ENOMEM, "output");
}
