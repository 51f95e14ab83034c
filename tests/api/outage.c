/* See outage.h. */
#include "tests/test.h"

#include "tests/api/outage.h"

#include <signal.h>

#include "tests/api/host.h"

enum { PATIENCE_SECONDS = 90 };

static bool
engine_is_gone(void *arg)
{
    return !host_runs(*(const pid_t *)arg);
}

void
outage_begin(void)
{
    pid_t pid = host_pid_file("docker/dockerd.pid");

    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGTERM), 0);
    wait_until(engine_is_gone, &pid, PATIENCE_SECONDS, "the engine to end");
}

static bool
engine_answers(void *arg)
{
    struct reply r = host_engine("GET", "/_ping", NULL);
    bool answers = r.status == 200;

    (void)arg;
    reply_done(&r);
    return answers;
}

void
outage_end(void)
{
    if (!engine_answers(NULL))
        assert_int_equal(
            host_shell("bash -c '. nginx/standalone/lib.sh; . \"$standalone/engine.sh\";"
                       " STATE_DIR=$SANDBOX_STATE; docker_host=$(private_host);"
                       " private_start >/dev/null'"),
            0);
    wait_until(engine_answers, NULL, PATIENCE_SECONDS, "the engine to answer");
}

bool
outage_is_over(void *arg)
{
    struct reply r = call(ALICE, "GET", "/status", NULL, NULL);
    bool available;

    (void)arg;
    assert_status(&r, 200);
    available = bool_at(&r, "docker_available");
    assert_true(null_at(&r, "docker_version") == !available);
    reply_done(&r);
    return available;
}
