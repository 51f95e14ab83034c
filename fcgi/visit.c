/* A subcommand in a state directory: see visit.h. */
#include "fcgi/visit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>

#include "backend/store/store.h"

/* The path of @name below the state directory, in @out. */
static int
path_of(const struct visit *v, const char *name, char out[PATH_MAX], struct error *err)
{
    int len = snprintf(out, PATH_MAX, "%s/%s", v->context.state_dir, name);

    return len < PATH_MAX ? 0 : error_errno(err, ENAMETOOLONG, v->context.state_dir);
}

/* Open the lock file @name, which is made if it is missing. */
static int
open_lock(const struct visit *v, const char *name, int *ret, struct error *err)
{
    char path[PATH_MAX];
    int fd, r;

    r = path_of(v, name, path, err);
    if (r < 0)
        return r;
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, ERR_NOT_FOUND,
                         "%s is no state directory, or no service was ever started there",
                         v->context.state_dir);
    if (fd < 0)
        return error_errno(err, errno, path);
    *ret = fd;
    return 0;
}

/* A database of this version is there: it is neither made nor migrated under a running service. */
static int
check_database(const struct visit *v, struct error *err)
{
    _cleanup_(store_freep) struct store *reading = NULL;
    char path[PATH_MAX];
    int r = path_of(v, "sandbox.db", path, err);

    return r < 0 ? r : store_open_reading(path, &reading, err);
}

/*
 * The writer lock: the running service's, or, where none runs, one of ours under run/lock, which
 * every process of a service holds and a starting one waits for.
 */
static int
take_writer(struct visit *v, struct error *err)
{
    char path[PATH_MAX];
    int fd = -1;
    int r = path_of(v, "run/shared", path, err);

    if (r == 0)
        r = open_lock(v, "run/lock", &fd, err);
    if (r < 0)
        return r;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        v->lock_fd = fd;
        return shared_create(path, &v->context.shared, err);
    }
    close(fd);
    r = shared_open(path, &v->context.shared, err);
    if (r != -ENOENT)
        return r;
    error_clear(err);
    return error_set(err, ERR_CONFLICT, "the service is starting or ending; try again");
}

int
visit_begin(struct visit *v, const char *state_dir, struct error *err)
{
    int r;

    v->context.state_dir = state_dir;
    r = open_lock(v, "run/tool.lock", &v->turn_fd, err);
    if (r == 0 && flock(v->turn_fd, LOCK_EX) < 0)
        r = error_errno(err, errno, "run/tool.lock");
    if (r == 0)
        r = take_writer(v, err);
    if (r == 0)
        r = check_database(v, err);
    if (r < 0)
        return r;
    v->backend = backend_new(&v->context);
    return v->backend ? 0 : error_errno(err, ENOMEM, "backend");
}

void
visit_done(struct visit *v)
{
    char path[PATH_MAX];

    backend_free(v->backend);
    /* A service that starts now makes its own. */
    if (v->lock_fd >= 0 && path_of(v, "run/shared", path, NULL) == 0)
        unlink(path);
    closep(&v->lock_fd);
    closep(&v->turn_fd);
    *v = (struct visit)VISIT_NONE;
}
