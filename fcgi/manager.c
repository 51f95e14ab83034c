/* Forking, reaping, ending: see manager.h. */
#include "fcgi/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "backend/broker/broker.h"
#include "backend/builder.h"
#include "backend/config/current.h"
#include "backend/egress/egress.h"
#include "backend/id.h"
#include "backend/janitor.h"
#include "backend/log.h"
#include "backend/metrics.h"
#include "backend/secret.h"
#include "fcgi/accounts.h"
#include "fcgi/edit.h"
#include "fcgi/metrics_server.h"
#include "fcgi/notify.h"
#include "fcgi/role.h"
#include "fcgi/state.h"
#include "fcgi/watch.h"
#include "fcgi/worker.h"

enum {
    CHILDREN_MAX = SHARED_WORKERS_MAX + 5,
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_MAX_MS = 30000,
    SHORT_LIFE_MS = 10000, /* who dies sooner comes back more slowly */
    END_GRACE_MS = 5000,   /* between TERM and KILL, beyond the time to drain */
    BROKER_END_MS = 15000
};

enum kind { KIND_BROKER, KIND_WORKER, KIND_JANITOR, KIND_BUILDER, KIND_EGRESS, KIND_METRICS };

static const char *const kind_names[] = {"broker",  "worker", "janitor",
                                         "builder", "egress", "metrics"};

/* One process that shall run. */
struct child {
    enum kind kind;
    int slot;            /* of a worker, in shared->workers */
    pid_t pid;           /* 0: does not run */
    int64_t started_ms;  /* monotonic, as all times here */
    int64_t start_at_ms; /* when it is due while it does not run */
    int64_t backoff_ms;
};

/* Lifetime: process. */
struct manager {
    struct service_context *ctx;
    struct settings *settings; /* of the start: `service` is not reloaded */
    struct state state;
    struct notify notify;
    struct child children[CHILDREN_MAX];
    size_t child_count;
    int signal_fd;
    struct watch watch;
    struct edit edit;
    pid_t pid;
};

/* In a child: close what is the manager's alone. */
static void
leave_manager(struct manager *m)
{
    close(m->state.pid_fd);
    close(m->signal_fd);
    watch_close(&m->watch);
    notify_close(&m->notify);
}

/* The child's life, in the child. Returns its exit status. */
static int
run_role(struct manager *m, const struct child *c)
{
    struct state *s = &m->state;
    const int listeners[LANE_COUNT] = {s->control_fd, s->exec_fd, s->auth_fd};
    struct error err = {0};

    leave_manager(m);
    if (m->edit.fd >= 0)
        close(m->edit.fd);
    if (c->kind != KIND_BROKER)
        close(s->broker_fd);
    if (c->kind != KIND_WORKER) {
        close(s->control_fd);
        close(s->exec_fd);
        close(s->auth_fd);
    }
    if (c->kind != KIND_METRICS)
        closep(&s->metrics_fd);
    if (role_enter(kind_names[c->kind], m->ctx, c->kind == KIND_BROKER, m->pid, &err) < 0) {
        log_error("cannot start: %s", err.detail);
        return 1;
    }
    switch (c->kind) {
    case KIND_BROKER:
        return broker_main(m->ctx, s->broker_fd);
    case KIND_WORKER:
        metrics_worker_begin((size_t)c->slot);
        return worker_main(m->ctx, listeners);
    case KIND_JANITOR:
        return janitor_main(m->ctx);
    case KIND_BUILDER:
        return builder_main(m->ctx);
    case KIND_EGRESS:
        return egress_main(m->ctx);
    case KIND_METRICS:
        return metrics_server_main(m->ctx, s->metrics_fd);
    }
    return 1;
}

/* An id that no worker before had, not 0. */
static uint64_t
new_worker_id(void)
{
    uint64_t id = 0;

    while (id == 0) {
        if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
            id = 0;
    }
    return id;
}

/* Let others know whom to nudge. */
static void
note_pid(struct shared *shared, enum kind kind, pid_t pid)
{
    if (kind == KIND_JANITOR)
        atomic_store(&shared->janitor_pid, pid);
    if (kind == KIND_BUILDER)
        atomic_store(&shared->builder_pid, pid);
}

static void
start_child(struct manager *m, struct child *c)
{
    struct shared *shared = m->ctx->shared;
    uint64_t worker_id = c->kind == KIND_WORKER ? new_worker_id() : 0;

    /* The id is there before the worker is: its first row must not look like a dead one's. */
    if (worker_id)
        atomic_store(&shared->workers[c->slot], worker_id);
    m->ctx->worker_id = worker_id;
    c->started_ms = time_monotonic_ms();
    c->pid = fork();
    if (c->pid == 0)
        _exit(run_role(m, c));
    if (c->pid < 0) {
        log_error("cannot fork the %s: errno %d", kind_names[c->kind], errno);
        c->pid = 0;
        c->start_at_ms = c->started_ms + BACKOFF_FIRST_MS;
        if (worker_id)
            atomic_store(&shared->workers[c->slot], 0);
        return;
    }
    note_pid(shared, c->kind, c->pid);
    log_info("started the %s, pid %d", kind_names[c->kind], (int)c->pid);
}

/* Start what is due. Returns the milliseconds until the next is, -1 if all run. */
static int64_t
start_due(struct manager *m)
{
    int64_t now = time_monotonic_ms();
    int64_t wait_ms = -1;

    for (size_t i = 0; i < m->child_count; i++) {
        struct child *c = &m->children[i];

        if (c->pid == 0 && c->start_at_ms <= now)
            start_child(m, c);
        if (c->pid == 0 && (wait_ms < 0 || c->start_at_ms - now < wait_ms))
            wait_ms = c->start_at_ms > now ? c->start_at_ms - now : 0;
    }
    return wait_ms;
}

static void
log_end(const struct child *c, int status)
{
    if (WIFSIGNALED(status))
        log_warn("the %s, pid %d, was killed by signal %d", kind_names[c->kind], (int)c->pid,
                 WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        log_warn("the %s, pid %d, exited with status %d", kind_names[c->kind], (int)c->pid,
                 WEXITSTATUS(status));
    else
        log_info("the %s, pid %d, ended", kind_names[c->kind], (int)c->pid);
}

/* A worker's requests died with it; the janitor puts right what they left. */
static void
forget_worker(struct shared *shared, int slot)
{
    pid_t janitor = atomic_load(&shared->janitor_pid);

    atomic_store(&shared->workers[slot], 0);
    metrics_worker_gone((size_t)slot);
    if (janitor > 0)
        kill(janitor, SIGUSR2);
}

static void
child_ended(struct manager *m, struct child *c, int status)
{
    int64_t now = time_monotonic_ms();

    log_end(c, status);
    c->pid = 0;
    if (c->kind == KIND_WORKER)
        forget_worker(m->ctx->shared, c->slot);
    note_pid(m->ctx->shared, c->kind, 0);
    if (now - c->started_ms >= SHORT_LIFE_MS)
        c->backoff_ms = 0;
    else if (c->backoff_ms == 0)
        c->backoff_ms = BACKOFF_FIRST_MS;
    else
        c->backoff_ms = c->backoff_ms < BACKOFF_MAX_MS / 2 ? c->backoff_ms * 2 : BACKOFF_MAX_MS;
    c->start_at_ms = now + c->backoff_ms;
}

static void
signal_kind(const struct manager *m, enum kind kind, int number)
{
    for (size_t i = 0; i < m->child_count; i++) {
        if (m->children[i].kind == kind && m->children[i].pid > 0)
            kill(m->children[i].pid, number);
    }
}

/* In the process that looks at an edit. */
static void
leave_to_look(void *arg)
{
    struct manager *m = arg;

    leave_manager(m);
    close(m->state.broker_fd);
    close(m->state.control_fd);
    close(m->state.exec_fd);
    close(m->state.auth_fd);
    closep(&m->state.metrics_fd);
}

static void
refuse_edit(struct manager *m, const char *why)
{
    log_error("the settings stay as they were: %s", why);
    shared_refuse(m->ctx->shared, why);
}

/* Have the YAML looked at. One look at a time: what changes meanwhile is looked at afterwards. */
static void
look_at_edit(struct manager *m)
{
    struct error err = {0};

    if (m->edit.pid > 0) {
        m->edit.again = true;
        return;
    }
    notify_tell(&m->notify, "RELOADING=1");
    watch_note(&m->watch);
    if (edit_begin(&m->edit, m->ctx, leave_to_look, m, &err) < 0) {
        refuse_edit(m, err.detail);
        notify_tell(&m->notify, "READY=1");
    }
}

/* Our own copy is reloaded too: it is what a role that is started again begins with. The broker is
 * the first: the others ask it for what they have read. */
static void
reload(struct manager *m)
{
    struct error err = {0};

    if (current_reload(m->ctx->current, &err) < 0) {
        refuse_edit(m, err.msg);
        return;
    }
    log_info("settings reloaded");
    shared_refuse(m->ctx->shared, "");
    for (int kind = KIND_BROKER; kind <= KIND_METRICS; kind++)
        signal_kind(m, (enum kind)kind, SIGHUP);
}

/* The process that looked at the edit has ended. What it has not seen does not come into force. */
static void
looked_at_edit(struct manager *m, int status)
{
    bool again = m->edit.again || watch_changed(&m->watch);
    char why[EDIT_WHY_SIZE];
    bool good = edit_end(&m->edit, status, why);

    if (again)
        look_at_edit(m);
    else if (good)
        reload(m);
    else
        refuse_edit(m, why);
    if (m->edit.pid == 0)
        notify_tell(&m->notify, "READY=1");
}

/* Reap every child that has ended; one SIGCHLD may stand for several. */
static void
reap(struct manager *m)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == m->edit.pid)
            looked_at_edit(m, status);
        for (size_t i = 0; i < m->child_count; i++) {
            if (m->children[i].pid == pid)
                child_ended(m, &m->children[i], status);
        }
    }
}

/* The sooner of two times from now; -1 is never. */
static int64_t
sooner(int64_t a_ms, int64_t b_ms)
{
    if (a_ms < 0 || b_ms < 0)
        return a_ms < 0 ? b_ms : a_ms;
    return a_ms < b_ms ? a_ms : b_ms;
}

/*
 * Wait for a signal, at most @ms (-1: for ever), or until the service manager wants to hear of us,
 * or the YAML was touched. Returns the signal's number, 0 without one.
 */
static int
wait_signal(struct manager *m, int64_t ms)
{
    struct pollfd fds[] = {{.fd = m->signal_fd, .events = POLLIN},
                           {.fd = m->watch.fd, .events = POLLIN}}; /* -1 is passed over */
    struct signalfd_siginfo info;

    ms = sooner(ms, notify_beat(&m->notify));
    if (poll(fds, ARRAY_LEN(fds), ms > INT_MAX ? INT_MAX : (int)ms) <= 0)
        return 0;
    if (fds[1].revents)
        watch_read(&m->watch);
    if (fds[0].revents && read(m->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        return (int)info.ssi_signo;
    return 0;
}

static bool
kind_runs(const struct manager *m, enum kind kind)
{
    for (size_t i = 0; i < m->child_count; i++) {
        if (m->children[i].kind == kind && m->children[i].pid > 0)
            return true;
    }
    return false;
}

/* End every child of @kind: TERM, and KILL after @grace_ms. */
static void
end_kind(struct manager *m, enum kind kind, int64_t grace_ms)
{
    int64_t until = time_monotonic_ms() + grace_ms;

    signal_kind(m, kind, SIGTERM);
    reap(m);
    while (kind_runs(m, kind)) {
        int64_t left = until - time_monotonic_ms();

        if (left <= 0) {
            log_warn("killing the %s: it did not end in time", kind_names[kind]);
            signal_kind(m, kind, SIGKILL);
            left = END_GRACE_MS;
            until += END_GRACE_MS;
        }
        wait_signal(m, left);
        reap(m);
    }
}

/* The service's life: until TERM or INT. */
static void
supervise(struct manager *m)
{
    int64_t due_ms = start_due(m);
    int number = 0;

    /* The sockets listen: whoever connects now waits for a worker, and is not refused. */
    notify_tell(&m->notify, "READY=1\nSTATUS=serving");
    while (number != SIGTERM && number != SIGINT) {
        number = wait_signal(m, sooner(due_ms, watch_due(&m->watch)));
        if (number == SIGCHLD)
            reap(m);
        if (number == SIGHUP || (watch_due(&m->watch) == 0 && watch_changed(&m->watch)))
            look_at_edit(m);
        due_ms = start_due(m);
    }
    notify_tell(&m->notify, "STOPPING=1\nSTATUS=finishing requests");
    log_info("ending: workers finish their requests");
    end_kind(m, KIND_WORKER, m->settings->service.drain_seconds * 1000 + END_GRACE_MS);
    end_kind(m, KIND_METRICS, END_GRACE_MS);
    end_kind(m, KIND_EGRESS, END_GRACE_MS);
    end_kind(m, KIND_JANITOR, END_GRACE_MS);
    end_kind(m, KIND_BUILDER, END_GRACE_MS);
    end_kind(m, KIND_BROKER, BROKER_END_MS);
}

/* The broker first: the others look for it as soon as they run. */
static void
plan_children(struct manager *m)
{
    int64_t workers = m->settings->service.workers;

    m->children[m->child_count++] = (struct child){.kind = KIND_BROKER};
    for (int slot = 0; slot < workers && slot < SHARED_WORKERS_MAX; slot++)
        m->children[m->child_count++] = (struct child){.kind = KIND_WORKER, .slot = slot};
    m->children[m->child_count++] = (struct child){.kind = KIND_JANITOR};
    m->children[m->child_count++] = (struct child){.kind = KIND_BUILDER};
    m->children[m->child_count++] = (struct child){.kind = KIND_EGRESS};
    if (m->state.metrics_fd >= 0)
        m->children[m->child_count++] = (struct child){.kind = KIND_METRICS};
}

/* Each connection and execution is a descriptor; the soft limit is often 1024. */
static void
raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * Keep nothing that whoever started us had open but stdout and stderr. Standard input is nobody's:
 * no role may wait on, or be stopped for, a terminal.
 */
static int
detach(struct error *err)
{
    int fd;

    close_range(STDERR_FILENO + 1, ~0U, 0);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
        return error_errno(err, errno, "/dev/null");
    if (fd != STDIN_FILENO)
        close(fd);
    return 0;
}

static int
load_settings(struct manager *m, struct error *err)
{
    static char yaml_dir[PATH_MAX]; /* current_new() keeps it */
    unsigned generation;
    int r;

    if (snprintf(yaml_dir, sizeof(yaml_dir), "%s/yaml", m->ctx->state_dir) >=
        (int)sizeof(yaml_dir)) {
        error_errno(err, ENAMETOOLONG, m->ctx->state_dir);
        return -EIO;
    }
    r = current_new(yaml_dir, &m->ctx->current, err);
    if (r < 0)
        return r;
    m->settings = current_get(m->ctx->current, &generation);
    return 0;
}

static int
share_memory(struct manager *m, struct error *err)
{
    char path[PATH_MAX];
    int r;

    if (snprintf(path, sizeof(path), "%s/run/shared", m->ctx->state_dir) >= (int)sizeof(path))
        return error_errno(err, ENAMETOOLONG, m->ctx->state_dir);
    r = shared_create(path, &m->ctx->shared, err);
    if (r == 0)
        metrics_use(&m->ctx->shared->metrics);
    return r;
}

/* Everything up to the first fork. */
static int
prepare(struct manager *m, struct error *err)
{
    gid_t peer_gid = 0;
    int wait_seconds, r;

    umask(0077);
    r = detach(err);
    notify_open(&m->notify);
    if (r == 0)
        r = load_settings(m, err);
    if (r == 0)
        log_format((enum log_format)m->settings->service.log_format);
    if (r == 0)
        r = accounts_choose(m->ctx, &m->settings->service, &peer_gid, err);
    if (r != 0)
        return r;
    raise_descriptor_limit();
    wait_seconds = (int)m->settings->service.drain_seconds + 2 * END_GRACE_MS / 1000;
    r = state_take(&m->state, m->ctx, wait_seconds, err);
    if (r == 0)
        r = backend_instance(m->ctx, err);
    if (r == 0)
        r = secret_take(m->ctx, err);
    if (r == 0)
        r = engine_posture(m->ctx->posture, err);
    if (r == 0)
        r = share_memory(m, err);
    return r == 0
               ? state_listen(&m->state, m->ctx, peer_gid, m->settings->service.metrics_socket, err)
               : r;
}

/* From now on signals come by a descriptor. */
static int
block_signals(struct manager *m, struct error *err)
{
    static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaddset(&set, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return m->signal_fd >= 0 ? 0 : error_errno(err, errno, "signalfd");
}

/* Without, a HUP still says that there is an edit. */
static void
watch_yaml(struct manager *m)
{
    struct error err = {0};

    if (watch_open(&m->watch, m->ctx->state_dir, &err) < 0)
        log_warn("edits of the YAML are not noticed, only HUP is: %s", err.detail);
}

int
manager_run(struct service_context *ctx)
{
    struct manager m = {
        .ctx = ctx,
        .state = STATE_NONE,
        .notify = NOTIFY_NONE,
        .signal_fd = -1,
        .watch = WATCH_NONE,
        .edit = EDIT_NONE,
        .pid = getpid(),
    };
    struct error err = {0};
    int r;

    log_role("manager");
    r = prepare(&m, &err);
    if (r == 0)
        r = block_signals(&m, &err);
    if (r == 0) {
        watch_yaml(&m);
        plan_children(&m);
        supervise(&m);
    } else {
        log_error("cannot start: %s%s%s", err.msg, err.detail[0] ? ": " : "", err.detail);
    }
    state_leave(&m.state);
    settings_unref(m.settings);
    watch_close(&m.watch);
    closep(&m.signal_fd);
    notify_close(&m.notify);
    if (r == 0)
        log_info("ended");
    return r == 0 ? 0 : 1;
}
