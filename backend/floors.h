/*
 * Versions below which something that sandboxes stand on is known to be broken: the engine, runc,
 * the kernel and SQLite. The table in floors.c is the only place that knows them.
 */
#ifndef BACKEND_FLOORS_H
#define BACKEND_FLOORS_H

#include <jansson.h>

/* Versions as the parts say them, "" where one does not say; NULL: not to be looked at. Borrowed.
 */
struct floor_versions {
    const char *engine;     /* "20.10.24+dfsg1" */
    const char *runc;       /* "1.1.5+ds1" */
    const char *runc_build; /* what it was built from: Debian's package "1.1.5+ds1-1+deb12u1" */
    const char *kernel;     /* uname(2)'s release */
    const char *sqlite;     /* "3.40.1" */
};

/*
 * Append to the array @sentences one string for each floor that a part is below, and one for each
 * part whose version is not known. Returns 0 or -ENOMEM.
 */
int floors_check(const struct floor_versions *versions, json_t *sentences);

#endif
