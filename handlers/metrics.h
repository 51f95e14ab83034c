/* What is known of routes by those who count requests, and by those who ask. */
#ifndef HANDLERS_METRICS_H
#define HANDLERS_METRICS_H

#include "handlers/handler.h"

/* Of what metrics_text() makes: Prometheus's text format. */
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The number by which requests for @route of @tables are counted; 0 for NULL. */
size_t metrics_route_number(const struct route *const *tables, const struct route *route);

/* The metrics of the service with the routes of the API, as text that is the caller's. @b has its
 * settings. Errors: ERR_INTERNAL. */
int metrics_text(struct backend *b, char **ret, struct error *err);

#endif
