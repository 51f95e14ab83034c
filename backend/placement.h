/*
 * Placement: from what a request asks, what the user may and what the settings say, to the
 * container that serves it. Nothing is made here; the answer is a plan.
 */
#ifndef BACKEND_PLACEMENT_H
#define BACKEND_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/config/settings.h"
#include "backend/error.h"
#include "backend/store/records.h"

/* What a request says of its sandbox; NULL and 0 where it is silent. Everything is borrowed. */
struct placement {
    const char *user;
    const char *agent_id;
    const char *session_id;
    int scope; /* enum scope */
    const char *tier;
    const char *template_name;
    const struct template_entry *template; /* what that is called; NULL: as templates.yaml has it */
    int workspace_access;                  /* enum access */
    int64_t timeout_seconds;
    bool sandbox; /* run also where mode `selective` does not name it */
};

/*
 * Work out the container for @p: scope and its key, tier, limits, template,
 * image, runtime, GPUs, network and access. *ret has no id, uid, labels or times yet.
 * Errors: ERR_SANDBOXING_OFF, ERR_NOT_SELECTED, ERR_FORBIDDEN (tier above the ceiling, template
 * not allowed), and
 * ERR_VALIDATION for an unknown tier or template, or a limit above what applies.
 */
int placement_plan(const struct settings *s, const struct placement *p, struct container *ret,
                   struct error *err);

/*
 * What network @c has while the settings are @s, as it is shown. A container without a tier is made
 * Restricted, so that the policy opens and closes it while it runs, and has None while the policy
 * is disabled: the egress proxy, which it can ask even then, refuses it everything. One whose row
 * says None though it has no tier was made without a way to the proxy, and keeps None.
 */
enum network placement_network(const struct settings *s, const struct container *c);

/*
 * Whether the settings let an execution by @agent_id on @tier ("" for none) run at all; @sandbox as
 * above. Errors: ERR_SANDBOXING_OFF, ERR_NOT_SELECTED.
 */
int placement_allowed(const struct settings *s, const char *tier, const char *agent_id,
                      bool sandbox, struct error *err);

#endif
