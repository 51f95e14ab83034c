/*
 * The jobs of templates, as the builder's process carries them out: a few threads, each with a
 * backend of its own, take one queued job after another. A job's row says how it stands, so that
 * what a crash interrupts is begun again by the next builder, or ends with a reason.
 */
#ifndef BACKEND_JOB_H
#define BACKEND_JOB_H

#include "backend/backend.h"

/*
 * Put right what a dead builder left, and start the threads (as many as builds.concurrency says
 * now); they live as long as the process. Errors: ERR_INTERNAL.
 */
int job_start(struct service_context *ctx, struct error *err);

/* Have the threads look for jobs now; they do so every second too. */
void job_wake(void);

#endif
