/*
 * What an execution would meet, and which file, override or request decides it. Nothing is made or
 * run. It is worked out by what executions use themselves, so that it says what they would do.
 */
#ifndef BACKEND_EXPLAIN_H
#define BACKEND_EXPLAIN_H

#include <stdbool.h>

#include "backend/backend.h"
#include "backend/config/source.h"
#include "backend/egress/verdict.h"
#include "backend/error.h"
#include "backend/placement.h"
#include "backend/store/records.h"

enum { EXPLAIN_SOURCE_SIZE = 2 * SOURCE_SIZE + 4 };

enum explain_limit {
    EXPLAIN_CPU_CORES,
    EXPLAIN_MEMORY_MB,
    EXPLAIN_DISK_MB,
    EXPLAIN_MAX_PROCESSES,
    EXPLAIN_TIMEOUT_SECONDS,
    EXPLAIN_LIMIT_COUNT
};

/* Lifetime: request. */
struct explanation {
    struct error refusal;  /* why it would be refused; ERR_NONE: it would run */
    bool planned;          /* the members below are known */
    struct container plan; /* id: the container that would serve, "" for a new one */
    char sources[EXPLAIN_LIMIT_COUNT][EXPLAIN_SOURCE_SIZE]; /* of the plan's limits */
    enum network network;                                   /* as placement_network() has it */
    char network_source[EXPLAIN_SOURCE_SIZE];
    bool domain_allowed; /* of the domain that was asked for */
    char domain_rule[EGRESS_RULE_SIZE];
    char domain_source[EXPLAIN_SOURCE_SIZE]; /* where the setting is that the rule is about */
};

/* The name of a limit, as in the API and the YAML. */
extern const char *const explain_limit_names[EXPLAIN_LIMIT_COUNT];

/*
 * Explain what @where would meet, and whether it would reach @domain (a host name or
 * an address; NULL: not asked). A refusal is part of the explanation. Errors: ERR_VALIDATION
 * (@domain is none), ERR_INTERNAL.
 */
int explain_placement(struct backend *b, const struct placement *where, const char *domain,
                      struct explanation *ret, struct error *err);

/* As explain_placement(), without asking the engine for images and GPUs. */
int explain_rules(struct backend *b, const struct placement *where, const char *domain,
                  struct explanation *ret, struct error *err);

#endif
