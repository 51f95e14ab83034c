/* Executions: see execution.h. */
#include "backend/execution.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend/audit.h"
#include "backend/capture.h"
#include "backend/guest/control.h"
#include "backend/guest/guest.h"
#include "backend/metrics.h"
#include "backend/outcome.h"
#include "backend/quota.h"
#include "backend/store/store.h"
#include "backend/template.h"

enum { PATH_SIZE = 4096, ATTEMPTS = 3, KILL_WAIT_MS = 5000, KILL_LOOK_MS = 20 };

void
execution_done(struct execution *x)
{
    audit_entry_done(&x->entry);
    audit_output_done(&x->output);
}

/* An audit entry about @command in @c. */
static int
entry_init(struct audit_entry *e, struct backend *b, const struct container *c,
           const struct command *command, struct error *err)
{
    *e = (struct audit_entry){
        .kind = AUDIT_EXECUTION,
        .status = AUDIT_RUNNING,
        .started_at_ms = time_now_ms(),
        .exit_code = -1,
        .worker = b->context->worker_id,
        .command = command_describe(command),
        .background = command->background,
        .output_cap = command_output_cap(b->settings, command),
    };
    if (!e->command)
        return error_errno(err, ENOMEM, "audit entry");
    if (command->nonce)
        id_audit_derived(command->nonce, e->id);
    else
        id_audit(e->id);
    snprintf(e->owner, sizeof(e->owner), "%s", c->owner);
    snprintf(e->agent_id, sizeof(e->agent_id), "%s",
             command->agent_id ? command->agent_id : c->agent_id);
    snprintf(e->session_id, sizeof(e->session_id), "%s",
             command->session_id ? command->session_id : c->session_id);
    snprintf(e->container_id, sizeof(e->container_id), "%s", c->id);
    snprintf(e->tier, sizeof(e->tier), "%s", c->tier);
    snprintf(e->template_name, sizeof(e->template_name), "%s", c->template_name);
    snprintf(e->request_id, sizeof(e->request_id), "%s", command->request_id);
    return 0;
}

/*
 * Connect to the container's guest; one that does not answer is revived once, by @rule. *ret_fd is
 * -1 if what stands there is no guest of ours.
 */
static int
connect_guest(struct backend *b, const struct container *c, enum revival rule, int *ret_fd,
              struct error *err)
{
    char directory[PATH_SIZE];
    int r;

    *ret_fd = -1;
    container_guest_directory(b, c->id, directory, sizeof(directory));
    r = guest_connect(directory, ret_fd, err);
    if (r == -ENOTCONN) {
        error_clear(err);
        r = container_revive(b, c, rule, err);
        if (r == 0)
            r = guest_connect(directory, ret_fd, err);
    }
    if (r == -EIO) {
        error_clear(err);
        r = 0;
    }
    return r;
}

/* The guest broke off: the command was killed with its container, or by its guest's failure. */
static void
note_interruption(struct backend *b, struct execution *x)
{
    bool meant = container_stop_broken(b, x->entry.container_id, x->entry.started_at_ms);

    outcome_cut_off(&x->entry, meant ? AUDIT_KILLED : AUDIT_INTERRUPTED);
}

/* Have the guest run the command to its end, or only start it, as it says. *ret_ended: *ret tells
 * the end. */
static int
talk(int fd, const struct command *command, const struct command_call *call,
     const struct audit_entry *entry, struct capture *out, struct capture *errout, bool *ret_ended,
     struct guest_result *ret, struct error *err)
{
    *ret_ended = true;
    if (fd < 0)
        return -EPROTO;
    if (command->background)
        return guest_detach(fd, &call->guest, (size_t)entry->output_cap, errout, ret_ended, ret,
                            err);
    return guest_run(fd, &call->guest, out, errout, ret, err);
}

/*
 * Write the end of @x into its row; @r is what became of running it. Where a background execution
 * has been recorded meanwhile by who ended it, that counts.
 */
static int
record(struct store *store, struct execution *x, bool background, int r, struct error *err)
{
    struct error failed = {0};
    int stored;

    x->entry.finished_at_ms = time_now_ms();
    stored = store_audit_finish(store, &x->entry, &x->output, r == 0, &failed);
    if (stored == 0)
        metrics_execution(x->entry.tier, x->entry.status);
    if (stored == -EEXIST && background && r == 0) {
        error_clear(&failed);
        audit_entry_done(&x->entry);
        stored = store_audit_get(store, x->entry.id, NULL, &x->entry, &failed);
    }
    if (r < 0 || stored == 0)
        return r;
    *err = failed;
    return stored;
}

/* Run the command that the row of @x announces, and write its end into the row. */
static int
run_announced(struct backend *b, struct store *store, const struct container *c,
              const struct command *command, int fd, struct execution *x, struct error *err)
{
    _cleanup_(capture_done) struct capture out = {0};
    _cleanup_(capture_done) struct capture errout = {0};
    _cleanup_(command_call_done) struct command_call call = {0};
    struct guest_result result = {0};
    bool ended = true;
    int r;

    capture_init(&out, (size_t)x->entry.output_cap);
    capture_init(&errout, (size_t)x->entry.output_cap);
    r = command_call_init(&call, b->settings, command, c, &x->entry, err);
    if (r == 0)
        r = talk(fd, command, &call, &x->entry, &out, &errout, &ended, &result, err);
    if (r == 0 && !ended)
        return 0;
    if (r == 0) {
        outcome_note(&x->entry, &result);
    } else if (r == -EPROTO) {
        note_interruption(b, x);
        error_clear(err);
        r = 0;
    } else {
        x->entry.status = AUDIT_REFUSED;
        if (err->code == ERR_PROCESS_LIMIT)
            container_name_limit(b, c, "max_processes", err);
    }
    if (r == 0)
        r = outcome_output(&x->entry, &out, &errout, &x->output, err);
    return record(store, x, command->background, r, err);
}

/*
 * Announce the execution in the audit, run it over the connection @fd to its guest (-1: what stands
 * there is no guest), and note its end. A container that had to be started for it was so before the
 * entry began: a background execution of an earlier life of its container is told by that.
 */
static int
run(struct backend *b, const struct container *c, const struct command *command, int fd,
    struct execution *ret, struct error *err)
{
    struct quota_gate gate = quota_gate(b, c->owner);
    struct execution x = {0};
    struct store *store = NULL;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = entry_init(&x.entry, b, c, command, err);
    if (r == 0)
        r = store_audit_begin(store, &x.entry, &gate, err);
    if (gate.shut)
        r = quota_refuse(b, c->owner, &gate, err);
    if (r == 0 && command->observer)
        command->observer->announced(command->observer->sink.arg, &x.entry);
    if (r == 0)
        r = run_announced(b, store, c, command, fd, &x, err);
    if (r == 0 && command->observer)
        command->observer->ended(command->observer->sink.arg, &x.entry, &x.output);
    if (r < 0)
        execution_done(&x);
    else
        *ret = x;
    return r;
}

/* The tier as the YAML spells it: a request may name whatever it likes. */
static const char *
counted_tier(const struct settings *s, const char *name)
{
    const struct tier *tier = name[0] ? settings_tier(s, name) : NULL;

    if (tier)
        return tier->name;
    return name[0] ? "other" : "";
}

/* Leave an audit entry about what was not run in @c. */
static void
note_not_run(struct backend *b, const struct container *c, const struct command *command)
{
    struct audit_entry e = {0};
    struct store *store = NULL;
    struct error ignored = {0};

    if (backend_store(b, &store, &ignored) < 0)
        return;
    if (entry_init(&e, b, c, command, &ignored) == 0) {
        e.status = AUDIT_REFUSED;
        e.finished_at_ms = e.started_at_ms;
        if (store_audit_insert(store, &e, &ignored) == 0)
            metrics_execution(counted_tier(b->settings, e.tier), AUDIT_REFUSED);
    }
    audit_entry_done(&e);
}

/* The same about what policy did not let run. */
static void
note_refusal(struct backend *b, const struct placement *where, const struct command *command)
{
    struct container about = {0};

    snprintf(about.owner, sizeof(about.owner), "%s", where->user);
    snprintf(about.agent_id, sizeof(about.agent_id), "%s",
             where->agent_id ? where->agent_id : "default");
    snprintf(about.tier, sizeof(about.tier), "%s", where->tier ? where->tier : "");
    note_not_run(b, &about, command);
}

/* Run @command in the scope's container. -ENOTCONN: it was stopped or removed on the way there. */
static int
run_in_scope(struct backend *b, const struct container *plan, const struct command *command,
             struct execution *ret, struct error *err)
{
    struct container c = {0};
    _cleanup_(closep) int fd = -1;
    bool created, goes_on;
    int r;

    r = quota_look(b, plan->owner, false, err);
    if (r == 0)
        r = container_acquire(b, plan, NULL, &c, &created, err);
    if (r < 0)
        return r;
    r = connect_guest(b, &c, REVIVE_STOPPED_TOO, &fd, err);
    if (r == 0)
        r = run(b, &c, command, fd, ret, err);
    else if (r != -ENOTCONN)
        note_not_run(b, &c, command);
    goes_on = r == 0 && ret->entry.status == AUDIT_RUNNING;
    if (c.one_shot && !goes_on)
        container_discard(b, c.id, NULL); /* what fails here is the janitor's to finish */
    container_done(&c);
    return r;
}

int
execution_run(struct backend *b, const struct placement *where, const struct command *command,
              struct execution *ret, struct error *err)
{
    struct container plan = {0};
    int r;

    r = template_place(b, where, &plan, err);
    if (r < 0 && err->code != ERR_VALIDATION)
        note_refusal(b, where, command);
    if (r < 0)
        return r;
    for (int attempt = 1;; attempt++) {
        r = run_in_scope(b, &plan, command, ret, err);
        if (r != -ENOTCONN || attempt == ATTEMPTS)
            return r;
        error_clear(err);
    }
}

/* Whether the caller may run @command in @c, and it runs. */
static int
check_run_in(struct backend *b, const struct container *c, const struct command *command,
             struct error *err)
{
    int r = placement_allowed(b->settings, c->tier, c->agent_id, false, err);

    if (r == 0 && c->status != CONTAINER_RUNNING)
        r = error_set(err, ERR_CONTAINER_NOT_RUNNING, "the container is %s; start it first",
                      container_status_names[c->status - 1]);
    if (r == 0 && command->timeout_seconds > c->limits.timeout_seconds)
        r = error_violation(err, "/timeout_seconds", "may be at most %lld, the container's limit",
                            (long long)c->limits.timeout_seconds);
    return r;
}

int
execution_run_in(struct backend *b, const struct caller *caller, const char *id,
                 const struct command *command, struct execution *ret, struct error *err)
{
    struct container c = {0};
    _cleanup_(closep) int fd = -1;
    int r;

    r = container_get(b, caller, id, &c, err);
    if (r < 0)
        return r;
    r = check_run_in(b, &c, command, err);
    if (r == 0) {
        r = connect_guest(b, &c, REVIVE_RUNNING_ONLY, &fd, err);
        if (r < 0 && r != -ENOTCONN)
            note_not_run(b, &c, command);
    }
    if (r == 0)
        r = run(b, &c, command, fd, ret, err);
    container_done(&c);
    return r;
}

/* Have the guest kill the execution. One that it does not know may be on its way, or just over. */
static int
ask_to_kill(struct backend *b, const struct audit_entry *e, bool *ret_asked, struct error *err)
{
    char directory[PATH_SIZE];
    int r;

    container_guest_directory(b, e->container_id, directory, sizeof(directory));
    r = guest_kill(directory, id_audit_number(e->id), err);
    *ret_asked = r == 0;
    if (r != -ENOENT)
        return r;
    error_clear(err);
    return 0;
}

int
execution_kill(struct backend *b, const struct caller *caller, const char *id,
               struct audit_entry *ret, struct error *err)
{
    const struct timespec pause = {.tv_nsec = KILL_LOOK_MS * 1000000L};
    int64_t until_ms = time_monotonic_ms() + KILL_WAIT_MS;
    bool asked = false;
    int r;

    for (;;) {
        r = audit_get(b, caller, id, ret, err);
        if (r < 0)
            return r;
        if (ret->kind != AUDIT_EXECUTION)
            r = error_set(err, ERR_CONFLICT, "the entry is of no execution");
        else if (ret->status != AUDIT_RUNNING || time_monotonic_ms() >= until_ms)
            return 0;
        else if (!asked)
            r = ask_to_kill(b, ret, &asked, err);
        audit_entry_done(ret);
        if (r < 0)
            return r;
        nanosleep(&pause, NULL); /* its end comes from another process, by way of the database */
    }
}
