/* Every operation of the API. */
#include "handlers/routes.h"

/* clang-format off */
const struct route *const route_tables[] = {
    config_routes,
    status_routes,
    execute_routes,
    explain_routes,
    container_routes,
    cleanup_routes,
    snapshot_routes,
    gpu_routes,
    pool_routes,
    audit_routes,
    follow_routes,
    audit_admin_routes,
    template_routes,
    token_routes,
    metrics_routes,
    openapi_routes,
    NULL,
};
/* clang-format on */
