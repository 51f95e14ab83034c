/* The builder's process: see builder.h. */
#include "backend/builder.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "backend/job.h"
#include "backend/log.h"
#include "backend/pool.h"

enum { TICK_SECONDS = 1 };

/* Wait for a signal or the next tick. Returns whether to go on. */
static bool
wait_for_work(struct service_context *ctx, struct pool_keeper *pool, const sigset_t *signals)
{
    const struct timespec tick = {.tv_sec = TICK_SECONDS};
    struct error err = {0};
    int sig = sigtimedwait(signals, NULL, &tick);

    if (sig == SIGUSR2)
        job_wake();
    if (sig == SIGHUP && current_reload(ctx->current, &err) < 0)
        log_error("settings stay as they were: %s", err.msg);
    else if (sig == SIGHUP)
        log_info("settings reloaded");
    if (sig == SIGHUP || sig == SIGUSR2)
        pool_keeper_wake(pool, sig == SIGHUP);
    return sig != SIGTERM;
}

int
builder_main(struct service_context *ctx)
{
    struct pool_keeper *pool = NULL;
    struct error err = {0};
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    json_object_seed(0);
    if (job_start(ctx, &err) < 0 || pool_keeper_start(ctx, &pool, &err) < 0) {
        log_error("builder: %s (%s)", err.msg, err.detail);
        return EXIT_FAILURE;
    }
    while (wait_for_work(ctx, pool, &signals))
        ;
    return EXIT_SUCCESS;
}
