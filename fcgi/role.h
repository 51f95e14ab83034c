/*
 * What a forked child does before it becomes its role: it ends with the manager, takes signals
 * again, and gives up what the role does not need.
 */
#ifndef FCGI_ROLE_H
#define FCGI_ROLE_H

#include <stdbool.h>
#include <sys/types.h>

#include "backend/backend.h"
#include "backend/error.h"

/*
 * Become the role @name (borrowed for life) in a new child of the process @manager. Where the
 * service is privileged and not @keep_root, the process becomes ctx->uid for good: no groups but
 * ctx->gid, no capabilities, no way back by an execve(). Errors: ERR_INTERNAL; the process then has
 * to end.
 */
int role_enter(const char *name, const struct service_context *ctx, bool keep_root, pid_t manager,
               struct error *err);

#endif
