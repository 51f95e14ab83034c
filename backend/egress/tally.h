/* Counting what the proxy decided, by kinds of rules: the rules themselves name domains. */
#ifndef BACKEND_EGRESS_TALLY_H
#define BACKEND_EGRESS_TALLY_H

#include <stdbool.h>

#include "backend/metrics.h"

/* The kind of @rule, a sentence of the audit log's. */
enum metrics_rule tally_kind(const char *rule);

/* Count a decision. */
void tally(bool allowed, const char *rule);

#endif
