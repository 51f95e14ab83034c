/*
 * The janitor: compares what the database says with what there is, at start, every minute and when
 * it is nudged (SIGUSR2), and finishes or undoes what a crash left half-done. It also checkpoints
 * the WAL, collects what has ended in the background, and watches the disk use of containers where
 * Docker cannot limit it.
 */
#ifndef BACKEND_JANITOR_H
#define BACKEND_JANITOR_H

#include "backend/backend.h"

/* Run until TERM. Runs as the process's main; returns its exit status. */
int janitor_main(struct service_context *ctx);

/* One pass. Errors: the first failure; the pass still does what it can. */
int janitor_pass(struct backend *b, struct error *err);

#endif
