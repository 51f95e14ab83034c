/*
 * Keyed POSTs that make something other than an execution: answered again as they were; and where
 * the worker died before the answer was kept, carried on without making it twice.
 */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/keyed.h"
#include "tests/api/snap.h"
#include "tests/api/suite.h"

enum { PATH_SIZE = 256 };

#define JOB_TIME "SELECT created_at FROM job WHERE template = 'resumed'"

/* One request, sent before the workers died and after. */
struct attempt {
    const char *user, *body;
    long status; /* of both answers */
    char path[PATH_SIZE];
    const char *key;
    struct reply first, again;
};

enum { SNAPSHOT, CUT_SNAPSHOT, BY_IMAGE, TEMPLATE, BUILD, RESTART, ROLLBACK, ATTEMPTS };

static struct attempt attempts[ATTEMPTS] = {
    [SNAPSHOT] = {ALICE, "{\"name\": \"whole\"}", 201},
    [CUT_SNAPSHOT] = {ALICE, "{\"name\": \"cut\"}", 201},
    [BY_IMAGE] = {ADMIN, "{\"name\": \"by-image\", \"image\": \"nothing:absent\"}", 201,
                  "/templates"},
    [TEMPLATE] = {ADMIN,
                  "{\"name\": \"resumed\", \"dockerfile\": \"FROM scratch\\nCOPY a /a\\n\","
                  " \"files\": {\"a\": \"x\"}}",
                  201, "/templates"},
    [BUILD] = {ADMIN, NULL, 202, "/templates/resumed/build"},
    [RESTART] = {ALICE, NULL, 200},
    [ROLLBACK] = {ALICE, NULL, 200},
};

static struct reply
send_keyed(const struct attempt *a)
{
    struct reply r = call(a->user, "POST", a->path, a->body, a->key, NULL);

    assert_status(&r, a->status);
    return r;
}

static void
signal_janitor(int sig)
{
    struct pids janitors = host_role("janitor");

    assert_int_equal(janitors.count, 1);
    assert_int_equal(kill(janitors.list[0], sig), 0);
}

static void
send_first(void)
{
    snprintf(attempts[SNAPSHOT].path, PATH_SIZE, "%s", snap.list);
    snprintf(attempts[CUT_SNAPSHOT].path, PATH_SIZE, "%s", snap.list);
    snprintf(attempts[RESTART].path, PATH_SIZE, "%s/restart", snap.path);
    for (size_t i = 0; i < ATTEMPTS; i++) {
        struct attempt *a = &attempts[i];

        if (i == ROLLBACK)
            snprintf(a->path, PATH_SIZE, "%s/%s/rollback", snap.list,
                     text_at(&attempts[SNAPSHOT].first, "id"));
        a->key = key_fresh();
        a->first = send_keyed(a);
    }
}

/* Once for the group: deaths of workers in quick succession slow the service down. The janitor
 * stands still meanwhile, or it would clear away what is to be found. */
static int
send_twice(void **state)
{
    char cut[PATH_SIZE];
    long long queued_at;

    snap_open(state);
    send_first();
    job_wait("resumed", "ready");
    queued_at = ask_database(JOB_TIME);
    signal_janitor(SIGSTOP);
    kill_workers();
    forget_answers();
    snprintf(cut, sizeof(cut),
             "UPDATE snapshot SET status = 'creating', size_bytes = 0"
             " WHERE id = '%s'",
             text_at(&attempts[CUT_SNAPSHOT].first, "id"));
    change_database(cut);
    for (size_t i = 0; i < ATTEMPTS; i++)
        attempts[i].again = send_keyed(&attempts[i]);
    signal_janitor(SIGCONT);
    assert_int_equal(ask_database(JOB_TIME), queued_at);
    return 0;
}

static int
clean(void **state)
{
    for (size_t i = 0; i < ATTEMPTS; i++) {
        reply_done(&attempts[i].first);
        reply_done(&attempts[i].again);
    }
    return templates_clean(state);
}

static void
a_snapshot_that_was_made_is_the_answer(void **state)
{
    (void)state;
    assert_same_answer(&attempts[SNAPSHOT].first, &attempts[SNAPSHOT].again);
    assert_string_equal(attempts[SNAPSHOT].again.replayed, "");
}

static void
a_snapshot_that_was_cut_off_is_made_under_its_id(void **state)
{
    const struct attempt *a = &attempts[CUT_SNAPSHOT];

    (void)state;
    assert_string_equal(text_at(&a->again, "id"), text_at(&a->first, "id"));
    assert_string_equal(text_at(&a->again, "name"), "cut");
    assert_int_equal(snap_count(), 2);
    assert_int_equal(snap_images(), 2);
    snap_roll_back(text_at(&a->again, "id"));
}

static void
a_template_that_was_made_is_the_answer(void **state)
{
    static const int made[] = {BY_IMAGE, TEMPLATE};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        const struct attempt *a = &attempts[made[i]];

        assert_string_equal(text_at(&a->again, "id"), text_at(&a->first, "id"));
        assert_string_equal(text_at(&a->again, "created_at"), text_at(&a->first, "created_at"));
    }
}

/* The same body with another key is another request. */
static void
a_template_of_another_request_is_a_conflict(void **state)
{
    const struct attempt *a = &attempts[TEMPLATE];
    struct reply r = call(a->user, "POST", a->path, a->body, key_fresh(), NULL);

    (void)state;
    assert_problem(&r, 409, "conflict");
    reply_done(&r);
}

/* send_twice() has compared when the job was queued. */
static void
a_build_that_was_queued_and_has_ended_is_not_queued_again(void **state)
{
    (void)state;
    assert_string_equal(text_at(&attempts[BUILD].again, "status"), "building");
    job_wait("resumed", "ready");
}

static void
every_act_is_noted_once(void **state)
{
    struct reply r = fetch(ADMIN, "/audit?kind=change&limit=500");

    (void)state;
    for (size_t i = 0; i < ATTEMPTS; i++) {
        int noted = 0;
        json_t *entry;
        size_t j;

        json_array_foreach(at(&r, "entries"), j, entry)
        {
            const char *request = json_string_value(json_object_get(entry, "request_id"));

            noted += strcmp(request, attempts[i].first.request_id) == 0;
            assert_string_not_equal(request, attempts[i].again.request_id);
        }
        if (noted != 1)
            fail_msg("%s is noted %d times", attempts[i].path, noted);
    }
    reply_done(&r);
}

/* Have a request answered twice; the caller frees the first answer. */
static struct reply
assert_repeats(const char *user, const char *path, const char *body, long status)
{
    const char *key = key_fresh();
    struct reply first = call(user, "POST", path, body, key, NULL);
    struct reply again = call(user, "POST", path, body, key, NULL);

    assert_status(&first, status);
    assert_same_answer(&first, &again);
    assert_string_equal(first.replayed, "");
    assert_string_equal(again.replayed, "true");
    reply_done(&again);
    return first;
}

static void
every_answer_is_given_again(void **state)
{
    char path[PATH_SIZE];
    struct reply r;

    (void)state;
    r = assert_repeats(BOB, "/containers", "{\"agent_id\": \"again\", \"session_id\": \"1\"}", 201);
    snprintf(path, sizeof(path), "/containers/%s/snapshots", text_at(&r, "id"));
    reply_done(&r);
    r = assert_repeats(BOB, path, "{}", 201);
    reply_done(&r);
    r = assert_repeats(BOB, "/execute",
                       "{\"agent_id\": \"again\", \"session_id\": \"1\", \"background\": true,"
                       " \"command\": \"sleep 600\"}",
                       202);
    snprintf(path, sizeof(path), "/audit/%s/kill", text_at(&r, "id"));
    reply_done(&r);
    r = assert_repeats(BOB, path, NULL, 200);
    reply_done(&r);
    r = assert_repeats(BOB, "/containers/cleanup", "{\"idle_seconds\": 0}", 200);
    assert_int_equal(json_array_size(at(&r, "removed")), 1);
    reply_done(&r);
    r = assert_repeats(ADMIN, "/templates",
                       "{\"name\": \"again\", \"dockerfile\": \"FROM scratch\\nLABEL a=b\\n\"}",
                       201);
    reply_done(&r);
    r = assert_repeats(ADMIN, "/templates/again/build", NULL, 202);
    reply_done(&r);
    job_wait("again", "ready");
}

int
suite_resume(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_is_given_again),
        cmocka_unit_test(a_snapshot_that_was_made_is_the_answer),
        cmocka_unit_test(a_snapshot_that_was_cut_off_is_made_under_its_id),
        cmocka_unit_test(a_template_that_was_made_is_the_answer),
        cmocka_unit_test(a_template_of_another_request_is_a_conflict),
        cmocka_unit_test(a_build_that_was_queued_and_has_ended_is_not_queued_again),
        cmocka_unit_test(every_act_is_noted_once),
    };

    return cmocka_run_group_tests_name("resume", tests, send_twice, clean);
}
