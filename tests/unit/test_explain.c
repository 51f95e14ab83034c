/* explain's answer about a host is the egress proxy's: the same verdict, of the same spelling. */
#include "tests/unit/audit_case.h"
#include "tests/unit/egress_world.h"

#include <errno.h>

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/egress/name.h"
#include "backend/egress/verdict.h"
#include "backend/explain.h"

struct explain_case {
    struct audit_case *audit;
    struct settings *shipped;
    struct service_context context;
    struct backend *backend; /* nobody answers as its engine: images count as not there */
};

static int
setup(void **state)
{
    struct explain_case *t = calloc(1, sizeof(*t));
    struct error err = {0};
    void *audit = NULL;

    if (!t || audit_case_setup(&audit) < 0)
        return -1;
    *state = t;
    t->audit = audit;
    t->context.state_dir = t->audit->dir;
    t->context.shared = t->audit->shared;
    t->backend = backend_new(&t->context);
    if (settings_load("yaml", NULL, &t->shipped, &err) < 0)
        print_error("%s\n", err.msg);
    return t->backend && t->shipped ? 0 : -1;
}

static int
teardown(void **state)
{
    struct explain_case *t = *state;
    void *audit = t->audit;

    backend_free(t->backend);
    settings_unref(t->shipped);
    free(t);
    return audit_case_teardown(&audit);
}

/* What the proxy would decide of @domain: the name it is asked for, and an address at once. */
static struct egress_verdict
proxys_verdict(const struct settings *s, enum network network, const char *domain)
{
    char host[EGRESS_NAME_SIZE];
    struct egress_address address;
    struct egress_verdict v, there;

    if (egress_address_parse(domain, &address) < 0) {
        assert_int_equal(egress_name(domain, host), 0);
        return egress_judge(s, network, host, 0);
    }
    egress_address_text(&address, host);
    v = egress_judge(s, network, host, 0);
    there = egress_judge_address(s, network, &address);
    return v.allowed && !there.allowed ? there : v;
}

static void
its_verdict_is_the_proxys(void **state)
{
    static const char *const policies[] = {
        "{}",
        "{\"network_policy\": {\"enabled\": true}}",
        "{\"network_policy\": {\"enabled\": true, \"allowed_domains\": [\"*.Example.org\","
        " \"m\u00fcnchen.de\", \"8.8.8.8\", \"127.1\"]}}",
        "{\"network_policy\": {\"enabled\": true, \"allowed_domains\": [\"*.example.org\","
        " \"8.8.8.8\"], \"blocked_domains\": [\"bad.example.org\", \"8.8.8.8\"]}}",
        "{\"network_policy\": {\"enabled\": false, \"allowed_domains\": [\"*.example.org\"],"
        " \"blocked_domains\": [\"bad.example.org\"]}}",
    };
    static const char *const tiers[] = {"Sandbox", "Standard", "Elevated", NULL};
    static const char *const domains[] = {
        "a.example.org", "A.EXAMPLE.ORG.", "example.org",     "bad.example.org", "M\u00dcNCHEN.de",
        "8.8.8.8",       "134744072",      "::ffff:8.8.8.8",  "127.0.0.1",       "[::1]",
        "10.0.0.1",      "8.8.4.4",        "64:ff9b::7f00:1", OWN_ADDRESS,
    };
    struct explain_case *t = *state;
    size_t allowed = 0, asked = 0;

    for (size_t p = 0; p < ARRAY_LEN(policies); p++) {
        json_auto_t *overrides = json_loads(policies[p], 0, NULL);
        _cleanup_(settings_unrefp) struct settings *s = NULL;

        assert_int_equal(settings_with_overrides(t->shipped, overrides, &s, NULL), 0);
        t->backend->settings = s;
        for (size_t i = 0; i < ARRAY_LEN(tiers) * ARRAY_LEN(domains); i++) {
            const struct placement where = {
                .user = "admin", .tier = tiers[i / ARRAY_LEN(domains)], .sandbox = true};
            const char *domain = domains[i % ARRAY_LEN(domains)];
            struct egress_verdict v;
            struct explanation x;
            struct error err = {0};

            if (explain_placement(t->backend, &where, domain, &x, &err) < 0)
                fail_msg("%s: %s", domain, err.msg);
            assert_true(x.planned);
            v = proxys_verdict(s, x.plan.network, domain);
            if (x.domain_allowed != v.allowed || strcmp(x.domain_rule, v.rule) != 0)
                fail_msg("policy %zu, tier %s, %s: '%s', not '%s'", p, where.tier, domain,
                         x.domain_rule, v.rule);
            allowed += v.allowed;
            asked++;
        }
        t->backend->settings = NULL;
    }
    assert_true(allowed > 0 && allowed < asked);
}

/* Of the internet, but this machine's: the network here is one of the test's own. */
static void
the_machines_own_address_is_refused(void **state)
{
    struct explain_case *t = *state;
    const struct placement where = {.user = "admin", .tier = "Elevated", .sandbox = true};
    static const struct {
        const char *override, *domain, *rule;
        bool allowed;
    } cases[] = {
        {"{}", OWN_ADDRESS, "an address of this machine, not in egress.permit_addresses", false},
        {"{}", "::ffff:" OWN_ADDRESS, "an address of this machine, not in egress.permit_addresses",
         false},
        {"{}", "8.8.8.8", "network Full, and nothing is blocked", true},
        {"{\"network_policy\": {\"enabled\": true, \"blocked_domains\": [\"" OWN_ADDRESS "\"]}}",
         OWN_ADDRESS, "network_policy.blocked_domains: " OWN_ADDRESS, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_auto_t *overrides = json_loads(cases[i].override, 0, NULL);
        _cleanup_(settings_unrefp) struct settings *s = NULL;
        struct explanation x;
        struct error err = {0};

        assert_int_equal(settings_with_overrides(t->shipped, overrides, &s, NULL), 0);
        t->backend->settings = s;
        if (explain_placement(t->backend, &where, cases[i].domain, &x, &err) < 0)
            fail_msg("%s: %s", cases[i].domain, err.msg);
        t->backend->settings = NULL;
        assert_string_equal(x.domain_rule, cases[i].rule);
        assert_int_equal(x.domain_allowed, cases[i].allowed);
    }
}

static void
what_the_proxy_cannot_read_is_no_domain(void **state)
{
    static const char *const cases[] = {"*.example.org", "a..b",      "example.org:80",
                                        "10.0.0.0/8",    "1.2.3.256", "a\uff0fb.org",
                                        "user@a.org",    "a%00.org",  "fe80::1%eth0"};
    struct explain_case *t = *state;
    const struct placement where = {.user = "admin"};

    t->backend->settings = settings_ref(t->shipped); /* backend_free() gives it back */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct explanation x;
        struct error err = {0};

        print_message("    %s\n", cases[i]);
        assert_int_equal(explain_placement(t->backend, &where, cases[i], &x, &err), -EINVAL);
        assert_string_equal(err.violations[0].pointer, "/domain");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_verdict_is_the_proxys, setup, teardown),
        cmocka_unit_test_setup_teardown(the_machines_own_address_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_proxy_cannot_read_is_no_domain, setup, teardown),
    };

    world_isolate();
    return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
