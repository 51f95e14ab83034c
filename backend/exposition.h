/*
 * Prometheus's text format, version 0.0.4: families of samples, a line each. What does not fit the
 * buffer, or memory, is remembered, so that only the end has to be looked at.
 */
#ifndef BACKEND_EXPOSITION_H
#define BACKEND_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>

#include "backend/buf.h"
#include "backend/metrics.h"

/* Lifetime: scope. */
struct exposition {
    struct buf text;  /* buf_init() by the caller, who frees it */
    const char *name; /* of the family that was begun */
    int error;        /* 0, or the first failure of buf_append() */
};

/* A label; its value is any text. A list of them ends with a NULL name. */
struct exposition_label {
    const char *name;
    const char *value;
};

/* Begin the family @name (borrowed until the next one) of @type ("counter", "gauge", "histogram"),
 * which @help describes in a line without a backslash. */
void exposition_family(struct exposition *e, const char *name, const char *type, const char *help);

/* A sample of the family. @labels may be NULL. */
void exposition_sample(struct exposition *e, const struct exposition_label *labels, int64_t value);

/* The same, of a time in milliseconds, in seconds. */
void exposition_seconds(struct exposition *e, const struct exposition_label *labels, int64_t ms);

/*
 * What @h, whose first bound is @first_ns, holds: cumulative buckets in seconds, sum and count,
 * which is the last bucket whoever counts meanwhile. @label may have a NULL name: there is none.
 */
void exposition_histogram(struct exposition *e, struct exposition_label label,
                          const struct metrics_histogram *h, int64_t first_ns);

#endif
