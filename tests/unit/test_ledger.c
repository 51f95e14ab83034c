/* What containers reached for becomes few entries of the audit log, whatever they do. */
#include "tests/unit/audit_case.h"

#include <errno.h>

#include <jansson.h>

#include "backend/egress/ledger.h"
#include "handlers/json.h"
#include "handlers/openapi/openapi.h"
#include "tests/common/json_schema.h"

enum { START_MS = 1000000 };

struct ledger_case {
    struct audit_case *audit;
    struct ledger *ledger;
    struct container container;
};

static struct container
container(unsigned number)
{
    struct container c = {.network = NETWORK_RESTRICTED};

    snprintf(c.id, sizeof(c.id), "container_%012x", number);
    snprintf(c.owner, sizeof(c.owner), "alice");
    snprintf(c.agent_id, sizeof(c.agent_id), "agent");
    snprintf(c.session_id, sizeof(c.session_id), "session");
    snprintf(c.tier, sizeof(c.tier), "Standard");
    snprintf(c.template_name, sizeof(c.template_name), "base");
    return c;
}

static int
setup(void **state)
{
    struct ledger_case *t = calloc(1, sizeof(*t));
    void *audit = NULL;

    if (!t || audit_case_setup(&audit) < 0)
        return -1;
    t->audit = audit;
    t->ledger = ledger_new();
    t->container = container(1);
    *state = t;
    return t->ledger ? 0 : -1;
}

static int
teardown(void **state)
{
    struct ledger_case *t = *state;
    void *audit = t->audit;

    ledger_free(t->ledger);
    free(t);
    return audit_case_teardown(&audit);
}

static void
note_by(struct ledger_case *t, const struct container *c, const char *host, unsigned port,
        const char *rule, int64_t now_ms)
{
    const struct ledger_attempt attempt = {
        .container = c,
        .host = host,
        .port = port,
        .allowed = strncmp(rule, "allowed", 7) == 0,
        .rule = rule,
    };
    struct error err = {0};

    if (ledger_note(t->ledger, t->audit->store, &attempt, now_ms, &err) < 0)
        fail_msg("%s: %s", err.msg, err.detail);
}

static void
note(struct ledger_case *t, const char *host, unsigned port, const char *rule, int64_t now_ms)
{
    note_by(t, &t->container, host, port, rule, now_ms);
}

static void
flush(struct ledger_case *t, int64_t now_ms)
{
    struct error err = {0};

    if (ledger_flush(t->ledger, t->audit->store, now_ms, &err) < 0)
        fail_msg("%s: %s", err.msg, err.detail);
}

/* The entries so far, and how many there are. */
static int64_t
count(struct ledger_case *t)
{
    return select_number(t->audit, "SELECT COUNT(*) FROM audit WHERE kind = 'network'");
}

/* The @back-th newest entry, 0 for the newest; the caller frees it, and its @details. */
static struct audit_entry
entry(struct ledger_case *t, size_t back, json_t **ret_details)
{
    const struct audit_filter filter = {.kind = AUDIT_NETWORK, .limit = 500};
    struct audit_entry *list = NULL, e;
    size_t n = 0;

    assert_int_equal(store_audit_list(t->audit->store, &filter, &list, &n, NULL), 0);
    assert_true(back < n);
    e = list[back];
    e.command = strdup(e.command);
    e.details = strdup(e.details);
    store_audit_list_free(list, n);
    *ret_details = json_loads(e.details, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(*ret_details);
    return e;
}

static void
assert_counts(struct ledger_case *t, size_t back, const char *command, int64_t attempts,
              int64_t sent, int64_t received)
{
    json_t *details;
    struct audit_entry e = entry(t, back, &details);

    assert_string_equal(e.command, command);
    assert_int_equal(json_integer_value(json_object_get(details, "attempts")), attempts);
    assert_int_equal(json_integer_value(json_object_get(details, "bytes_sent")), sent);
    assert_int_equal(json_integer_value(json_object_get(details, "bytes_received")), received);
    json_decref(details);
    audit_entry_done(&e);
}

static void
the_first_attempt_is_written_at_once(void **state)
{
    struct ledger_case *t = *state;
    struct chain_report report;
    struct audit_entry e;
    json_t *details;

    note(t, "example.org", 443, "allowed", START_MS);
    assert_int_equal(count(t), 1);
    e = entry(t, 0, &details);
    assert_int_equal(e.kind, AUDIT_NETWORK);
    assert_int_equal(e.status, AUDIT_COMPLETED);
    assert_string_equal(e.owner, "alice");
    assert_string_equal(e.agent_id, "agent");
    assert_string_equal(e.session_id, "session");
    assert_string_equal(e.container_id, "container_000000000001");
    assert_string_equal(e.tier, "Standard");
    assert_string_equal(e.template_name, "base");
    assert_string_equal(e.command, "example.org:443");
    assert_string_equal(e.details, "{\"host\":\"example.org\",\"port\":443,\"allowed\":true,"
                                   "\"rule\":\"allowed\",\"attempts\":1,\"bytes_sent\":0,"
                                   "\"bytes_received\":0}");
    assert_int_equal(e.started_at_ms, START_MS);
    assert_int_equal(e.finished_at_ms, START_MS);
    assert_int_equal(e.exit_code, -1);
    assert_string_not_equal(e.hash, "");
    json_decref(details);
    audit_entry_done(&e);
    note(t, "2001:db8::1", 80, "refused", START_MS);
    e = entry(t, 0, &details);
    assert_int_equal(e.status, AUDIT_REFUSED);
    assert_string_equal(e.command, "[2001:db8::1]:80");
    assert_true(json_is_false(json_object_get(details, "allowed")));
    json_decref(details);
    audit_entry_done(&e);
    report = audit_case_verify(t->audit);
    assert_string_equal(report.what, "");
    assert_int_equal(report.entries, 2);
}

static void
a_loop_costs_two_entries_a_minute(void **state)
{
    struct ledger_case *t = *state;

    for (int minute = 0; minute < 3; minute++) {
        int64_t now_ms = START_MS + (int64_t)minute * LEDGER_WINDOW_MS;

        flush(t, now_ms);
        for (int i = 0; i < 1000; i++)
            note(t, "example.org", 443, "refused", now_ms + i);
        flush(t, now_ms + LEDGER_WINDOW_MS - 1);
        assert_int_equal(count(t), 2 * minute + 1);
        assert_counts(t, 0, "example.org:443", 1, 0, 0);
        flush(t, now_ms + LEDGER_WINDOW_MS);
        assert_int_equal(count(t), 2 * minute + 2);
        assert_counts(t, 0, "example.org:443", 999, 0, 0);
        flush(t, now_ms + LEDGER_WINDOW_MS);
        assert_int_equal(count(t), 2 * minute + 2);
    }
    assert_string_equal(audit_case_verify(t->audit).what, "");
}

static void
the_counted_entry_says_from_when_to_when(void **state)
{
    struct ledger_case *t = *state;
    struct audit_entry e;
    json_t *details;

    note(t, "example.org", 443, "refused", START_MS);
    note(t, "example.org", 443, "refused", START_MS + 100);
    note(t, "example.org", 443, "refused", START_MS + 350);
    flush(t, START_MS + LEDGER_WINDOW_MS);
    e = entry(t, 0, &details);
    assert_int_equal(e.started_at_ms, START_MS + 100);
    assert_int_equal(e.finished_at_ms, START_MS + 350);
    assert_int_equal(e.duration_ms, 250);
    json_decref(details);
    audit_entry_done(&e);
}

static void
what_differs_has_entries_of_its_own(void **state)
{
    struct ledger_case *t = *state;
    struct container other = container(2);

    note(t, "a.example", 443, "refused by one rule", START_MS);
    note(t, "b.example", 443, "refused by one rule", START_MS);
    note(t, "a.example", 80, "refused by one rule", START_MS);
    note(t, "a.example", 443, "refused by another", START_MS);
    note(t, "a.example", 443, "allowed", START_MS);
    note_by(t, &other, "a.example", 443, "refused by one rule", START_MS);
    assert_int_equal(count(t), 6);
    note(t, "a.example", 443, "refused by one rule", START_MS + 1);
    assert_int_equal(count(t), 6);
}

static void
bytes_come_with_the_minute(void **state)
{
    struct ledger_case *t = *state;

    note(t, "example.org", 443, "allowed: by a rule", START_MS);
    ledger_carried(t->ledger, &t->container, "example.org", 443, 10, 1000);
    ledger_carried(t->ledger, &t->container, "example.org", 443, 0, 0);
    ledger_carried(t->ledger, &t->container, "example.org", 443, 5, 500);
    flush(t, START_MS + LEDGER_WINDOW_MS);
    assert_int_equal(count(t), 2);
    assert_counts(t, 0, "example.org:443", 0, 15, 1500);
    /* a connection of before that goes on */
    ledger_carried(t->ledger, &t->container, "example.org", 443, 7, 0);
    assert_int_equal(count(t), 2);
    flush(t, START_MS + 2 * LEDGER_WINDOW_MS);
    assert_int_equal(count(t), 3);
    assert_counts(t, 0, "example.org:443", 0, 7, 0);
    ledger_carried(t->ledger, &t->container, "example.org", 443, 0, 0);
    flush(t, START_MS + 9 * LEDGER_WINDOW_MS);
    assert_int_equal(count(t), 3);
    assert_string_equal(audit_case_verify(t->audit).what, "");
}

static void
many_hosts_become_others(void **state)
{
    struct ledger_case *t = *state;
    struct container other = container(2);
    char host[64];

    for (int i = 0; i < LEDGER_HOSTS_MAX + 50; i++) {
        snprintf(host, sizeof(host), "host%d.example", i);
        note(t, host, 443, "refused", START_MS);
    }
    assert_int_equal(count(t), LEDGER_HOSTS_MAX + 1);
    assert_counts(t, 0, "*", 1, 0, 0);
    note(t, "more.example", 443, "allowed", START_MS); /* allowed and refused are told apart */
    assert_int_equal(count(t), LEDGER_HOSTS_MAX + 2);
    ledger_carried(t->ledger, &t->container, "more.example", 443, 1, 2);
    note(t, "host0.example", 443, "refused", START_MS); /* has its line */
    assert_int_equal(count(t), LEDGER_HOSTS_MAX + 2);
    note_by(t, &other, "more.example", 443, "refused", START_MS); /* another's hosts do not count */
    assert_int_equal(count(t), LEDGER_HOSTS_MAX + 3);
    assert_counts(t, 0, "more.example:443", 1, 0, 0);
    flush(t, START_MS + LEDGER_WINDOW_MS);
    assert_int_equal(count(t), LEDGER_HOSTS_MAX + 6);
    assert_counts(t, 2, "host0.example:443", 1, 0, 0);
    assert_counts(t, 1, "*", 49, 0, 0);
    assert_counts(t, 0, "*", 0, 1, 2);
    note(t, "more.example", 443, "refused", START_MS + LEDGER_WINDOW_MS); /* room again */
    assert_counts(t, 0, "more.example:443", 1, 0, 0);
}

static void
many_containers_have_others_only(void **state)
{
    enum { FULL = LEDGER_LINES_MAX / LEDGER_HOSTS_MAX };
    struct ledger_case *t = *state;
    struct container late = container(FULL);
    char host[64];

    for (unsigned c = 0; c < FULL; c++) {
        struct container one = container(c);

        for (int i = 0; i < LEDGER_HOSTS_MAX; i++) {
            snprintf(host, sizeof(host), "host%d.example", i);
            note_by(t, &one, host, 443, "refused", START_MS);
        }
    }
    assert_int_equal(count(t), LEDGER_LINES_MAX);
    for (int i = 0; i < 50; i++) {
        snprintf(host, sizeof(host), "host%d.example", i);
        note_by(t, &late, host, 443, "refused", START_MS);
    }
    assert_int_equal(count(t), LEDGER_LINES_MAX + 1);
    assert_counts(t, 0, "*", 1, 0, 0);
    flush(t, START_MS + LEDGER_WINDOW_MS);
    assert_counts(t, 0, "*", 49, 0, 0);
    note_by(t, &late, "host.example", 443, "refused", START_MS + LEDGER_WINDOW_MS);
    assert_counts(t, 0, "host.example:443", 1, 0, 0);
}

static void
what_cannot_be_written_is_counted(void **state)
{
    struct ledger_case *t = *state;
    const struct ledger_attempt attempt = {
        .container = &t->container, .host = "example.org", .port = 443, .rule = "refused"};
    struct error err = {0};

    tamper(t->audit, "ALTER TABLE audit RENAME TO elsewhere");
    assert_int_equal(ledger_note(t->ledger, t->audit->store, &attempt, START_MS, &err), -EIO);
    assert_int_equal(err.code, ERR_INTERNAL);
    note(t, "example.org", 443, "refused", START_MS + 1);
    assert_int_equal(ledger_flush(t->ledger, t->audit->store, INT64_MAX, NULL), -EIO);
    tamper(t->audit, "ALTER TABLE elsewhere RENAME TO audit");
    assert_int_equal(count(t), 0);
    flush(t, START_MS + LEDGER_WINDOW_MS);
    assert_int_equal(count(t), 1);
    assert_counts(t, 0, "example.org:443", 2, 0, 0);
}

static void
a_clock_that_goes_back_loses_nothing(void **state)
{
    struct ledger_case *t = *state;

    note(t, "example.org", 443, "refused", START_MS);
    note(t, "example.org", 443, "refused", START_MS - 500000);
    flush(t, START_MS - 500000);
    assert_int_equal(count(t), 2);
    assert_counts(t, 0, "example.org:443", 1, 0, 0);
}

static void
all_is_written_at_the_end(void **state)
{
    struct ledger_case *t = *state;

    note(t, "example.org", 443, "refused", START_MS);
    note(t, "example.org", 443, "refused", START_MS);
    flush(t, INT64_MAX);
    assert_int_equal(count(t), 2);
}

static void
the_log_gets_text_whatever_was_asked_for(void **state)
{
    struct ledger_case *t = *state;
    char host[1000], rule[1000];
    struct audit_entry e;
    json_t *details;

    note(t, "a\x01\xff\nb", 0, "refused", START_MS);
    assert_counts(t, 0, "a???b", 1, 0, 0);
    memset(host, 'h', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    memset(rule, 'r', sizeof(rule));
    for (size_t i = 1; i + 2 < sizeof(rule); i += 2)
        memcpy(rule + i, "\u00e9", 2); /* cut in the middle of one */
    rule[sizeof(rule) - 1] = '\0';
    note(t, host, 1, rule, START_MS);
    e = entry(t, 0, &details);
    assert_int_equal(strlen(json_string_value(json_object_get(details, "host"))), 253);
    assert_int_equal(strlen(json_string_value(json_object_get(details, "rule"))), 255);
    json_decref(details);
    audit_entry_done(&e);
    note(t, host, 1, rule + 1, START_MS);
    e = entry(t, 0, &details);
    assert_int_equal(strlen(json_string_value(json_object_get(details, "rule"))), 254);
    json_decref(details);
    audit_entry_done(&e);
}

static void
they_are_no_executions(void **state)
{
    struct ledger_case *t = *state;
    const struct audit_filter all = {0};
    struct audit_summary sum = {0};
    struct counts counts = {0};

    note(t, "example.org", 443, "allowed", START_MS);
    note(t, "example.net", 443, "refused", START_MS);
    audit_case_run(t->audit, "exec_0000000000000001", START_MS, 5);
    assert_int_equal(store_audit_summary(t->audit->store, &all, &sum, NULL), 0);
    assert_int_equal(sum.total, 1);
    assert_int_equal(sum.by_status.count, 1);
    assert_int_equal(sum.by_tier.count, 1);
    assert_string_equal(sum.by_tier.items[0].key, "Sandbox");
    audit_summary_done(&sum);
    assert_int_equal(store_counts(t->audit->store, NULL, 0, &counts, NULL), 0);
    assert_int_equal(counts.executions_since, 1);
    assert_int_equal(counts.executions_running, 0);
}

/* As GET audit?kind=network shows them. */
static void
the_api_shows_what_was_reached(void **state)
{
    static const char *const members[] = {"host",     "port",       "allowed",       "rule",
                                          "attempts", "bytes_sent", "bytes_received"};
    struct ledger_case *t = *state;
    json_auto_t *components = json_loads(openapi_components, 0, NULL);
    json_auto_t *document = json_pack("{s:O}", "components", components);
    struct json_schema check = {.document = document, .closed = true};
    json_auto_t *shown = NULL;
    struct audit_entry e;
    json_t *details;

    note(t, "example.org", 443, "allowed", START_MS);
    ledger_carried(t->ledger, &t->container, "example.org", 443, 10, 1000);
    flush(t, INT64_MAX);
    for (size_t back = 0; back < 2; back++) {
        e = entry(t, back, &details);
        shown = json_audit_entry(&e);
        for (size_t i = 0; i < ARRAY_LEN(members); i++)
            assert_true(json_equal(json_object_get(shown, members[i]),
                                   json_object_get(details, members[i])));
        if (json_schema_check(&check,
                              json_schema_resolve(document, "#/components/schemas/AuditEntry"),
                              shown) < 0)
            fail_msg("%s", check.why);
        json_decref(TAKE(shown));
        json_decref(details);
        audit_entry_done(&e);
    }
}

static void
they_are_retired_with_the_rest(void **state)
{
    struct ledger_case *t = *state;

    note(t, "old.example", 443, "refused", START_MS);
    note(t, "new.example", 443, "refused", START_MS + 1000);
    assert_int_equal(audit_case_retire(t->audit, "exec_00000000000000cc", START_MS + 500), 1);
    audit_case_purge(t->audit);
    assert_int_equal(count(t), 1);
    assert_counts(t, 0, "new.example:443", 1, 0, 0);
    assert_string_equal(audit_case_verify(t->audit).what, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_attempt_is_written_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_loop_costs_two_entries_a_minute, setup, teardown),
        cmocka_unit_test_setup_teardown(the_counted_entry_says_from_when_to_when, setup, teardown),
        cmocka_unit_test_setup_teardown(what_differs_has_entries_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_come_with_the_minute, setup, teardown),
        cmocka_unit_test_setup_teardown(many_hosts_become_others, setup, teardown),
        cmocka_unit_test_setup_teardown(many_containers_have_others_only, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_goes_back_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(all_is_written_at_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(the_log_gets_text_whatever_was_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(they_are_no_executions, setup, teardown),
        cmocka_unit_test_setup_teardown(the_api_shows_what_was_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(they_are_retired_with_the_rest, setup, teardown),
    };

    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
