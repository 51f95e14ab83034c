/* Executions: see execution.h. */
#include "backend/execution.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backend/capture.h"
#include "backend/guest/guest.h"
#include "backend/store/store.h"
#include "backend/template.h"

enum { PATH_SIZE = 4096, ENV_NAME_MAX = 128 };

void
execution_done(struct execution *x)
{
    audit_entry_done(&x->entry);
    audit_output_done(&x->output);
}

static bool
env_name_valid(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    size_t len = strlen(name);

    return len > 0 && len <= ENV_NAME_MAX && strspn(name, allowed) == len &&
           (name[0] < '0' || name[0] > '9');
}

int
command_check(const struct settings *settings, const struct command *command, struct error *err)
{
    int64_t most = settings->service.max_output_bytes;
    const char *name;
    json_t *value;

    if (command->shell && command->argv.count > 0)
        error_violation(err, "/argv", "may not be given together with command");
    else if (!command->shell && command->argv.count == 0)
        error_violation(err, "/command", "is required, or argv instead");
    else if (command->argv.count > 0 && command->argv.items[0][0] == '\0')
        error_violation(err, "/argv/0", "must name a program");
    if (command->cwd && command->cwd[0] != '/')
        error_violation(err, "/cwd", "must be an absolute path inside the sandbox");
    if (command->max_output_bytes > most)
        error_violation(err, "/max_output_bytes", "may be at most %lld", (long long)most);
    json_object_foreach(command->env, name, value) if (!env_name_valid(name))
    {
        error_violation(err, "/env", "'%.64s' cannot be the name of a variable", name);
        break;
    }
    return err->code == ERR_NONE ? 0 : -EINVAL;
}

/* The command as the audit shows it: the shell text, or the argv as a JSON array. Owned by the
 * caller. */
static char *
describe(const struct command *command)
{
    json_auto_t *argv = NULL;

    if (command->shell)
        return strdup(command->shell);
    argv = json_array();
    for (size_t i = 0; i < command->argv.count; i++)
        if (json_array_append_new(argv, json_string(command->argv.items[i])) < 0)
            return NULL;
    return json_dumps(argv, JSON_COMPACT);
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
        .command = describe(command),
    };
    if (!e->command)
        return error_errno(err, ENOMEM, "audit entry");
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

/* "NAME=value" strings and the array that points at them, in one allocation. */
static const char **
env_strings(json_t *env)
{
    size_t count = json_object_size(env), bytes = 0, i = 0;
    const char *name;
    json_t *value;
    const char **list;
    char *p;

    json_object_foreach(env, name, value) bytes += strlen(name) + json_string_length(value) + 2;
    list = malloc((count + 1) * sizeof(*list) + bytes);
    if (!list)
        return NULL;
    p = (char *)(list + count + 1);
    json_object_foreach(env, name, value)
    {
        list[i++] = p;
        p += sprintf(p, "%s=%s", name, json_string_value(value)) + 1;
    }
    list[i] = NULL;
    return list;
}

/* The NULL-terminated argv that runs @command. The strings stay borrowed. */
static const char **
argv_strings(const struct command *command)
{
    size_t count = command->shell ? 3 : command->argv.count;
    const char **list = calloc(count + 1, sizeof(*list));

    if (!list)
        return NULL;
    if (command->shell) {
        list[0] = "/bin/sh";
        list[1] = "-c";
        list[2] = command->shell;
    } else {
        memcpy(list, command->argv.items, count * sizeof(*list));
    }
    return list;
}

/* Connect to the container's guest; one that does not answer is revived once. */
static int
connect_guest(struct backend *b, const struct container *c, int *ret_fd, struct error *err)
{
    char directory[PATH_SIZE];
    int r;

    container_guest_directory(b, c->id, directory, sizeof(directory));
    r = guest_connect(directory, ret_fd, err);
    if (r == -ENOTCONN) {
        error_clear(err);
        r = container_revive(b, c, err);
        if (r == 0)
            r = guest_connect(directory, ret_fd, err);
    }
    return r == -EIO ? -EPROTO : r; /* what is there is no guest of ours */
}

/* Talk to the guest: the command runs, its output is captured. */
static int
talk(struct backend *b, const struct container *c, const struct command *command,
     struct capture *out, struct capture *errout, struct guest_result *ret, struct error *err)
{
    int64_t seconds =
        command->timeout_seconds ? command->timeout_seconds : c->limits.timeout_seconds;
    _cleanup_(freep) const char **argv = argv_strings(command);
    _cleanup_(freep) const char **env = env_strings(command->env);
    _cleanup_(closep) int fd = -1;
    struct guest_command run = {
        .argv = argv,
        .env = env,
        .cwd = command->cwd ? command->cwd : "/workspace",
        .uid = (uid_t)c->uid,
        .gid = (gid_t)c->uid,
        .timeout_ms = seconds * 1000,
        .input = command->input,
        .input_len = command->input ? strlen(command->input) : 0,
        .cancel_fd = command->peer_fd,
    };
    int r;

    if (!argv || !env)
        return error_errno(err, ENOMEM, "command");
    r = connect_guest(b, c, &fd, err);
    return r < 0 ? r : guest_run(fd, &run, out, errout, ret, err);
}

/* The audit's word for how a command ended. */
static enum audit_status
outcome(const struct guest_result *g)
{
    if (g->oom_killed && (g->end == GUEST_SIGNALED || g->exit_code == 128 + SIGKILL))
        return AUDIT_OOM_KILLED;
    switch (g->end) {
    case GUEST_EXITED:
        return g->exit_code == 0 ? AUDIT_COMPLETED : AUDIT_FAILED;
    case GUEST_SIGNALED:
        return AUDIT_FAILED;
    case GUEST_TIMED_OUT:
        return AUDIT_TIMED_OUT;
    case GUEST_CANCELLED:
    case GUEST_KILLED:
        return AUDIT_KILLED;
    }
    return AUDIT_INTERRUPTED;
}

static void
note_result(struct execution *x, const struct guest_result *g)
{
    const char *name = sigabbrev_np(g->signal);

    x->entry.status = outcome(g);
    x->entry.duration_ms = (g->duration_us + 500) / 1000;
    x->entry.cpu_ms = (g->cpu_us + 500) / 1000;
    x->entry.max_memory_kib = g->max_memory_kib;
    if (g->end == GUEST_EXITED)
        x->entry.exit_code = g->exit_code;
    else if (name)
        snprintf(x->entry.signal, sizeof(x->entry.signal), "SIG%s", name);
    else
        snprintf(x->entry.signal, sizeof(x->entry.signal), "SIG%d", g->signal);
}

/* The guest broke off: the command was killed with its container, or by its guest's failure. */
static void
note_interruption(struct backend *b, struct execution *x)
{
    x->entry.duration_ms = time_now_ms() - x->entry.started_at_ms;
    snprintf(x->entry.signal, sizeof(x->entry.signal), "SIGKILL");
    x->entry.status = container_ended_on_purpose(b, x->entry.container_id, x->entry.started_at_ms)
                          ? AUDIT_KILLED
                          : AUDIT_INTERRUPTED;
}

static int
take_output(struct execution *x, struct capture *out, struct capture *errout, struct error *err)
{
    x->entry.stdout_bytes = out->total;
    x->entry.stderr_bytes = errout->total;
    x->output.out_truncated = capture_truncated(out);
    x->output.errout_truncated = capture_truncated(errout);
    x->output.out = capture_join(out, &x->output.out_len, &x->output.out_head);
    x->output.errout = capture_join(errout, &x->output.errout_len, &x->output.errout_head);
    if (!x->output.out || !x->output.errout)
        return error_errno(err, ENOMEM, "output");
    return 0;
}

/* Run the command that the row of @x announces, and write its end into the row. */
static int
run_announced(struct backend *b, struct store *store, const struct container *c,
              const struct command *command, struct execution *x, struct error *err)
{
    int64_t most = b->settings->service.max_output_bytes;
    size_t cap = (size_t)(command->max_output_bytes ? command->max_output_bytes : most);
    _cleanup_(capture_done) struct capture out = {0};
    _cleanup_(capture_done) struct capture errout = {0};
    struct guest_result result = {0};
    int r, stored;

    capture_init(&out, cap);
    capture_init(&errout, cap);
    r = talk(b, c, command, &out, &errout, &result, err);
    if (r == 0) {
        note_result(x, &result);
    } else if (r == -EPROTO) {
        note_interruption(b, x);
        error_clear(err);
        r = 0;
    } else {
        x->entry.status = AUDIT_REFUSED;
    }
    if (r == 0)
        r = take_output(x, &out, &errout, err);
    x->entry.finished_at_ms = time_now_ms();
    stored = store_audit_finish(store, &x->entry, &x->output, r == 0, r == 0 ? err : NULL);
    return r < 0 ? r : stored;
}

/* Announce the execution in the audit, run it, and note its end. */
static int
run(struct backend *b, const struct container *c, const struct command *command,
    struct execution *ret, struct error *err)
{
    struct execution x = {0};
    struct store *store = NULL;
    int r;

    r = backend_store(b, &store, err);
    if (r == 0)
        r = entry_init(&x.entry, b, c, command, err);
    if (r == 0)
        r = store_audit_begin(store, &x.entry, err);
    if (r == 0)
        r = run_announced(b, store, c, command, &x, err);
    if (r < 0)
        execution_done(&x);
    else
        *ret = x;
    return r;
}

/* Leave an audit entry about what policy did not let run. */
static void
note_refusal(struct backend *b, const struct placement *where, const struct command *command,
             const struct error *why)
{
    struct container about = {0};
    struct audit_entry e = {0};
    struct store *store = NULL;
    struct error ignored = {0};

    if (why->code == ERR_VALIDATION || backend_store(b, &store, &ignored) < 0)
        return;
    snprintf(about.owner, sizeof(about.owner), "%s", where->user);
    snprintf(about.agent_id, sizeof(about.agent_id), "%s",
             where->agent_id ? where->agent_id : "default");
    snprintf(about.tier, sizeof(about.tier), "%s", where->tier ? where->tier : "");
    if (entry_init(&e, b, &about, command, &ignored) == 0) {
        e.status = AUDIT_REFUSED;
        e.finished_at_ms = e.started_at_ms;
        store_audit_insert(store, &e, &ignored);
    }
    audit_entry_done(&e);
}

int
execution_run(struct backend *b, const struct placement *where, const struct command *command,
              struct execution *ret, struct error *err)
{
    struct container plan = {0};
    struct container c = {0};
    bool created;
    int r;

    r = template_place(b, where, &plan, err);
    if (r < 0) {
        note_refusal(b, where, command, err);
        return r;
    }
    r = container_acquire(b, &plan, NULL, &c, &created, err);
    if (r < 0)
        return r;
    r = run(b, &c, command, ret, err);
    if (c.one_shot)
        container_discard(b, c.id, NULL); /* what fails here is the janitor's to finish */
    container_done(&c);
    return r;
}

int
execution_run_in(struct backend *b, const struct caller *caller, const char *id,
                 const struct command *command, struct execution *ret, struct error *err)
{
    struct container c = {0};
    int r;

    r = container_get(b, caller, id, &c, err);
    if (r < 0)
        return r;
    r = placement_allowed(b->settings, c.tier, c.agent_id, false, err);
    if (r == 0 && c.status != CONTAINER_RUNNING)
        r = error_set(err, ERR_CONTAINER_NOT_RUNNING, "the container is %s; start it first",
                      container_status_names[c.status - 1]);
    if (r == 0 && command->timeout_seconds > c.limits.timeout_seconds)
        r = error_violation(err, "/timeout_seconds", "may be at most %lld, the container's limit",
                            (long long)c.limits.timeout_seconds);
    if (r == 0)
        r = run(b, &c, command, ret, err);
    container_done(&c);
    return r;
}
