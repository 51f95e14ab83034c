/*
 * The builder: a process for slow work in the background. Its threads carry out the jobs of
 * templates (build, pull), and keep the pool at its targets.
 */
#ifndef BACKEND_BUILDER_H
#define BACKEND_BUILDER_H

#include "backend/backend.h"

/*
 * Work until TERM; SIGUSR2 says that there is something to do, SIGHUP that the YAML is to be read
 * again. Runs as the process's main; returns its exit status.
 */
int builder_main(struct service_context *ctx);

#endif
