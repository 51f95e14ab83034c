/* The audit log's hash chain: what a verification finds, and how a cleanup goes over it. */
#include "tests/unit/audit_case.h"

#include <errno.h>

enum { ENTRIES = 5 };

/* Entries 1 to ENTRIES, which started at 1000, 2000, …. */
static void
run_some(struct audit_case *c)
{
    for (int i = 1; i <= ENTRIES; i++) {
        char id[AUDIT_ID_SIZE];

        snprintf(id, sizeof(id), "exec_%d", i);
        audit_case_run(c, id, i * INT64_C(1000), 10);
    }
}

static void
assert_whole(struct audit_case *c, int64_t entries, int64_t removed, int64_t cleanups)
{
    struct chain_report report = audit_case_verify(c);

    assert_string_equal(report.what, "");
    assert_int_equal(report.entries, entries);
    assert_int_equal(report.removed, removed);
    assert_int_equal(report.cleanups, cleanups);
    assert_int_equal(strlen(report.head), 64);
}

static void
assert_broken(struct audit_case *c, int64_t position, const char *what)
{
    struct chain_report report = audit_case_verify(c);

    if (!strstr(report.what, what) || report.position != position)
        fail_msg("expected '%s' at %lld, got '%s' at %lld", what, (long long)position, report.what,
                 (long long)report.position);
}

static void
an_empty_log_is_whole(void **state)
{
    assert_whole(*state, 0, 0, 0);
}

static void
a_log_that_nobody_touched_is_whole(void **state)
{
    struct audit_case *c = *state;
    struct audit_entry running = audit_case_entry("exec_running", 1);

    run_some(c);
    assert_int_equal(store_audit_begin(c->store, &running, NULL, NULL), 0);
    assert_whole(c, ENTRIES, 0, 0);
    audit_entry_done(&running);
}

static void
a_change_of_any_field_is_found(void **state)
{
    static const char *const changes[] = {
        "id = 'exec_x'",
        "kind = 'network'",
        "owner = 'bob'",
        "agent_id = 'other'",
        "agent_id = NULL",
        "session_id = 'other'",
        "container_id = 'container_000000000002'",
        "tier = 'Elevated'",
        "template = 'other'",
        "command = 'echo ho'",
        "details = '{}'",
        "status = 'failed'",
        "started_at = started_at + 1",
        "finished_at = finished_at + 1",
        "duration_ms = 6",
        "cpu_ms = 4",
        "max_memory_kib = 101",
        "background = 1",
        "output_cap = 999",
        "exit_code = 1",
        "exit_code = NULL",
        "signal = 'SIGKILL'",
        "stdout_bytes = 11",
        "stderr_bytes = 1",
        "request_id = 'other'",
        "hash = (SELECT hash FROM audit WHERE chain = 2)",
        "output_hash = (SELECT hash FROM audit WHERE chain = 2)",
        "output_hash = NULL",
    };
    struct audit_case *c = *state;

    run_some(c);
    tamper(c, "CREATE TABLE copy AS SELECT * FROM audit WHERE chain = 3");
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        char sql[256];

        print_message("%s\n", changes[i]);
        snprintf(sql, sizeof(sql), "UPDATE audit SET %s WHERE chain = 3", changes[i]);
        tamper(c, sql);
        assert_broken(c, 3, "was changed");
        tamper(c, "PRAGMA foreign_keys=0; REPLACE INTO audit SELECT * FROM copy");
        assert_whole(c, ENTRIES, 0, 0);
    }
}

static void
changed_output_is_found(void **state)
{
    static const struct {
        const char *sql, *what;
    } cases[] = {
        {"UPDATE output SET stdout = CAST('xxxxxxxxxy' AS BLOB) WHERE audit_seq = 4", "changed"},
        {"UPDATE output SET stderr = CAST('x' AS BLOB) WHERE audit_seq = 4", "changed"},
        {"UPDATE output SET stdout_truncated = 1 WHERE audit_seq = 4", "changed"},
        {"UPDATE output SET stderr_truncated = 1 WHERE audit_seq = 4", "changed"},
        {"UPDATE output SET stdout_head = 9 WHERE audit_seq = 4", "changed"},
        {"UPDATE output SET stderr_head = 1 WHERE audit_seq = 4", "changed"},
        {"DELETE FROM output WHERE audit_seq = 4", "removed"},
    };
    struct audit_case *c = *state;

    run_some(c);
    tamper(c, "CREATE TABLE copy AS SELECT * FROM output WHERE audit_seq = 4");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s\n", cases[i].sql);
        tamper(c, cases[i].sql);
        assert_broken(c, 4, "the output of entry exec_4 was");
        assert_broken(c, 4, cases[i].what);
        tamper(c, "REPLACE INTO output SELECT * FROM copy");
        assert_whole(c, ENTRIES, 0, 0);
    }
    tamper(c, "DELETE FROM output");
    assert_broken(c, 1, "removed");
}

static void
missing_and_moved_entries_are_found(void **state)
{
    static const struct {
        const char *sql;
        int64_t position;
        const char *what;
    } cases[] = {
        {"DELETE FROM audit WHERE chain = 1", 1, "missing"},
        {"DELETE FROM audit WHERE chain = 3", 3, "missing"},
        {"DELETE FROM audit WHERE chain = 5", 5, "newest entries are missing"},
        {"DELETE FROM audit WHERE chain >= 4; UPDATE chain SET length = 3", 3, "head"},
        {"DELETE FROM audit", 1, "missing"},
        {"UPDATE audit SET chain = 99 WHERE chain = 2; UPDATE audit SET chain = 2 WHERE chain = 3;"
         "UPDATE audit SET chain = 3 WHERE chain = 99",
         2, "put in another's place"},
        {"UPDATE audit SET chain = NULL WHERE chain = 4", 4, "missing"},
        {"UPDATE chain SET hash = printf('%064d', 0)", 5, "head"},
        {"UPDATE chain SET length = 4", 5, "head"},
        {"INSERT INTO audit (id, kind, owner, command, status, started_at, request_id, worker) "
         "VALUES ('exec_forged', 'execution', 'bob', 'true', 'completed', 1, 'r', 0)",
         0, "not in the chain"},
        {"INSERT INTO chain_gap VALUES (2, 3, (SELECT hash FROM audit WHERE chain = 3));"
         "DELETE FROM audit WHERE chain IN (2, 3)",
         2, "signed off"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        void *own = NULL;
        struct audit_case *c;

        print_message("%s\n", cases[i].sql);
        assert_int_equal(audit_case_setup(&own), 0);
        c = own;
        run_some(c);
        tamper(c, cases[i].sql);
        assert_broken(c, cases[i].position, cases[i].what);
        audit_case_teardown(&own);
    }
}

static void
a_cleanup_leaves_a_gap_that_is_signed_off(void **state)
{
    struct audit_case *c = *state;

    run_some(c);
    assert_int_equal(audit_case_retire(c, "exec_sign", 3000), 2);
    assert_whole(c, 4, 2, 1); /* the rows are there still */
    assert_int_equal(select_number(c, "SELECT COUNT(*) FROM audit"), 6);
    audit_case_purge(c);
    assert_int_equal(select_number(c, "SELECT COUNT(*) FROM audit"), 4);
    assert_int_equal(select_number(c, "SELECT COUNT(*) FROM output"), 3);
    assert_whole(c, 4, 2, 1);
    audit_case_run(c, "exec_more", 9000, 0);
    assert_whole(c, 5, 2, 1);
    assert_int_equal(audit_case_retire(c, "exec_none", 3000), 0);
    assert_whole(c, 5, 2, 1);
}

static void
gaps_that_touch_become_one(void **state)
{
    struct audit_case *c = *state;
    struct audit_entry early = audit_case_entry("exec_early", 500);

    assert_int_equal(store_audit_begin(c->store, &early, NULL, NULL), 0);
    audit_case_run(c, "exec_1", 1000, 1);
    audit_case_run(c, "exec_2", 2000, 1);
    audit_case_finish(c, &early, 1); /* third in the chain, though it started first */
    audit_case_run(c, "exec_3", 3000, 1);
    audit_entry_done(&early);
    assert_int_equal(audit_case_retire(c, "exec_s1", 1500), 2);
    assert_int_equal(select_number(c, "SELECT COUNT(*) FROM chain_gap"), 2);
    audit_case_purge(c);
    assert_whole(c, 3, 2, 1);
    assert_int_equal(audit_case_retire(c, "exec_s2", 2500), 1);
    audit_case_purge(c);
    assert_int_equal(select_number(c, "SELECT COUNT(*) FROM chain_gap"), 1);
    assert_int_equal(select_number(c, "SELECT first * 10 + last FROM chain_gap"), 13);
    assert_whole(c, 3, 3, 2);
    assert_int_equal(audit_case_retire(c, "exec_s3", 2000000), 3); /* the sign-offs, too */
    audit_case_purge(c);
    assert_int_equal(select_number(c, "SELECT COUNT(*) FROM chain_gap"), 1);
    assert_whole(c, 1, 6, 3);
}

static void
tampering_with_gaps_is_found_and_not_signed_off(void **state)
{
    static const char *const changes[] = {
        "UPDATE chain_gap SET last = 3",
        "UPDATE chain_gap SET hash = printf('%064d', 0)",
        "DELETE FROM chain_gap",
        "UPDATE chain SET gaps_entry = NULL",
        "UPDATE chain SET gaps_entry = 'exec_4'",
        "DELETE FROM audit WHERE id = 'exec_sign'",
        "INSERT INTO chain_gap VALUES (4, 4, (SELECT hash FROM audit WHERE chain = 4))",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct error err = {0};
        void *own = NULL;
        struct audit_case *c;
        int64_t freed = 0;
        bool more;

        print_message("%s\n", changes[i]);
        assert_int_equal(audit_case_setup(&own), 0);
        c = own;
        run_some(c);
        assert_int_equal(audit_case_retire(c, "exec_sign", 3000), 2);
        audit_case_purge(c);
        tamper(c, changes[i]);
        assert_string_not_equal(audit_case_verify(c).what, "");
        if (select_number(c, "SELECT COUNT(*) FROM chain_gap") > 0) {
            assert_int_equal(store_audit_purge(c->store, &freed, &more, &err), -EEXIST);
            assert_int_equal(err.code, ERR_CONFLICT);
        }
        audit_case_teardown(&own);
    }
}

static void
a_reader_beside_the_service_finds_the_same(void **state)
{
    struct audit_case *c = *state;
    struct chain_report report = {0};
    struct store *reader = NULL;
    struct error err = {0};

    run_some(c);
    assert_int_equal(store_open_reading(c->path, &reader, &err), 0);
    assert_int_equal(store_chain_verify(reader, &report, &err), 0);
    assert_string_equal(report.what, "");
    assert_int_equal(report.entries, ENTRIES);
    audit_case_run(c, "exec_more", 9000, 0);
    assert_int_equal(store_chain_verify(reader, &report, &err), 0);
    assert_int_equal(report.entries, ENTRIES + 1);
    store_free(reader);
    reader = NULL;
    store_free(c->store);
    c->store = NULL;
    assert_int_equal(store_open_reading(c->path, &reader, &err), 0);
    assert_int_equal(store_chain_verify(reader, &report, &err), 0);
    assert_int_equal(report.entries, ENTRIES + 1);
    store_free(reader);
    tamper(c, "PRAGMA user_version=1");
    assert_int_equal(store_open_reading(c->path, &reader, &err), -EIO);
}

int
main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, audit_case_setup, audit_case_teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_empty_log_is_whole),
        CASE(a_log_that_nobody_touched_is_whole),
        CASE(a_change_of_any_field_is_found),
        CASE(changed_output_is_found),
        cmocka_unit_test(missing_and_moved_entries_are_found),
        CASE(a_cleanup_leaves_a_gap_that_is_signed_off),
        CASE(gaps_that_touch_become_one),
        cmocka_unit_test(tampering_with_gaps_is_found_and_not_signed_off),
        CASE(a_reader_beside_the_service_finds_the_same),
    };

    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
