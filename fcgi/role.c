/* A child's first steps: see role.h. */
#include "fcgi/role.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>

#include "backend/log.h"

/* Give up root, and make sure that it is gone: a partial drop must never go unnoticed. */
static int
drop_privileges(const struct service_context *ctx, struct error *err)
{
    uid_t real, effective, saved;

    if (setgroups(0, NULL) < 0 || setresgid(ctx->gid, ctx->gid, ctx->gid) < 0 ||
        setresuid(ctx->uid, ctx->uid, ctx->uid) < 0)
        return error_errno(err, errno, "giving up root");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errno(err, errno, "no_new_privs");
    if (getresuid(&real, &effective, &saved) < 0 || real != ctx->uid || effective != ctx->uid ||
        saved != ctx->uid || setuid(0) == 0)
        return error_errno(err, EPERM, "root was not given up");
    return 0;
}

/*
 * Signals as a role expects them. INT is ignored: Ctrl-C reaches the whole process group, but the
 * order in which roles end is the manager's to keep, by TERM. So are those by which the manager
 * speaks to a role, until the role listens: they must not end one that has just begun. HUP waits
 * until then, blocked (to ignore it would lose one that is pending, see signal(7)): the settings
 * that the role has from the manager may be those before the edit.
 */
static void
reset_signals(void)
{
    static const int ignored[] = {SIGINT, SIGPIPE, SIGUSR1, SIGUSR2};
    sigset_t waiting;

    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&waiting);
    sigaddset(&waiting, SIGHUP);
    pthread_sigmask(SIG_SETMASK, &waiting, NULL);
}

int
role_enter(const char *name, const struct service_context *ctx, bool keep_root, pid_t manager,
           struct error *err)
{
    int r;

    log_role(name);
    if (ctx->privileged && !keep_root) {
        r = drop_privileges(ctx, err);
        if (r < 0)
            return r;
    }
    /* After the drop, because changing the uid clears it. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0)
        return error_errno(err, errno, "parent-death signal");
    if (getppid() != manager)
        return error_errno(err, ESRCH, "the manager is gone");
    reset_signals();
    return 0;
}
