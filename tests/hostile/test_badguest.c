/*
 * A guest gone bad, through the API: root in its container, it does what it likes in the
 * container's socket directory and says what it likes over its socket.
 */
#include "tests/hostile/suite.h"

#include "tests/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/badguest.h"

enum { MANNERS = 7, BODY_SIZE = 256, FDS_SPARE = 16 };

/* The container of alice's agent @agent. */
static void
open_box(const char *agent, char ret_id[STEP_ID_SIZE])
{
    struct reply r = attack_shell(ALICE, agent, "true");

    assert_status(&r, 200);
    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&r, "container_id"));
    reply_done(&r);
}

/* The execution got no answer that counts; the next one gets a sandbox that works. */
static void
assert_interrupted(const char *agent, const char *what, struct reply *r)
{
    assert_status(r, 200);
    if (strcmp(text_at(r, "status"), "interrupted") != 0 || !null_at(r, "exit_code"))
        fail_msg("%s: %s", what, r->body);
    reply_done(r);
    run_in(ALICE, agent, "attack", "true");
}

static void
what_stands_in_for_the_socket_is_not_followed(void **state)
{
    static const struct {
        const char *make; /* sh text; $other is the neighbour's socket directory */
        bool nobody;      /* as if nobody listened: the container is started anew */
    } cases[] = {
        {"ln -s ../$other/guest.sock guest.sock", false},
        {"ln -s \"$SANDBOX_STATE/run/broker.sock\" guest.sock", false},
        {"mkfifo -m 666 guest.sock", false},
        {"mkdir guest.sock", false},
        {"mknod -m 666 guest.sock c 1 5", false},
        {"true", true},
    };
    char id[STEP_ID_SIZE], other[STEP_ID_SIZE];
    struct reply r = execute(NEIGHBOUR, "{s:s, s:s, s:s}", "agent_id", NEIGHBOUR_AGENT,
                             "session_id", "neighbour", "command", "true");

    (void)state;
    snprintf(other, sizeof(other), "%s", text_at(&r, "container_id"));
    reply_done(&r);
    open_box("badguest", id);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("  %s\n", cases[i].make);
        assert_int_equal(
            host_shell("other=%s; cd \"$SANDBOX_STATE/guests/%s\" && rm -f guest.sock &&"
                       " %s",
                       other, id, cases[i].make),
            0);
        r = attack_shell(ALICE, "badguest", "echo ran in $(hostname)");
        if (cases[i].nobody) {
            assert_status(&r, 200);
            assert_string_equal(text_at(&r, "status"), "completed");
            assert_null(strstr(text_at(&r, "stdout"), other));
            reply_done(&r);
        } else {
            assert_interrupted("badguest", cases[i].make, &r);
        }
    }
}

/* How many descriptors all workers have open. */
static size_t
worker_descriptors(void)
{
    struct pids workers = host_role("worker");
    size_t count = 0;
    char path[64];

    for (size_t i = 0; i < workers.count; i++) {
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/fd", (int)workers.list[i]);
        dir = opendir(path);
        while (dir && readdir(dir)) /* NOLINT(concurrency-mt-unsafe): one thread */
            count++;
        if (dir)
            closedir(dir);
    }
    return count;
}

/* All bad guests at one time, each in a container of its own. */
struct gang {
    char agents[MANNERS][16], ids[MANNERS][STEP_ID_SIZE], bodies[MANNERS][BODY_SIZE];
    pid_t guests[MANNERS];
    struct parallel calls[MANNERS];
    struct pending *pending[MANNERS];
};

static void
gather(struct gang *g)
{
    for (int i = 0; i < MANNERS; i++) {
        snprintf(g->agents[i], sizeof(g->agents[i]), "bad-%d", i);
        snprintf(g->bodies[i], sizeof(g->bodies[i]),
                 "{\"command\": \"true\", \"agent_id\": \"%s\", \"session_id\": \"attack\","
                 " \"timeout_seconds\": 1}",
                 g->agents[i]);
        g->calls[i] = (struct parallel){
            .user = ALICE, .method = "POST", .path = "/execute", .body = g->bodies[i]};
        open_box(g->agents[i], g->ids[i]);
    }
    call_parallel(g->calls, MANNERS); /* so that workers have their connections */
    for (int i = 0; i < MANNERS; i++)
        reply_done(&g->calls[i].reply);
}

static void
what_it_says_ends_its_own_execution_alone(void **state)
{
    struct gang *g = calloc(1, sizeof(*g));
    size_t before;

    (void)state;
    assert_non_null(g);
    gather(g);
    before = worker_descriptors();
    for (int i = 0; i < MANNERS; i++)
        g->guests[i] = badguest_start(g->ids[i], (enum badguest_manner)i);
    for (int i = 0; i < MANNERS; i++)
        g->pending[i] = pending_start(&g->calls[i]);
    for (int i = 0; i < MANNERS; i++) {
        struct reply status = fetch(ADMIN, "/status");

        reply_done(&status);
        run_in(NEIGHBOUR, NEIGHBOUR_AGENT, "neighbour", "true");
        for (int j = 0; j < MANNERS; j++)
            pending_poll(g->pending[j]);
    }
    for (int i = 0; i < MANNERS; i++)
        pending_finish(g->pending[i]);
    for (int i = 0; i < MANNERS; i++)
        badguest_stop(g->guests[i]);
    for (int i = 0; i < MANNERS; i++)
        assert_interrupted(g->agents[i], g->agents[i], &g->calls[i].reply);
    assert_in_range(worker_descriptors(), 1, before + FDS_SPARE);
    free(g);
}

/* Start a background execution of alice's that goes on. */
static void
start_background(const char *agent, char ret_id[STEP_ID_SIZE])
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:b}", "command", "echo output; sleep 1000",
                             "agent_id", agent, "session_id", "attack", "background", 1);

    assert_status(&r, 202);
    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
}

static void
what_stands_in_for_a_spool_is_not_followed(void **state)
{
    static const char *const cases[] = {
        "ln -s \"$SANDBOX_STATE/canary-of-root\" $spool",
        "ln -s \"$SANDBOX_STATE/sandbox.db\" $spool",
        "mkfifo -m 666 $spool",
        "mkdir $spool",
        "truncate -s 1T $spool && chgrp --reference=. $spool && chmod 640 $spool",
    };
    char box[STEP_ID_SIZE], id[STEP_ID_SIZE];

    (void)state;
    open_box("spool", box);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reply r;

        print_message("  %s\n", cases[i]);
        start_background("spool", id);
        assert_int_equal(
            host_shell("cd \"$SANDBOX_STATE/guests/%s\" && spool=spool-%s && rm $spool &&"
                       " %s",
                       box, id + strlen("exec_"), cases[i]),
            0);
        r = act(ALICE, "GET", "/audit/%s/output", id);
        if (r.status == 200)
            assert_string_equal(text_at(&r, "stdout"), "");
        else
            assert_problem(&r, 500, "internal");
        assert_null(strstr(r.body, CANARY_TEXT));
        reply_done(&r);
    }
    run_in(ALICE, "spool", "attack", "true");
    assert_int_equal(remove_containers(NULL), 0);
}

/* One that cannot be asked to kill anything is ended with its container. */
static void
a_deaf_control_socket_does_not_keep_an_execution(void **state)
{
    char box[STEP_ID_SIZE], id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    open_box("deaf", box);
    start_background("deaf", id);
    assert_int_equal(host_shell("cd \"$SANDBOX_STATE/guests/%s\" && rm control.sock &&"
                                " ln -s ../%s/guest.sock control.sock",
                                box, box),
                     0);
    r = act(ALICE, "POST", "/audit/%s/kill", id);
    assert_problem(&r, 500, "internal");
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/%s/stop", box);
    assert_status(&r, 200);
    reply_done(&r);
    r = act(ALICE, "POST", "/containers/%s/start", box);
    assert_status(&r, 200);
    reply_done(&r);
    run_in(ALICE, "deaf", "attack", "true");
}

static void
nothing_that_it_leaves_keeps_its_container(void **state)
{
    char id[STEP_ID_SIZE];
    struct reply r;

    (void)state;
    open_box("leaver", id);
    assert_int_equal(
        host_shell("cd \"$SANDBOX_STATE/guests/%s\" && for i in $(seq 300); do mkdir deeper '~0';"
                   " touch file; cd deeper; done; cd \"$SANDBOX_STATE/guests/%s\";"
                   " seq -f file-%%g 3000 | xargs touch; ln -s \"$SANDBOX_STATE\"-canary link;"
                   " mkdir -p a/b; ln -s ../../../../.. a/b/up; mkfifo a/fifo; mknod a/zero c 1 5;"
                   " chmod 0 a/b a; touch \"$(printf 'new\\nline')\" -- -rf",
                   id, id),
        0);
    r = act(ALICE, "DELETE", "/containers/%s", id);
    assert_status(&r, 204);
    reply_done(&r);
    assert_int_equal(host_shell("[ ! -e \"$SANDBOX_STATE/guests/%s\" ]", id), 0);
}

int
suite_badguest(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_stands_in_for_the_socket_is_not_followed, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(what_it_says_ends_its_own_execution_alone, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(what_stands_in_for_a_spool_is_not_followed, world_note,
                                        world_check),
        cmocka_unit_test_setup_teardown(a_deaf_control_socket_does_not_keep_an_execution,
                                        world_note, world_check),
        cmocka_unit_test_setup_teardown(nothing_that_it_leaves_keeps_its_container, world_note,
                                        world_check),
    };

    return cmocka_run_group_tests_name("badguest", tests, NULL, world_done);
}
