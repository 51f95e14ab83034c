/*
 * A build's context: the Dockerfile and the files beside it as a tar. It is made by us, in memory,
 * and nobody can change it afterwards; the engine unpacks it.
 */
#ifndef BACKEND_CONTEXT_H
#define BACKEND_CONTEXT_H

#include <stdint.h>

#include <jansson.h>

#include "backend/error.h"

/*
 * Whether a Dockerfile and @files (path to text; NULL: none) make a context: paths stay below it,
 * all texts together have at most @max_mb MiB. Errors: ERR_VALIDATION, pointing to /files or
 * /dockerfile.
 */
int context_check(const char *dockerfile, json_t *files, int64_t max_mb, struct error *err);

/* The tar: a sealed memfd, the caller's. @mtime_ms is the time that its files bear. Errors:
 * ERR_INTERNAL. */
int context_make(const char *dockerfile, json_t *files, int64_t mtime_ms, int *ret_fd,
                 struct error *err);

#endif
