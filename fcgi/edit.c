/* Edits on their way: see edit.h. */
#include "fcgi/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/vet.h"
#include "fcgi/role.h"

enum { PATIENCE_SECONDS = 30 /* for files that do not come, of a network's say */ };

/* The child's life: returns its exit status. */
static int
look(const struct service_context *ctx, pid_t manager, int fd)
{
    _cleanup_(backend_freep) struct backend *b = NULL;
    struct error err = {0};
    int r;

    alarm(PATIENCE_SECONDS);
    r = role_enter("vet", ctx, false, manager, &err);
    if (r == 0)
        b = backend_new(ctx);
    if (r == 0)
        r = b ? vet_yaml(b, &err) : error_errno(&err, ENOMEM, "vet");
    if (r == 0)
        return 0;
    dprintf(fd, "%s%s%s", err.msg, err.code == ERR_INTERNAL ? ": " : "",
            err.code == ERR_INTERNAL ? err.detail : "");
    return 1;
}

int
edit_begin(struct edit *e, const struct service_context *ctx, void (*in_child)(void *arg),
           void *arg, struct error *err)
{
    pid_t manager = getpid(), pid;
    int fds[2];

    e->again = false;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_errno(err, errno, "pipe");
    pid = fork();
    if (pid == 0) {
        in_child(arg);
        close(fds[0]);
        _exit(look(ctx, manager, fds[1]));
    }
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return error_errno(err, errno, "fork");
    }
    e->pid = pid;
    e->fd = fds[0];
    return 0;
}

bool
edit_end(struct edit *e, int status, char why[EDIT_WHY_SIZE])
{
    ssize_t n = read(e->fd, why, EDIT_WHY_SIZE - 1);

    close(e->fd);
    *e = EDIT_NONE;
    why[n > 0 ? n : 0] = '\0';
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (n <= 0)
        snprintf(why, EDIT_WHY_SIZE, "the YAML could not be looked at in %d s", PATIENCE_SECONDS);
    return false;
}
