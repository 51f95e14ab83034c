/* How long the audit log keeps entries: by age, by size, and beside those who write. */
#include "tests/unit/audit_case.h"

#include <pthread.h>

#include "backend/backend.h"
#include "backend/retention.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, KIB = 1024 };

/* A backend on the case's store, with these settings. */
struct kept {
    struct service_context context;
    struct settings settings;
    struct backend backend;
};

static void
keep(struct audit_case *c, int64_t days, int64_t mb, struct kept *ret)
{
    *ret = (struct kept){
        .context = {.state_dir = c->dir, .shared = c->shared},
        .settings = {.audit = {.retention_days = days, .max_mb = mb}},
    };
    ret->backend.context = &ret->context;
    ret->backend.settings = &ret->settings;
}

static void
tend(struct kept *k)
{
    struct error err = {0};

    if (retention_tend(&k->backend, &err) < 0)
        fail_msg("%s: %s", err.msg, err.detail);
    store_free(k->backend.store);
    k->backend.store = NULL;
}

static int64_t
executions(struct audit_case *c)
{
    return select_number(c, "SELECT COUNT(*) FROM audit WHERE kind = 'execution'");
}

static int64_t
signatures(struct audit_case *c)
{
    return select_number(c, "SELECT COUNT(*) FROM audit WHERE kind = 'change' AND owner = "
                            "'" RETENTION_OWNER "' AND command = 'audit retention'");
}

static void
old_entries_go_once_a_day(void **state)
{
    struct audit_case *c = *state;
    int64_t today_ms = time_day_start(time_now_ms());
    struct audit_entry running = audit_case_entry("exec_running", today_ms - INT64_C(90) * DAY_MS);
    struct kept k;

    keep(c, 2, 0, &k);
    assert_int_equal(store_audit_begin(c->store, &running, NULL, NULL), 0);
    audit_case_run(c, "exec_1", today_ms - 3 * DAY_MS, 10);
    audit_case_run(c, "exec_2", today_ms - 2 * DAY_MS - 1, 10);
    audit_case_run(c, "exec_3", today_ms - 2 * DAY_MS, 10);
    audit_case_run(c, "exec_4", today_ms, 10);
    tend(&k);
    assert_int_equal(executions(c), 3);
    assert_int_equal(signatures(c), 1);
    tend(&k);
    assert_int_equal(signatures(c), 1);
    assert_string_equal(audit_case_verify(c).what, "");
    assert_int_equal(audit_case_verify(c).removed, 2);
    audit_entry_done(&running);
}

static void
no_limits_keep_everything(void **state)
{
    struct audit_case *c = *state;
    struct kept k;

    keep(c, 0, 0, &k);
    audit_case_run(c, "exec_1", 1000, 3000 * KIB);
    tend(&k);
    assert_int_equal(executions(c), 1);
    assert_int_equal(signatures(c), 0);
}

static void
the_oldest_go_while_there_is_too_much(void **state)
{
    enum { MB = 2, RUNS = 40 };
    struct audit_case *c = *state;
    int64_t used = 0, left;
    struct kept k;

    keep(c, 0, MB, &k);
    for (int i = 1; i <= RUNS; i++) {
        char id[AUDIT_ID_SIZE];

        snprintf(id, sizeof(id), "exec_%d", i);
        audit_case_run(c, id, 1000 * i, 100 * KIB);
    }
    tend(&k);
    assert_int_equal(store_used_bytes(c->store, &used, NULL), 0);
    assert_in_range(used, 1, MB << 20);
    left = executions(c);
    assert_in_range(left, 10, 20); /* no more than had to go */
    assert_int_equal(select_number(c, "SELECT MIN(started_at) FROM audit"),
                     1000 * (RUNS - left + 1));
    assert_string_equal(audit_case_verify(c).what, "");
    left = signatures(c);
    tend(&k);
    assert_int_equal(signatures(c), left);
}

static void
what_was_given_up_is_deleted_by_the_next_pass(void **state)
{
    struct audit_case *c = *state;
    struct kept k;

    keep(c, 0, 0, &k);
    audit_case_run(c, "exec_1", 1000, 10);
    audit_case_run(c, "exec_2", 2000, 10);
    assert_int_equal(audit_case_retire(c, "exec_sign", 1500), 1); /* and died */
    tend(&k);
    assert_int_equal(executions(c), 1);
    assert_string_equal(audit_case_verify(c).what, "");
}

enum { WRITERS = 4, WRITES = 60, OLD = 1200 };

static void *
write_many(void *arg)
{
    struct audit_case *c = arg;
    struct store *store = NULL;
    intptr_t failures = store_open(c->path, c->shared, &store, NULL) < 0;

    for (int i = 0; failures == 0 && i < WRITES; i++) {
        struct audit_entry e = audit_case_entry("", time_now_ms());

        id_audit(e.id);
        failures += store_audit_begin(store, &e, NULL, NULL) < 0;
        e.status = AUDIT_COMPLETED;
        e.finished_at_ms = e.started_at_ms;
        failures += store_audit_finish(store, &e, NULL, false, NULL) < 0;
        audit_entry_done(&e);
    }
    store_free(store);
    return (void *)failures;
}

static void
a_cleanup_beside_writers_loses_nothing_of_theirs(void **state)
{
    const struct caller admin = {
        .user = "admin", .action = "POST /audit/cleanup", .request_id = "r"};
    struct audit_case *c = *state;
    pthread_t threads[WRITERS];
    struct retired done = {0};
    struct error err = {0};
    struct kept k;
    void *failures;

    keep(c, 0, 0, &k);
    for (int i = 0; i < OLD; i++) {
        struct audit_entry e = audit_case_entry("", 1000 + i);

        id_audit(e.id);
        e.status = AUDIT_REFUSED;
        e.finished_at_ms = e.started_at_ms;
        assert_int_equal(store_audit_insert(c->store, &e, NULL), 0);
        audit_entry_done(&e);
    }
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, c), 0);
    if (retention_clean(&k.backend, &admin, 100000, &done, &err) < 0)
        fail_msg("%s: %s", err.msg, err.detail);
    for (size_t i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], &failures);
        assert_null(failures);
    }
    assert_int_equal(done.entries, OLD);
    assert_true(done.freed_bytes > 0);
    assert_int_equal(executions(c), WRITERS * WRITES);
    assert_string_equal(audit_case_verify(c).what, "");
    assert_int_equal(audit_case_verify(c).entries, WRITERS * WRITES + 1);
    store_free(k.backend.store);
}

int
main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, audit_case_setup, audit_case_teardown)
    const struct CMUnitTest tests[] = {
        CASE(old_entries_go_once_a_day),
        CASE(no_limits_keep_everything),
        CASE(the_oldest_go_while_there_is_too_much),
        CASE(what_was_given_up_is_deleted_by_the_next_pass),
        CASE(a_cleanup_beside_writers_loses_nothing_of_theirs),
    };

    return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
