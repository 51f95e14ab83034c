/* Counting in shared memory, and the text that Prometheus reads. */
#include "tests/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/egress/tally.h"
#include "backend/exposition.h"
#include "backend/shared.h"
#include "backend/store/records.h"
#include "fcgi/problem.h"
#include "handlers/metrics.h"
#include "handlers/routes.h"

enum { PROCESSES = 4, EACH = 20000, TEXT_MAX = 1 << 16 };

/* Each test counts in a mapping of its own. */
static int
setup(void **state)
{
    char dir[] = "/tmp/test-metrics.XXXXXX";
    struct shared *shared = NULL;
    char path[64];
    int r;

    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/shared", dir);
    r = shared_create(path, &shared, NULL);
    unlink(path);
    rmdir(dir);
    if (r == 0)
        metrics_use(&shared->metrics);
    return r;
}

static void
a_bucket_ends_with_its_bound(void **state)
{
    static const struct {
        int64_t ns;
        size_t bucket;
    } cases[] = {
        {-5, 0},
        {0, 0},
        {99, 0},
        {100, 0},
        {101, 1},
        {200, 1},
        {201, 2},
        {400, 2},
        {401, 3},
        {800, 3},
        {(100LL << 19), 19},
        {(100LL << 19) + 1, 20},
        {INT64_MAX, 20},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (metrics_bucket(100, cases[i].ns) != cases[i].bucket)
            fail_msg("%lld ns: bucket %zu", (long long)cases[i].ns,
                     metrics_bucket(100, cases[i].ns));
}

static void
processes_add_up_also_when_one_is_killed(void **state)
{
    struct metrics *m = metrics_get();
    uint64_t buckets = 0;
    pid_t pids[PROCESSES];

    (void)state;
    for (int p = 0; p < PROCESSES; p++) {
        pids[p] = fork();
        if (pids[p] != 0)
            continue;
        for (int i = 0; i < EACH; i++)
            metrics_request(3, i % 2 ? 200 : 404, 1000000);
        kill(getpid(), SIGKILL);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status = 0;

        assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
        assert_true(WIFSIGNALED(status));
    }
    assert_int_equal(m->routes[3].statuses[0], PROCESSES * EACH / 2);
    assert_int_equal(m->routes[3].statuses[7], PROCESSES * EACH / 2);
    for (size_t i = 0; i <= METRICS_BUCKETS; i++)
        buckets += m->routes[3].duration.buckets[i];
    assert_int_equal(buckets, PROCESSES * EACH);
    assert_int_equal(m->routes[3].duration.sum_ns, PROCESSES * EACH * 1000000LL);
}

static void
what_has_no_place_is_counted_as_other(void **state)
{
    struct metrics *m = metrics_get();

    (void)state;
    metrics_request(METRICS_ROUTES_MAX, 418, 1);
    assert_int_equal(m->routes[0].statuses[METRICS_STATUSES - 1], 1);
    for (int i = 0; i < METRICS_TIERS_MAX + 10; i++) {
        char name[24];

        snprintf(name, sizeof(name), "tier-%d", i);
        metrics_execution(name, AUDIT_COMPLETED);
        metrics_execution("tier-0", AUDIT_FAILED);
    }
    assert_string_equal(metrics_tier_name(&m->tiers[1]), "tier-0");
    assert_int_equal(m->tiers[1].results[AUDIT_COMPLETED - 1], 1);
    assert_int_equal(m->tiers[1].results[AUDIT_FAILED - 1], METRICS_TIERS_MAX + 10);
    assert_int_equal(m->tiers[0].results[AUDIT_COMPLETED - 1], 11);
    assert_int_equal(m->tiers[0].results[AUDIT_FAILED - 1], 0);
    metrics_execution("tier-1", AUDIT_REFUSED + 1);
}

/* A process that died while it named a place leaves it to nobody. */
static void
a_place_that_is_being_named_is_passed_by(void **state)
{
    struct metrics *m = metrics_get();

    (void)state;
    m->tiers[1].state = 1;
    metrics_execution("", AUDIT_KILLED);
    metrics_execution("", AUDIT_KILLED);
    assert_null(metrics_tier_name(&m->tiers[1]));
    assert_string_equal(metrics_tier_name(&m->tiers[2]), "none");
    assert_int_equal(m->tiers[2].results[AUDIT_KILLED - 1], 2);
    assert_null(metrics_tier_name(&m->tiers[3]));
}

static void
a_worker_that_has_gone_is_at_nothing(void **state)
{
    const struct metrics_worker *workers = metrics_get()->workers;

    (void)state;
    metrics_worker_begin(5);
    metrics_lane(METRICS_LANE_EXECUTION, 3, 0);
    metrics_lane(METRICS_LANE_EXECUTION, -1, 1);
    assert_int_equal(workers[5].waiting[METRICS_LANE_EXECUTION], 2);
    assert_int_equal(workers[5].busy[METRICS_LANE_EXECUTION], 1);
    assert_int_equal(workers[5].busy[METRICS_LANE_CONTROL], 0);
    metrics_worker_gone(5);
    assert_int_equal(workers[5].waiting[METRICS_LANE_EXECUTION], 0);
    assert_int_equal(workers[5].busy[METRICS_LANE_EXECUTION], 0);
    metrics_worker_begin(0);
}

/* The text of one family; the caller frees it. */
static char *
finish(struct exposition *e)
{
    assert_int_equal(e->error, 0);
    return buf_take(&e->text);
}

static void
labels_are_escaped(void **state)
{
    struct exposition e = {0};
    _cleanup_(freep) char *text = NULL;

    (void)state;
    buf_init(&e.text, TEXT_MAX);
    exposition_family(&e, "a_total", "counter", "What it is.");
    exposition_sample(&e, NULL, 7);
    exposition_sample(&e, (const struct exposition_label[]){{"x", "a\\b\"c\nd"}, {"y", ""}, {0}},
                      -1);
    exposition_sample(&e, (const struct exposition_label[]){{"x", "\"\n\\"}, {0}}, INT64_MAX);
    exposition_seconds(&e, NULL, 1700000000042);
    text = finish(&e);
    assert_string_equal(text, "# HELP a_total What it is.\n# TYPE a_total counter\n"
                              "a_total 7\n"
                              "a_total{x=\"a\\\\b\\\"c\\nd\",y=\"\"} -1\n"
                              "a_total{x=\"\\\"\\n\\\\\"} 9223372036854775807\n"
                              "a_total 1700000000.042\n");
}

static void
a_histogram_is_cumulative_and_ends_with_its_count(void **state)
{
    static const int64_t taken_ns[] = {1, 16000, 16001, 50000, 9000000000};
    struct exposition e = {0};
    _cleanup_(freep) char *text = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(taken_ns); i++)
        metrics_write_wait(taken_ns[i]);
    buf_init(&e.text, TEXT_MAX);
    exposition_family(&e, "w", "histogram", "Waits.");
    exposition_histogram(&e, (struct exposition_label){0}, &metrics_get()->write_wait,
                         METRICS_WRITE_FIRST_NS);
    exposition_histogram(&e, (struct exposition_label){"a", "b"}, &metrics_get()->write_wait,
                         METRICS_WRITE_FIRST_NS);
    text = finish(&e);
    assert_non_null(strstr(text, "\nw_bucket{le=\"1.6e-05\"} 2\nw_bucket{le=\"3.2e-05\"} 3\n"
                                 "w_bucket{le=\"6.4e-05\"} 4\n"));
    assert_non_null(strstr(text, "\nw_bucket{le=\"8.388608\"} 4\nw_bucket{le=\"+Inf\"} 5\n"
                                 "w_sum 9.000082002\nw_count 5\n"));
    assert_non_null(strstr(text, "\nw_bucket{a=\"b\",le=\"+Inf\"} 5\n"
                                 "w_sum{a=\"b\"} 9.000082002\nw_count{a=\"b\"} 5\n"));
}

static void
text_that_does_not_fit_is_noticed(void **state)
{
    struct exposition e = {0};

    (void)state;
    buf_init(&e.text, 40);
    exposition_family(&e, "a", "gauge", "A.");
    assert_int_equal(e.error, 0);
    exposition_sample(&e, (const struct exposition_label[]){{"label", "and its value"}, {0}}, 1);
    exposition_sample(&e, NULL, 1);
    assert_int_equal(e.error, -EMSGSIZE);
    buf_done(&e.text);
}

static void
every_route_has_a_number_of_its_own(void **state)
{
    size_t expected = 0;

    (void)state;
    assert_int_equal(metrics_route_number(route_tables, NULL), 0);
    for (const struct route *const *t = route_tables; *t; t++)
        for (const struct route *r = *t; r->method; r++)
            assert_int_equal(metrics_route_number(route_tables, r), ++expected);
    assert_true(expected < METRICS_ROUTES_MAX);
}

static void
every_status_that_is_answered_is_told_apart(void **state)
{
    (void)state;
    for (int code = ERR_NONE + 1; code < ERROR_CODE_COUNT; code++) {
        int status = problem_status((enum error_code)code);
        bool known = false;

        for (size_t i = 0; i < METRICS_STATUSES; i++)
            known = known || metrics_statuses[i] == status;
        if (!known)
            fail_msg("%d of %s", status, error_name((enum error_code)code));
    }
    assert_null(audit_status_names[METRICS_RESULTS]);
    assert_string_equal(audit_status_names[METRICS_RESULTS - 1], "refused");
}

static void
rules_are_known_by_their_kinds(void **state)
{
    static const struct {
        const char *rule;
        enum metrics_rule kind;
    } cases[] = {
        {"network_policy.allowed_domains: *.example.org", METRICS_RULE_ALLOWED_DOMAINS},
        {"network_policy.allowed_domains does not name it", METRICS_RULE_ALLOWED_DOMAINS},
        {"network_policy.blocked_domains: egress.permit_addresses", METRICS_RULE_BLOCKED_DOMAINS},
        {"network_policy.enabled is false", METRICS_RULE_ENABLED},
        {"network Full, and nothing is blocked", METRICS_RULE_NETWORK},
        {"the container's network is None", METRICS_RULE_NETWORK},
        {"egress.ports does not hold 22", METRICS_RULE_PORTS},
        {"egress.plain_ports", METRICS_RULE_PORTS},
        {"10.0.0.1 is no address of the internet, nor in egress.permit_addresses",
         METRICS_RULE_ADDRESS},
        {"an address of this machine, not in egress.permit_addresses", METRICS_RULE_ADDRESS},
        {"tls server name is not the host: egress.permit_addresses", METRICS_RULE_TLS},
        {"egress.mb_per_hour", METRICS_RULE_LIMIT},
        {"egress.connections_max", METRICS_RULE_LIMIT},
        {"bad request: tls", METRICS_RULE_REQUEST},
        {"upstream: it does not answer in time", METRICS_RULE_UPSTREAM},
        {"the settings cannot be read", METRICS_RULE_OTHER},
        {"", METRICS_RULE_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (tally_kind(cases[i].rule) != cases[i].kind)
            fail_msg("'%s' is taken for one of %s", cases[i].rule,
                     metrics_rule_names[tally_kind(cases[i].rule)]);
    tally(true, cases[0].rule);
    tally(false, cases[1].rule);
    assert_int_equal(metrics_get()->egress[1][METRICS_RULE_ALLOWED_DOMAINS], 1);
    assert_int_equal(metrics_get()->egress[0][METRICS_RULE_ALLOWED_DOMAINS], 1);
}

/* Every name is there: a forgotten one would be a NULL in the text. */
static void
everything_has_a_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRICS_CALLS; i++)
        assert_non_null(metrics_call_names[i]);
    for (size_t i = 0; i < METRICS_RULES; i++)
        assert_non_null(metrics_rule_names[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_ends_with_its_bound),
        cmocka_unit_test_setup(processes_add_up_also_when_one_is_killed, setup),
        cmocka_unit_test_setup(what_has_no_place_is_counted_as_other, setup),
        cmocka_unit_test_setup(a_place_that_is_being_named_is_passed_by, setup),
        cmocka_unit_test_setup(a_worker_that_has_gone_is_at_nothing, setup),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test_setup(a_histogram_is_cumulative_and_ends_with_its_count, setup),
        cmocka_unit_test(text_that_does_not_fit_is_noticed),
        cmocka_unit_test(every_route_has_a_number_of_its_own),
        cmocka_unit_test(every_status_that_is_answered_is_told_apart),
        cmocka_unit_test_setup(rules_are_known_by_their_kinds, setup),
        cmocka_unit_test(everything_has_a_name),
    };

    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
