/*
 * What the processes of one service count, for Prometheus: counters and histograms in the memory
 * that they share (shared.h), so that a scrape sees all of them together, and what a process has
 * counted outlives it. Counting is a few relaxed atomic additions: it takes no lock, allocates
 * nothing and cannot fail. Every table's size is fixed; what finds no place in one is counted as
 * `other`.
 *
 * No label is a user, an agent, an id or a domain: a scrape is to stay small, and is read by people
 * who need not know who does what. What labels there are come from this program and from the YAML.
 *
 * Like the log, counting is the whole process's, since it happens at every depth: where to is said
 * once, by the manager before it forks. A process that is told of no place counts for itself.
 */
#ifndef BACKEND_METRICS_H
#define BACKEND_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    METRICS_ROUTES_MAX = 128, /* 0: no route */
    METRICS_STATUSES = 19,    /* metrics_statuses[] */
    METRICS_BUCKETS = 20,     /* with bounds; one more is for what is over all of them */
    METRICS_TIERS_MAX = 64,   /* 0: those that found no place */
    METRICS_RESULTS = 8,      /* enum audit_status, less 1; `running` is never counted */
    METRICS_WORKERS_MAX = 64,
    METRICS_TIER_SIZE = 65
};

/* The first bounds of histograms in nanoseconds; each that follows is twice the one before. */
enum { METRICS_CALL_FIRST_NS = 250000, METRICS_WRITE_FIRST_NS = 16000 };

/* The queues of a worker, by the names of metrics_lane_names[]. */
enum metrics_lane {
    METRICS_LANE_CONTROL,
    METRICS_LANE_EXECUTION,
    METRICS_LANE_AUTHENTICATION,
    METRICS_LANES
};

/* Calls of the Docker API, by the names of metrics_call_names[]. */
enum metrics_call {
    METRICS_CALL_OTHER,
    METRICS_CALL_VERSION,
    METRICS_CALL_INFO,
    METRICS_CALL_CREATE,
    METRICS_CALL_START,
    METRICS_CALL_STOP,
    METRICS_CALL_KILL,
    METRICS_CALL_REMOVE,
    METRICS_CALL_INSPECT,
    METRICS_CALL_LIST,
    METRICS_CALL_STATS,
    METRICS_CALL_COMMIT,
    METRICS_CALL_IMAGE,
    METRICS_CALL_PULL,
    METRICS_CALL_BUILD,
    METRICS_CALL_NETWORK,
    METRICS_CALLS
};

/* Kinds of rules by which the egress proxy decides, by the names of metrics_rule_names[]. */
enum metrics_rule {
    METRICS_RULE_OTHER,
    METRICS_RULE_ALLOWED_DOMAINS,
    METRICS_RULE_BLOCKED_DOMAINS,
    METRICS_RULE_ENABLED,
    METRICS_RULE_NETWORK,
    METRICS_RULE_PORTS,
    METRICS_RULE_ADDRESS,
    METRICS_RULE_TLS,
    METRICS_RULE_LIMIT,
    METRICS_RULE_REQUEST,
    METRICS_RULE_UPSTREAM,
    METRICS_RULES
};

struct metrics_histogram {
    atomic_uint_least64_t buckets[METRICS_BUCKETS + 1]; /* not cumulative */
    atomic_uint_least64_t sum_ns;
};

/* A tier's executions. Its name is there once `state` says so, and never changes then. */
struct metrics_tier {
    atomic_uint state; /* enum of metrics.c */
    char name[METRICS_TIER_SIZE];
    atomic_uint_least64_t results[METRICS_RESULTS];
};

/* What a worker is at now: gone with it. */
struct metrics_worker {
    atomic_int waiting[METRICS_LANES];
    atomic_int busy[METRICS_LANES];
};

/* Lifetime: that of the shared mapping. Zeroed. */
struct metrics {
    struct {
        atomic_uint_least64_t statuses[METRICS_STATUSES];
        struct metrics_histogram duration;
    } routes[METRICS_ROUTES_MAX];
    struct metrics_tier tiers[METRICS_TIERS_MAX];
    struct metrics_histogram calls[METRICS_CALLS];
    struct metrics_histogram write_wait, write_hold;
    atomic_uint_least64_t egress[2][METRICS_RULES]; /* refused, allowed */
    struct metrics_worker workers[METRICS_WORKERS_MAX];
};

/* The HTTP statuses told apart; the last, 0, is every other. */
extern const int metrics_statuses[METRICS_STATUSES];

extern const char *const metrics_lane_names[METRICS_LANES];
extern const char *const metrics_call_names[METRICS_CALLS];
extern const char *const metrics_rule_names[METRICS_RULES];

/* Count into @m from now on. Before there are threads. */
void metrics_use(struct metrics *m);

/* Where this process counts. Never NULL. */
struct metrics *metrics_get(void);

/* Say which of the workers' slots is this process's. Before there are threads. */
void metrics_worker_begin(size_t slot);

/* The worker of @slot has ended, however: it is at nothing any more. */
void metrics_worker_gone(size_t slot);

/* Nanoseconds of the monotonic clock. */
int64_t metrics_now_ns(void);

/* A request was answered with @status, @ns after it was begun; @route from 1, 0: none. */
void metrics_request(size_t route, int status, int64_t ns);

/* An execution of @tier ("": none) has ended as @status (enum audit_status). */
void metrics_execution(const char *tier, int status);

/* A call of the Docker API took @ns, whatever came of it. */
void metrics_docker_call(enum metrics_call call, int64_t ns);

/* Somebody waited @ns for the turn to write to the database, or gave that up. */
void metrics_write_wait(int64_t ns);

/* Somebody had the turn for @ns. */
void metrics_write_hold(int64_t ns);

/* The egress proxy decided. */
void metrics_egress(bool allowed, enum metrics_rule rule);

/* In this worker @waiting more requests wait in a lane, and @busy more threads serve them; both may
 * be negative. */
void metrics_lane(enum metrics_lane lane, int waiting, int busy);

/* The tier that is counted in place @t; NULL: none yet. Several may be one. */
const char *metrics_tier_name(const struct metrics_tier *t);

/* The bucket of a histogram that begins with @first_ns for @ns: the first whose bound is not less,
 * METRICS_BUCKETS if there is none. */
size_t metrics_bucket(int64_t first_ns, int64_t ns);

#endif
