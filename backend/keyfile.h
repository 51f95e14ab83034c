/* Files of random bytes that keys are made of: 0600, and there whole or not at all. */
#ifndef BACKEND_KEYFILE_H
#define BACKEND_KEYFILE_H

#include <stddef.h>
#include <sys/types.h>

#include "backend/error.h"

/*
 * Make the file @path, which is not there, of @size random bytes. It belongs to @uid and @gid, or
 * with -1 to the caller. Errors: ERR_INTERNAL.
 */
int keyfile_make(const char *path, size_t size, uid_t uid, gid_t gid, struct error *err);

/*
 * Read the @size bytes of the file @path to @bytes. Returns -ENOENT, without an error noted, if
 * there is none, and -EINVAL, likewise, if it is longer or shorter. Errors: ERR_INTERNAL.
 */
int keyfile_read(const char *path, void *bytes, size_t size, struct error *err);

#endif
