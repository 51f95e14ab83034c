/*
 * A YAML file read into JSON, so that the tables of schema.h serve files as well as request bodies,
 * with the place of every value kept for messages (places.h). YAML that a person has to think about
 * is refused: anchors, aliases, tags, several documents, keys that are not text, keys given twice.
 */
#ifndef BACKEND_CONFIG_YAML_H
#define BACKEND_CONFIG_YAML_H

#include <stddef.h>

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/config/places.h"
#include "backend/error.h"

enum { YAML_FILE_BYTES_MAX = 256 * 1024, YAML_FILE_DEPTH_MAX = 32 };

/* Lifetime: scope. Read-only to all but its maker. */
struct yaml_file {
    json_t *root; /* owned */
    struct places places;
};

/*
 * Read the file @name (borrowed as long as the result lives) in the directory @dir. A symbolic link
 * is followed; what is not a regular file in the end, or larger than YAML_FILE_BYTES_MAX, is
 * refused. Errors: ERR_VALIDATION, whose sentence begins with "name:line:column: "; ERR_INTERNAL.
 */
int yaml_file_read(const char *dir, const char *name, struct yaml_file **ret, struct error *err);

/* As yaml_file_read(), of @len bytes at @text that are called @name in messages. */
int yaml_file_parse(const char *name, const char *text, size_t len, struct yaml_file **ret,
                    struct error *err);

/* Free it, and give its reference of root back. */
void yaml_file_free(struct yaml_file *f);
CLEANUP_FN(struct yaml_file *, yaml_file_free)

#endif
