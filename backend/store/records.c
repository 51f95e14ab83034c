/* Spellings and destructors of the records. */
#include "backend/store/records.h"

#include <stdlib.h>

const char *const container_status_names[] = {"creating", "running",  "stopped",
                                              "failed",   "removing", NULL};
const char *const snapshot_status_names[] = {"creating", "ready", "removing", NULL};
const char *const audit_kind_names[] = {"execution", "change", "network", NULL};
const char *const audit_status_names[] = {"running",     "completed",  "failed",
                                          "timed_out",   "oom_killed", "killed",
                                          "interrupted", "refused",    NULL};

const char *const job_kind_names[] = {"build", "pull", NULL};
const char *const job_status_names[] = {"queued", "running", "done", "failed", NULL};

void
template_row_done(struct template_row *t)
{
    free(t->dockerfile);
    free(t->files);
    t->dockerfile = t->files = NULL;
}

void
container_done(struct container *c)
{
    free(c->labels);
    c->labels = NULL;
}

void
audit_entry_done(struct audit_entry *e)
{
    free(e->command);
    free(e->details);
    e->command = e->details = NULL;
}

void
keyed_done(struct keyed *k)
{
    free(k->body);
    k->body = NULL;
}

void
audit_output_done(struct audit_output *o)
{
    free(o->out);
    free(o->errout);
    *o = (struct audit_output){0};
}

void
audit_summary_done(struct audit_summary *sum)
{
    free(sum->by_status.items);
    free(sum->by_tier.items);
    free(sum->by_agent.items);
    free(sum->by_day.items);
    *sum = (struct audit_summary){0};
}
