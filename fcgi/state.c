/* The state directory: see state.h. */
#include "fcgi/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "backend/egress/egress.h"
#include "backend/log.h"
#include "backend/token_key.h"

enum { BACKLOG = 511 };

static const char *const socket_names[] = {"control.sock", "exec.sock", "auth.sock", "broker.sock",
                                           "metrics.sock"};

/* A failure about a file in the state directory: the sentence names it, since an admin reads it. */
static int
state_error(struct error *err, int errnum, const char *what, const char *path)
{
    char text[96];

    return error_set_detail(err, ERR_INTERNAL, strerror_r(errnum, text, sizeof(text)),
                            "cannot %s %s", what, path);
}

static int
state_path(const struct state *s, const char *name, char out[PATH_MAX], struct error *err)
{
    int len = snprintf(out, PATH_MAX, "%s%s%s", s->dir, name[0] ? "/" : "", name);

    return len < PATH_MAX ? 0 : state_error(err, ENAMETOOLONG, "use", s->dir);
}

/*
 * Make the directory @name ("" for the state directory itself). As root, owner and mode are put
 * right also where it exists; it is opened first, so that a link is never followed.
 */
static int
make_dir(const struct state *s, const struct service_context *ctx, const char *name, mode_t mode,
         gid_t gid, struct error *err)
{
    char path[PATH_MAX];
    _cleanup_(closep) int fd = -1;
    int r;

    r = state_path(s, name, path, err);
    if (r < 0)
        return r;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return state_error(err, errno, "make the directory", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return state_error(err, errno, "open the directory", path);
    if (ctx->privileged && (fchown(fd, 0, gid) < 0 || fchmod(fd, mode) < 0))
        return state_error(err, errno, "set the mode of", path);
    return 0;
}

static int
make_dirs(const struct state *s, const struct service_context *ctx, struct error *err)
{
    const struct {
        const char *name;
        mode_t mode;
        gid_t gid;
    } dirs[] = {
        /* SQLite makes its -wal beside the database: the service may create here, and change only
           its own */
        {"", 01771, ctx->gid},
        {"run", 0711, 0},
        {"guests", 0710, ctx->gid},
        {"slots", 0711, 0},
        {"workspaces", 0711, 0},
        {"log", 0750, ctx->gid},
        /* the broker makes a directory for each container here; the proxy watches them come */
        {EGRESS_DIRECTORY, 0750, ctx->gid},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(dirs); i++)
        r = make_dir(s, ctx, dirs[i].name, dirs[i].mode, dirs[i].gid, err);
    return r;
}

/*
 * Make the database file for the service's account. One that exists is left alone: the service
 * could have put a link in its place, and must not be given what that leads to.
 */
static int
make_database(const struct state *s, const struct service_context *ctx, struct error *err)
{
    char path[PATH_MAX];
    _cleanup_(closep) int fd = -1;
    int r;

    r = state_path(s, "sandbox.db", path, err);
    if (r < 0)
        return r;
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? 0 : state_error(err, errno, "make", path);
    if (ctx->privileged && fchown(fd, ctx->uid, ctx->gid) < 0)
        return state_error(err, errno, "change the owner of", path);
    return 0;
}

static int
open_in_run(const struct state *s, const char *name, int *ret, struct error *err)
{
    char path[PATH_MAX];
    int fd, r;

    r = state_path(s, name, path, err);
    if (r < 0)
        return r;
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return state_error(err, errno, "open", path);
    *ret = fd;
    return 0;
}

/* Take the pid file's lock, and write our pid where an admin looks for it. */
static int
take_pid_file(struct state *s, struct error *err)
{
    char text[24] = "";
    int len, r;

    r = open_in_run(s, "run/sandboxd.pid", &s->pid_fd, err);
    if (r < 0)
        return r;
    if (flock(s->pid_fd, LOCK_EX | LOCK_NB) < 0) {
        if (pread(s->pid_fd, text, sizeof(text) - 1, 0) < 0)
            text[0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        closep(&s->pid_fd);
        s->pid_fd = -1;
        return error_set(err, ERR_CONFLICT, "%s is in use by another sandboxd (pid %s)", s->dir,
                         text);
    }
    len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(s->pid_fd, 0) < 0 || pwrite(s->pid_fd, text, (size_t)len, 0) != len)
        return state_error(err, errno, "write to", "run/sandboxd.pid");
    return 0;
}

static void
on_alarm(int signal_number)
{
    (void)signal_number; /* it is there to interrupt flock() */
}

static int
take_lock(struct state *s, int wait_seconds, struct error *err)
{
    const struct sigaction interrupt = {.sa_handler = on_alarm};
    int r;

    r = open_in_run(s, "run/lock", &s->lock_fd, err);
    if (r < 0)
        return r;
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    log_warn("waiting for the processes of a manager that was killed to end");
    sigaction(SIGALRM, &interrupt, NULL);
    alarm((unsigned)wait_seconds);
    r = flock(s->lock_fd, LOCK_EX);
    alarm(0);
    signal(SIGALRM, SIG_DFL);
    return r == 0 ? 0
                  : error_set(err, ERR_CONFLICT,
                              "%s is still in use by processes of a sandboxd whose manager is gone",
                              s->dir);
}

int
state_take(struct state *s, const struct service_context *ctx, int wait_seconds, struct error *err)
{
    int r;

    s->dir = ctx->state_dir;
    r = make_dirs(s, ctx, err);
    if (r == 0)
        r = take_pid_file(s, err);
    if (r == 0)
        r = take_lock(s, wait_seconds, err);
    if (r == 0)
        r = make_database(s, ctx, err);
    return r == 0 ? token_key_make(ctx, err) : r;
}

/* A listening socket run/@name, mode 0660, of the group @gid; a stale one is replaced. */
static int
listen_on(const struct state *s, const struct service_context *ctx, const char *name, gid_t gid,
          int *ret, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_(closep) int fd = -1;
    int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/%s", s->dir, name);

    if (len >= (int)sizeof(address.sun_path))
        return error_set(err, ERR_INTERNAL, "the path %s is too long for the sockets in it",
                         s->dir);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(address.sun_path);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(address.sun_path, 0660) < 0 ||
        (ctx->privileged && chown(address.sun_path, 0, gid) < 0) || listen(fd, BACKLOG) < 0)
        return state_error(err, errno, "listen on", address.sun_path);
    *ret = TAKE_FD(fd);
    return 0;
}

int
state_listen(struct state *s, const struct service_context *ctx, gid_t peer_gid, bool metrics,
             struct error *err)
{
    int r;

    r = listen_on(s, ctx, socket_names[0], peer_gid, &s->control_fd, err);
    if (r == 0)
        r = listen_on(s, ctx, socket_names[1], peer_gid, &s->exec_fd, err);
    if (r == 0)
        r = listen_on(s, ctx, socket_names[2], peer_gid, &s->auth_fd, err);
    if (r == 0)
        r = listen_on(s, ctx, socket_names[3], ctx->gid, &s->broker_fd, err);
    if (r == 0 && metrics)
        r = listen_on(s, ctx, socket_names[4], ctx->gid, &s->metrics_fd, err);
    return r;
}

void
state_leave(struct state *s)
{
    char path[PATH_MAX];
    int fds[] = {s->control_fd, s->exec_fd, s->auth_fd, s->broker_fd, s->metrics_fd};

    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0 && snprintf(path, sizeof(path), "%s/run/%s", s->dir, socket_names[i]) > 0)
            unlink(path);
        closep(&fds[i]);
    }
    if (s->pid_fd >= 0 && snprintf(path, sizeof(path), "%s/run/shared", s->dir) > 0)
        unlink(path);
    if (s->pid_fd >= 0 && snprintf(path, sizeof(path), "%s/run/sandboxd.pid", s->dir) > 0)
        unlink(path);
    closep(&s->lock_fd);
    closep(&s->pid_fd);
    *s = (struct state)STATE_NONE;
}
