/*
 * Floods: of output, of executions. What they are stopped by is the flooder's own limit, and the
 * service's memory, the host's disk and the neighbour do not notice.
 */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/cleanup.h"
#include "tests/api/flight.h"
#include "tests/api/host.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/box.h"

enum {
    FLOOD_SECONDS = 120,
    GROWTH_KIB = 64 << 10, /* of all workers together; a stream keeps a MiB */
    SPOOL_KIB =
        8 << 10, /* of a background execution: a MiB of each stream, and what is on its way */
    WORKERS = 2, /* sandbox.yaml's service.workers and execution_threads */
    THREADS = 64,
    SHARE = THREADS - THREADS / 4,      /* one user's, of each worker */
    EXECUTIONS = WORKERS * THREADS + 32 /* at one time */
};

static struct box box, second;

static int
open_box(void **state)
{
    world_note(state);
    box_open(&box, ALICE, "floods", "Elevated");
    return 0;
}

static int
close_box(void **state)
{
    box_close(&box);
    return world_check(state);
}

/* POST @body to the box, and note the most memory that workers have meanwhile, in KiB. */
static struct reply
flood(const char *command, long *ret_most_kib)
{
    json_auto_t *body =
        json_pack("{s:s, s:i}", "command", command, "timeout_seconds", FLOOD_SECONDS);
    _cleanup_(freep) char *text = json_dumps(body, 0);
    struct parallel call = {.user = ALICE, .method = "POST", .path = box.exec, .body = text};
    struct pending *p = pending_start(&call);

    *ret_most_kib = 0;
    while (!pending_poll(p)) {
        const struct timespec pause = {.tv_nsec = 50000000};
        long kib = host_workers_private_kib();

        *ret_most_kib = kib > *ret_most_kib ? kib : *ret_most_kib;
        nanosleep(&pause, NULL);
    }
    pending_finish(p);
    assert_status(&call.reply, 200);
    return call.reply;
}

static void
a_gigabyte_on_both_streams_at_once_stays_out_of_memory(void **state)
{
    struct reply r = box_run(&box, 30, "yes | head -c 2m; yes | head -c 2m >&2");
    long before = host_workers_private_kib(), most;

    (void)state;
    reply_done(&r);
    r = flood("yes | head -c 512m >&2 & yes | head -c 512m; wait", &most);
    assert_int_equal(int_at(&r, "exit_code"), 0);
    assert_int_equal(int_at(&r, "stdout_bytes"), 512 << 20);
    assert_int_equal(int_at(&r, "stderr_bytes"), 512 << 20);
    assert_true(bool_at(&r, "stdout_truncated") && bool_at(&r, "stderr_truncated"));
    reply_done(&r);
    print_message("    workers: %ld KiB before, %ld KiB at most\n", before, most);
    assert_true(most - before < GROWTH_KIB);
    neighbour_works();
}

/* KiB on disk below the directory of the box's guest. */
static long
spool_kib(void)
{
    char path[PATH_MAX], command[PATH_MAX + 96], line[64] = "";
    FILE *f;

    host_path("guests", path);
    snprintf(command, sizeof(command), "du -sk %s/%s", path, box.id);
    f = popen(command, "re"); /* NOLINT(cert-env33-c): the test's own words */
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    pclose(f);
    return strtol(line, NULL, 10);
}

static bool
has_ended(void *arg)
{
    struct reply r = fetch(ALICE, "/audit/%s", (const char *)arg);
    bool ended = strcmp(text_at(&r, "status"), "running") != 0;

    assert_true(spool_kib() < SPOOL_KIB);
    reply_done(&r);
    return ended;
}

static void
a_flood_in_the_background_stays_off_the_disk(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r = call(ALICE, "POST", box.exec,
                          "{\"command\": \"yes | head -c 512m\", \"background\": true}", NULL);

    (void)state;
    assert_status(&r, 202);
    snprintf(id, sizeof(id), "%s", text_at(&r, "id"));
    reply_done(&r);
    wait_until(has_ended, id, FLOOD_SECONDS, "the flood to end");
    r = fetch(ALICE, "/audit/%s", id);
    assert_string_equal(text_at(&r, "status"), "completed");
    assert_int_equal(int_at(&r, "stdout_bytes"), 512 << 20);
    reply_done(&r);
}

/* Whether all but those that can be running have been answered. */
static bool
refusals_came(void *arg)
{
    struct pending *const *pending = arg;
    size_t answered = 0;

    for (size_t i = 0; i < EXECUTIONS; i++)
        answered += pending_poll(pending[i]);
    return answered >= EXECUTIONS - WORKERS * SHARE;
}

/* As many executions as a user has threads for run; more are refused, and told when to come again;
 * whoever else comes is served at once. */
static void
a_flood_of_executions_meets_its_own_limit(void **state)
{
    struct parallel calls[EXECUTIONS];
    struct pending *pending[EXECUTIONS];
    size_t served = 0, refused = 0, over_share = 0;

    (void)state;
    box_open(&second, ALICE, "floods2", "Elevated"); /* one alone has fewer processes */
    for (size_t i = 0; i < EXECUTIONS; i++) {
        calls[i] = (struct parallel){
            .user = ALICE,
            .method = "POST",
            .path = i % 2 ? box.exec : second.exec,
            .body = "{\"command\": \"exec sleep 10\"}",
        };
        pending[i] = pending_start(&calls[i]);
    }
    wait_until(refusals_came, pending, 30, "the refusals");
    for (int i = 0; i < 5; i++)
        neighbour_works();
    for (size_t i = 0; i < EXECUTIONS; i++) {
        struct reply *r = &calls[i].reply;

        pending_finish(pending[i]);
        if (r->status == 200) {
            served++;
        } else if (r->status == 429 || r->status == 503) {
            over_share += strcmp(text_at(r, "code"), "quota_exceeded") == 0;
            refused++;
        } else {
            fail_msg("an execution of a flood got %ld: %s", r->status, r->body);
        }
        reply_done(r);
    }
    print_message("    %zu served, %zu refused, %zu of them for the user's share\n", served,
                  refused, over_share);
    assert_true(served > 0 && served <= WORKERS * SHARE);
    assert_true(over_share > 0);
    box_works(&box);
    box_close(&second);
}

/* How long the neighbour waits is measured by `make bench`; here, that all of theirs is done. */
static void
a_tenant_at_full_load_leaves_the_neighbour_served(void **state)
{
    static const char *const loads[] = {
        "while :; do :; done & while :; do :; done & while :; do :; done",
        "while :; do (:) & (:) ; done 2>/dev/null",
        "while :; do head -c 64m /dev/zero > ~/io; sync; rm ~/io; done",
        "while :; do head -c 400m /dev/zero | tail -c 400m | wc -c; done",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
        struct flight *f = box_start(&box, 60, "%s", loads[i]);

        print_message("    %s\n", loads[i]);
        for (int n = 0; n < 20; n++)
            neighbour_works();
        flight_abort(f); /* fails if the load has ended by itself */
    }
}

#define floods_test(f) cmocka_unit_test_setup_teardown(f, open_box, close_box)

int
suite_floods(void)
{
    const struct CMUnitTest tests[] = {
        floods_test(a_gigabyte_on_both_streams_at_once_stays_out_of_memory),
        floods_test(a_flood_in_the_background_stays_off_the_disk),
        floods_test(a_flood_of_executions_meets_its_own_limit),
        floods_test(a_tenant_at_full_load_leaves_the_neighbour_served),
    };

    return cmocka_run_group_tests_name("hostile: floods", tests, NULL, remove_containers);
}
