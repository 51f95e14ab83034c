/* What Prometheus gets: what all processes have counted, and how things stand now. */
#ifndef BACKEND_SCRAPE_H
#define BACKEND_SCRAPE_H

#include <stddef.h>

#include "backend/backend.h"
#include "backend/error.h"

enum { SCRAPE_NAME_SIZE = 96 };

struct scrape_route {
    char name[SCRAPE_NAME_SIZE]; /* "POST /execute" */
};

/* What this layer does not know. Everything is borrowed. */
struct scrape_about {
    const char *version;               /* of the program */
    const struct scrape_route *routes; /* by number, from 0: metrics_request() */
    size_t route_count;
};

/*
 * The metrics as text, the caller's, with the settings that @b has at hand. Routes, statuses and
 * results that nothing was counted for are left out. Errors: ERR_INTERNAL (the store, memory).
 */
int scrape_text(struct backend *b, const struct scrape_about *about, char **ret, struct error *err);

#endif
