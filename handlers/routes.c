/* Every operation of the API. */
#include "handlers/routes.h"

const struct route *const route_tables[] = {
    config_routes, status_routes, execute_routes, container_routes, audit_routes, template_routes, NULL,
};
