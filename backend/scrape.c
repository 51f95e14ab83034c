/* Gathering the metrics: see scrape.h. */
#include "backend/scrape.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "backend/exposition.h"
#include "backend/pool.h"
#include "backend/store/store.h"

enum { TEXT_MAX_BYTES = 4 << 20, NUMBER_SIZE = 16 };

static uint64_t
load(const atomic_uint_least64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static uint64_t
observed(const struct metrics_histogram *h)
{
    uint64_t n = 0;

    for (size_t i = 0; i <= METRICS_BUCKETS; i++)
        n += load(&h->buckets[i]);
    return n;
}

static void
add_requests(struct exposition *e, const struct metrics *m, const struct scrape_about *about)
{
    exposition_family(e, "sandboxd_requests_total", "counter",
                      "Requests that were answered, by route and HTTP status.");
    for (size_t i = 0; i < about->route_count; i++) {
        for (size_t s = 0; s < METRICS_STATUSES; s++) {
            uint64_t n = load(&m->routes[i].statuses[s]);
            char status[NUMBER_SIZE] = "other";

            if (metrics_statuses[s])
                snprintf(status, sizeof(status), "%d", metrics_statuses[s]);
            if (n > 0)
                exposition_sample(e,
                                  (const struct exposition_label[]){
                                      {"route", about->routes[i].name}, {"status", status}, {0}},
                                  (int64_t)n);
        }
    }
    exposition_family(e, "sandboxd_request_duration_seconds", "histogram",
                      "From a request's headers to the end of its answer.");
    for (size_t i = 0; i < about->route_count; i++)
        if (observed(&m->routes[i].duration) > 0)
            exposition_histogram(e, (struct exposition_label){"route", about->routes[i].name},
                                 &m->routes[i].duration, METRICS_CALL_FIRST_NS);
}

/* The name of the tier in place @i; NULL: there is none, or one before it has the same. */
static const char *
tier_name(const struct metrics *m, size_t i)
{
    const char *name = i == 0 ? "other" : metrics_tier_name(&m->tiers[i]);

    for (size_t before = 0; name && before < i; before++) {
        const char *other = before == 0 ? "other" : metrics_tier_name(&m->tiers[before]);

        if (other && strcmp(other, name) == 0)
            return NULL;
    }
    return name;
}

/* What all places of a tier's name have counted. */
static uint64_t
tier_result(const struct metrics *m, const char *name, size_t result)
{
    uint64_t n = 0;

    for (size_t i = 0; i < METRICS_TIERS_MAX; i++) {
        const char *other = i == 0 ? "other" : metrics_tier_name(&m->tiers[i]);

        if (other && strcmp(other, name) == 0)
            n += load(&m->tiers[i].results[result]);
    }
    return n;
}

static void
add_executions(struct exposition *e, const struct metrics *m)
{
    exposition_family(e, "sandboxd_executions_total", "counter",
                      "Executions that have ended, by tier and by how the audit log has it.");
    for (size_t i = 0; i < METRICS_TIERS_MAX; i++) {
        const char *name = tier_name(m, i);

        for (size_t r = 0; name && r < METRICS_RESULTS; r++) {
            uint64_t n = tier_result(m, name, r);

            if (n > 0)
                exposition_sample(e,
                                  (const struct exposition_label[]){
                                      {"tier", name}, {"result", audit_status_names[r]}, {0}},
                                  (int64_t)n);
        }
    }
}

static void
add_places(struct exposition *e, const struct gauges *g)
{
    exposition_family(e, "sandboxd_executions_running", "gauge", "Executions that run.");
    exposition_sample(e, NULL, g->executions_running);
    exposition_family(e, "sandboxd_containers", "gauge",
                      "Containers that belong to somebody, by status.");
    for (size_t i = 0; i < ARRAY_LEN(g->containers); i++)
        exposition_sample(
            e, (const struct exposition_label[]){{"status", container_status_names[i]}, {0}},
            g->containers[i]);
}

static void
add_pool(struct exposition *e, const struct pool_report *report)
{
    exposition_family(e, "sandboxd_pool", "gauge",
                      "Containers of the pool; target: as many as it shall have.");
    for (size_t i = 0; i < report->count; i++) {
        const struct pool_state *p = &report->items[i];
        const struct {
            const char *state;
            int64_t count;
        } states[] = {{"target", p->target}, {"ready", p->ready}, {"warming", p->warming}};

        for (size_t s = 0; s < ARRAY_LEN(states); s++)
            exposition_sample(e,
                              (const struct exposition_label[]){{"template", p->template_name},
                                                                {"tier", p->tier},
                                                                {"state", states[s].state},
                                                                {0}},
                              states[s].count);
    }
    exposition_family(e, "sandboxd_pool_requests_total", "counter",
                      "Requests that the pool could serve, and whether it had a container ready.");
    for (size_t i = 0; i < report->count; i++) {
        const struct pool_state *p = &report->items[i];

        for (int claimed = 0; claimed < 2; claimed++)
            exposition_sample(
                e,
                (const struct exposition_label[]){{"template", p->template_name},
                                                  {"tier", p->tier},
                                                  {"result", claimed ? "claimed" : "missed"},
                                                  {0}},
                claimed ? p->claimed : p->missed);
    }
}

/* The sum over the workers; what one of them counts down before another's is read is not less than
 * nothing. */
static int64_t
lane_sum(const struct metrics *m, size_t lane, bool busy)
{
    int64_t n = 0;

    for (size_t i = 0; i < METRICS_WORKERS_MAX; i++)
        n += atomic_load(busy ? &m->workers[i].busy[lane] : &m->workers[i].waiting[lane]);
    return n > 0 ? n : 0;
}

static void
add_lanes(struct exposition *e, const struct metrics *m, const struct gauges *g)
{
    exposition_family(e, "sandboxd_queue_depth", "gauge",
                      "What waits: requests for a thread, jobs for the builder.");
    for (size_t i = 0; i < METRICS_LANES; i++)
        exposition_sample(e,
                          (const struct exposition_label[]){{"lane", metrics_lane_names[i]}, {0}},
                          lane_sum(m, i, false));
    exposition_sample(e, (const struct exposition_label[]){{"lane", "jobs"}, {0}}, g->jobs_queued);
    exposition_family(e, "sandboxd_threads_busy", "gauge",
                      "Threads of workers that serve requests.");
    for (size_t i = 0; i < METRICS_LANES; i++)
        exposition_sample(e,
                          (const struct exposition_label[]){{"lane", metrics_lane_names[i]}, {0}},
                          lane_sum(m, i, true));
}

static void
add_engine(struct exposition *e, const struct metrics *m)
{
    exposition_family(e, "sandboxd_docker_call_duration_seconds", "histogram",
                      "Calls of the Docker API, whatever came of them.");
    for (size_t i = 0; i < METRICS_CALLS; i++)
        if (observed(&m->calls[i]) > 0)
            exposition_histogram(e, (struct exposition_label){"call", metrics_call_names[i]},
                                 &m->calls[i], METRICS_CALL_FIRST_NS);
}

static void
add_database(struct exposition *e, const struct metrics *m)
{
    exposition_family(e, "sandboxd_sqlite_write_wait_seconds", "histogram",
                      "How long writers waited for their turn with the database.");
    exposition_histogram(e, (struct exposition_label){0}, &m->write_wait, METRICS_WRITE_FIRST_NS);
    exposition_family(e, "sandboxd_sqlite_write_hold_seconds", "histogram",
                      "How long writers had it: the rate of the sum is how busy the database is.");
    exposition_histogram(e, (struct exposition_label){0}, &m->write_hold, METRICS_WRITE_FIRST_NS);
}

static void
add_egress(struct exposition *e, const struct metrics *m)
{
    exposition_family(e, "sandboxd_egress_decisions_total", "counter",
                      "What the egress proxy decided, by the kind of rule that did.");
    for (size_t allowed = 0; allowed < 2; allowed++) {
        for (size_t i = 0; i < METRICS_RULES; i++) {
            uint64_t n = load(&m->egress[allowed][i]);

            if (n > 0)
                exposition_sample(
                    e,
                    (const struct exposition_label[]){{"decision", allowed ? "allowed" : "refused"},
                                                      {"rule", metrics_rule_names[i]},
                                                      {0}},
                    (int64_t)n);
        }
    }
}

static void
add_service(struct exposition *e, const struct shared *shared, const struct scrape_about *about)
{
    int64_t workers = 0;

    for (size_t i = 0; i < SHARED_WORKERS_MAX; i++)
        workers += load(&shared->workers[i]) != 0;
    exposition_family(e, "process_start_time_seconds", "gauge",
                      "When the service was started, since the epoch.");
    exposition_seconds(e, NULL, shared->started_on_ms);
    exposition_family(e, "sandboxd_build_info", "gauge", "What runs; always 1.");
    exposition_sample(e,
                      (const struct exposition_label[]){
                          {"version", about->version}, {"sqlite", store_library_version()}, {0}},
                      1);
    exposition_family(e, "sandboxd_workers", "gauge", "Worker processes that run.");
    exposition_sample(e, NULL, workers);
}

int
scrape_text(struct backend *b, const struct scrape_about *about, char **ret, struct error *err)
{
    const struct shared *shared = b->context->shared;
    const struct metrics *m = &shared->metrics;
    struct pool_report report = {0};
    struct gauges gauges = {0};
    struct store *store = NULL;
    struct exposition e = {0};
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = store_gauges(store, &gauges, err);
    if (r == 0)
        r = pool_report(b, &report, err);
    if (r < 0)
        return r;
    buf_init(&e.text, TEXT_MAX_BYTES);
    add_service(&e, shared, about);
    add_requests(&e, m, about);
    add_executions(&e, m);
    add_places(&e, &gauges);
    add_pool(&e, &report);
    add_lanes(&e, m, &gauges);
    add_engine(&e, m);
    add_database(&e, m);
    add_egress(&e, m);
    pool_report_done(&report);
    if (e.error == 0)
        *ret = buf_take(&e.text);
    buf_done(&e.text);
    return e.error == 0 ? 0 : error_errno(err, -e.error, "the metrics' text");
}
