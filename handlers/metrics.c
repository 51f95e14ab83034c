/* The resource `metrics`. */
#include "handlers/metrics.h"

#include <stdio.h>

#include "backend/metrics.h"
#include "backend/scrape.h"
#include "handlers/routes.h"

size_t
metrics_route_number(const struct route *const *tables, const struct route *route)
{
    size_t number = 1;

    for (; route && *tables; tables++) {
        for (const struct route *r = *tables; r->method; r++, number++)
            if (r == route)
                return number;
    }
    return 0;
}

int
metrics_text(struct backend *b, char **ret, struct error *err)
{
    struct scrape_route names[METRICS_ROUTES_MAX] = {{"none"}};
    struct scrape_about about = {.version = SANDBOXD_VERSION, .routes = names, .route_count = 1};

    for (const struct route *const *table = route_tables; *table; table++) {
        for (const struct route *r = *table; r->method; r++)
            if (about.route_count < METRICS_ROUTES_MAX)
                snprintf(names[about.route_count++].name, SCRAPE_NAME_SIZE, "%s %s", r->method,
                         r->path);
    }
    return scrape_text(b, &about, ret, err);
}

/*
 * GET metrics - counters and gauges for Prometheus.
 *
 * 200  text format 0.0.4
 */
static int
get_metrics(const struct request *req, struct response *res, struct error *err)
{
    char *text = NULL;
    int r = metrics_text(req->backend, &text, err);

    if (r < 0)
        return r;
    res->text_type = METRICS_TYPE;
    return response_text(res, text);
}

const struct route metrics_routes[] = {
    {.method = "GET",
     .path = "/metrics",
     .role = ROLE_ADMIN,
     .handle = get_metrics,
     .answers = "200 text/plain",
     .summary = "Counters and gauges for Prometheus",
     .doc = "Text format 0.0.4. No label names a user, an agent, a container or a domain."},
    {0},
};
