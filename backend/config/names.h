/* What the names that admins invent or quote may look like. */
#ifndef BACKEND_CONFIG_NAMES_H
#define BACKEND_CONFIG_NAMES_H

#include <stdbool.h>

/* A tier: [A-Za-z0-9][A-Za-z0-9._-]*, at most 64 bytes. */
bool name_is_tier(const char *s);

/* A template: [a-z0-9][a-z0-9._-]*, at most 63 bytes; part of URLs and of image references. */
bool name_is_template(const char *s);

/* A user: [A-Za-z0-9][A-Za-z0-9._@+=,-]*, at most 128 bytes; mail addresses and certificate names
 * fit. */
bool name_is_user(const char *s);

/* An image reference as Docker takes it, as far as its letters go; at most 255 bytes. */
bool name_is_image(const char *s);

enum { CONTEXT_FILES_MAX = 256, CONTEXT_PATH_MAX = 1024 };

/*
 * Why @path cannot be that of a file in a build's context, beside its Dockerfile: the end of a
 * sentence that begins with the path, static; NULL if it can. It has to be relative, without "."
 * and
 * ".." and control characters, and short enough for any file system.
 */
const char *name_context_path_fault(const char *path);

#endif
