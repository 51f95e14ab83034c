/* Accounts of this machine: see accounts.h. */
#include "fcgi/accounts.h"

#include <unistd.h>

#include "backend/log.h"

const struct passwd *
accounts_find(const char *name)
{
    return getpwnam(name); /* NOLINT(concurrency-mt-unsafe): this process has no threads */
}

int
accounts_choose(struct service_context *ctx, const struct service *service, gid_t *ret_peer_gid,
                struct error *err)
{
    const struct passwd *account;

    ctx->privileged = geteuid() == 0;
    ctx->uid = geteuid();
    ctx->gid = getegid();
    *ret_peer_gid = ctx->gid;
    if (!ctx->privileged) {
        log_warn("not started as root: all roles share the uid %d, and Docker's socket with it",
                 (int)ctx->uid);
        return 0;
    }
    account = accounts_find(service->user);
    if (!account || account->pw_uid == 0)
        return error_set(err, ERR_VALIDATION,
                         "sandbox.yaml: service.user '%s' must be an account, and not root's",
                         service->user);
    ctx->uid = account->pw_uid;
    ctx->gid = account->pw_gid;
    account =
        service->allowed_peers.count > 0 ? accounts_find(service->allowed_peers.items[0]) : NULL;
    if (!account)
        return error_set(
            err, ERR_VALIDATION,
            "sandbox.yaml: the first of service.allowed_peers must be nginx's account");
    *ret_peer_gid = account->pw_gid;
    return 0;
}
