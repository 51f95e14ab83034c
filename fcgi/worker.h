/*
 * A worker: the process that speaks FastCGI with nginx and runs the handlers. It holds no power: no
 * Docker socket, no mounts, its own account.
 */
#ifndef FCGI_WORKER_H
#define FCGI_WORKER_H

#include "backend/backend.h"
#include "fcgi/dispatcher.h"
#include "handlers/handler.h"

struct shares;

/* Lifetime: process. */
struct worker_spec {
    const struct service_context *context;
    const struct route *const *tables; /* NULL-terminated */
    int listeners[LANE_COUNT];
    struct shares *shares; /* of the execution threads; worker_serve() makes it */
};

/*
 * Answer requests by the spec's route tables until TERM, as service.* of the settings in force
 * says. Returns 0, or 1 if requests were cut off at the end of the drain: then the process has to
 * _exit(). Errors: ERR_INTERNAL, or ERR_VALIDATION if no account of allowed_peers exists.
 */
int worker_serve(struct worker_spec *spec, struct error *err);

/*
 * Serve the API on the listening sockets of its lanes until TERM. Runs as the process's main;
 * returns its exit status. Settings that @ctx already has are used, so that a worker starts with
 * the last good ones also while the YAML is broken.
 */
int worker_main(struct service_context *ctx, const int listeners[LANE_COUNT]);

#endif
