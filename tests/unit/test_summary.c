/* Figures over the audit log: exact, bounded, of one owner or of all. */
#include "tests/unit/audit_case.h"

enum { DAY_MS = 24 * 60 * 60 * 1000 };

/* An execution of @owner's by @agent that took @duration_ms. */
static void
took(struct audit_case *c, const char *owner, const char *agent, int64_t ms, int64_t duration_ms,
     enum audit_status status)
{
    struct audit_entry e = audit_case_entry("", ms);

    id_audit(e.id);
    snprintf(e.owner, sizeof(e.owner), "%s", owner);
    snprintf(e.agent_id, sizeof(e.agent_id), "%s", agent);
    e.status = status;
    e.finished_at_ms = ms + duration_ms;
    e.duration_ms = duration_ms;
    e.cpu_ms = 2;
    assert_int_equal(store_audit_insert(c->store, &e, NULL), 0);
    audit_entry_done(&e);
}

static struct audit_summary
summary(struct audit_case *c, const char *owner, int64_t since_ms, int64_t until_ms)
{
    const struct audit_filter filter = {.owner = owner, .since_ms = since_ms, .until_ms = until_ms};
    struct audit_summary sum = {0};
    struct error err = {0};

    if (store_audit_summary(c->store, &filter, &sum, &err) < 0)
        fail_msg("%s: %s", err.msg, err.detail);
    return sum;
}

static void
percentiles_are_of_the_nearest_rank(void **state)
{
    struct audit_case *c = *state;
    struct audit_summary sum;

    for (int i = 100; i >= 1; i--)
        took(c, "alice", "a", 1000, i, AUDIT_COMPLETED);
    took(c, "alice", "a", 1000, 9999, AUDIT_REFUSED);
    took(c, "bob", "a", 1000, 7, AUDIT_FAILED);
    sum = summary(c, "alice", 0, 0);
    assert_int_equal(sum.total, 101);
    assert_int_equal(sum.p50_ms, 50);
    assert_int_equal(sum.p95_ms, 95);
    assert_int_equal(sum.max_ms, 100);
    audit_summary_done(&sum);
    sum = summary(c, "bob", 0, 0);
    assert_int_equal(sum.p50_ms, 7);
    assert_int_equal(sum.p95_ms, 7);
    assert_int_equal(sum.max_ms, 7);
    audit_summary_done(&sum);
    sum = summary(c, NULL, 0, 0);
    assert_int_equal(sum.total, 102);
    assert_int_equal(sum.cpu_ms, 204);
    audit_summary_done(&sum);
}

static void
nothing_that_ended_has_no_percentiles(void **state)
{
    struct audit_case *c = *state;
    struct audit_entry running = audit_case_entry("exec_running", 1000);
    struct audit_summary sum;

    assert_int_equal(store_audit_begin(c->store, &running, NULL, NULL), 0);
    took(c, "alice", "a", 1000, 0, AUDIT_REFUSED);
    sum = summary(c, NULL, 0, 0);
    assert_int_equal(sum.total, 2);
    assert_int_equal(sum.p50_ms, -1);
    assert_int_equal(sum.p95_ms, -1);
    assert_int_equal(sum.max_ms, -1);
    audit_summary_done(&sum);
    audit_entry_done(&running);
}

static void
days_are_utc_and_bounds_are_kept(void **state)
{
    struct audit_case *c = *state;
    struct audit_summary sum;

    took(c, "alice", "a", DAY_MS - 1, 1, AUDIT_COMPLETED);
    took(c, "alice", "a", DAY_MS, 1, AUDIT_COMPLETED);
    took(c, "alice", "a", DAY_MS + 1, 1, AUDIT_COMPLETED);
    sum = summary(c, NULL, 0, 0);
    assert_int_equal(sum.by_day.count, 2);
    assert_string_equal(sum.by_day.items[0].key, "1970-01-02");
    assert_int_equal(sum.by_day.items[0].count, 2);
    assert_string_equal(sum.by_day.items[1].key, "1970-01-01");
    audit_summary_done(&sum);
    sum = summary(c, "alice", DAY_MS, DAY_MS + 1);
    assert_int_equal(sum.total, 1);
    audit_summary_done(&sum);
}

static void
of_many_agents_those_with_the_most_are_kept(void **state)
{
    struct audit_case *c = *state;
    struct audit_summary sum;

    for (int i = 0; i < AUDIT_SHARES_MAX + 5; i++) {
        char agent[NAME_SIZE];

        snprintf(agent, sizeof(agent), "agent-%d", i);
        took(c, "alice", agent, 1000, 1, AUDIT_COMPLETED);
    }
    took(c, "alice", "busy", 1000, 1, AUDIT_COMPLETED);
    took(c, "alice", "busy", 1000, 1, AUDIT_COMPLETED);
    sum = summary(c, NULL, 0, 0);
    assert_int_equal(sum.total, AUDIT_SHARES_MAX + 7);
    assert_int_equal(sum.by_agent.count, AUDIT_SHARES_MAX);
    assert_string_equal(sum.by_agent.items[0].key, "busy");
    assert_int_equal(sum.by_agent.items[0].count, 2);
    audit_summary_done(&sum);
}

int
main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, audit_case_setup, audit_case_teardown)
    const struct CMUnitTest tests[] = {
        CASE(percentiles_are_of_the_nearest_rank),
        CASE(nothing_that_ended_has_no_percentiles),
        CASE(days_are_utc_and_bounds_are_kept),
        CASE(of_many_agents_those_with_the_most_are_kept),
    };

    return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
