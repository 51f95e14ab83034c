/*
 * Executions: one command in one container, from the audit row that announces it to the one that
 * tells its end.
 */
#ifndef BACKEND_EXECUTION_H
#define BACKEND_EXECUTION_H

#include "backend/backend.h"
#include "backend/command.h"
#include "backend/container.h"
#include "backend/error.h"
#include "backend/placement.h"
#include "backend/store/records.h"

/* How it went. Initialise with {0}; execution_done() frees what it owns. */
struct execution {
    struct audit_entry entry;
    struct audit_output output;
};

void execution_done(struct execution *x);

/*
 * Run @command in the container of @where's scope, which is found, made or started; a one-shot's is
 * removed afterwards. A refusal by policy leaves an audit entry, too. A command that fails, times
 * out or is killed is a success of this call. Of one in the background *ret is how it stands when
 * it has been started: `running`, unless it could not be. Errors: those of placement_plan(),
 * container_acquire() and execution_run_in(). A quota's refusal leaves no entry.
 */
int execution_run(struct backend *b, const struct placement *where, const struct command *command,
                  struct execution *ret, struct error *err);

/*
 * Run @command in the container @id. Errors: ERR_NOT_FOUND, ERR_CONTAINER_NOT_RUNNING,
 * ERR_SANDBOXING_OFF, ERR_NOT_SELECTED, ERR_VALIDATION (a timeout above the container's),
 * ERR_PROCESS_LIMIT, and those of quota_refuse().
 */
int execution_run_in(struct backend *b, const struct caller *caller, const char *id,
                     const struct command *command, struct execution *ret, struct error *err);

/*
 * End the running execution @id, whichever worker runs it and also in the background, and wait a
 * few seconds until its entry says so. *ret is the entry then, as it is of one that had ended
 * before. Caller: audit_entry_done(). Errors: ERR_NOT_FOUND, ERR_CONFLICT (the entry is of no
 * execution), and those of guest_kill().
 */
int execution_kill(struct backend *b, const struct caller *caller, const char *id,
                   struct audit_entry *ret, struct error *err);

#endif
