/* The tables of routes, one of each resource's file. */
#ifndef HANDLERS_ROUTES_H
#define HANDLERS_ROUTES_H

#include "handlers/handler.h"

#define SANDBOXD_VERSION "0.1.0"

extern const struct route config_routes[];
extern const struct route status_routes[];
extern const struct route execute_routes[];
extern const struct route explain_routes[];
extern const struct route container_routes[];
extern const struct route cleanup_routes[];
extern const struct route gpu_routes[];
extern const struct route pool_routes[];
extern const struct route snapshot_routes[];
extern const struct route audit_routes[];
extern const struct route template_routes[];
extern const struct route follow_routes[];
extern const struct route audit_admin_routes[];
extern const struct route token_routes[];
extern const struct route metrics_routes[];
extern const struct route openapi_routes[];

#endif
