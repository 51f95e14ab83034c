/*
 * How a failure looks to a client: the HTTP status of each error code, and the problem document of
 * RFC 9457 that goes with it.
 */
#ifndef FCGI_PROBLEM_H
#define FCGI_PROBLEM_H

#include <jansson.h>

#include "backend/error.h"

/* The status that @code is answered with. */
int problem_status(enum error_code code);

/* The reason phrase of @status, also a problem's title; "" for one that we do not use. */
const char *problem_title(int status);

/* Seconds for Retry-After, 0 for none. */
int problem_retry_after(const struct error *e);

/*
 * The document of @e, a new reference; NULL on ENOMEM. Of an ERR_INTERNAL it tells only the request
 * id, by which the log is searched.
 */
json_t *problem_json(const struct error *e, const char *request_id);

#endif
