/* The policy's answers, as the proxy and explain give them. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "backend/egress/name.h"
#include "backend/egress/verdict.h"

#define NONE NETWORK_NONE
#define REST NETWORK_RESTRICTED
#define FULL NETWORK_FULL

/* What the admin has written. */
static const char *allowed[] = {"example.org", "*.Example.NET",   "MÜNCHEN.de",
                                "127.1",       "[2001:DB8::0:7]", "8.8.8.8"};
static const char *blocked[] = {"bad.example.net", "*.ads.example.net", "8.8.8.8", "9.9.9.9"};
static const char *permitted[] = {"127.0.0.0/8", "fd00::/8"};
static int64_t ports[] = {80, 443, 8080}, plain_ports[] = {8080};

static struct settings
policy(bool enabled)
{
    return (struct settings){
        .policy.network_policy =
            {
                .enabled = enabled,
                .allowed_domains = {.items = allowed, .count = ARRAY_LEN(allowed)},
                .blocked_domains = {.items = blocked, .count = ARRAY_LEN(blocked)},
            },
        .egress =
            {
                .ports = {.items = ports, .count = ARRAY_LEN(ports)},
                .plain_ports = {.items = plain_ports, .count = ARRAY_LEN(plain_ports)},
                .permit_addresses = {.items = permitted, .count = ARRAY_LEN(permitted)},
            },
    };
}

struct judged {
    enum network network;
    const char *host;
    unsigned port;
    bool allowed;
    const char *rule;
};

static void
assert_judged(const struct settings *s, const struct judged *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct judged *c = &cases[i];
        struct egress_verdict v = egress_judge(s, c->network, c->host, c->port);

        print_message("    network %d: %s:%u\n", (int)c->network, c->host, c->port);
        assert_string_equal(v.rule, c->rule);
        assert_int_equal(v.allowed, c->allowed);
    }
}

static void
the_rule_that_decides_is_named(void **state)
{
    static const struct judged cases[] = {
        {NETWORK_UNSET, "example.org", 443, false, "network None reaches nothing"},
        {NONE, "example.org", 443, false, "network None reaches nothing"},
        {REST, "example.org", 443, true, "network_policy.allowed_domains: example.org"},
        {REST, "example.org", 80, true, "network_policy.allowed_domains: example.org"},
        {REST, "example.org", 0, true, "network_policy.allowed_domains: example.org"},
        {REST, "example.org", 22, false, "egress.ports does not hold 22"},
        {REST, "a.example.org", 443, false, "network_policy.allowed_domains does not name it"},
        {REST, "example.com", 22, false, "network_policy.allowed_domains does not name it"},
        {REST, "a.b.example.net", 443, true, "network_policy.allowed_domains: *.Example.NET"},
        {REST, "example.net", 443, false, "network_policy.allowed_domains does not name it"},
        {REST, "xn--mnchen-3ya.de", 443, true, "network_policy.allowed_domains: MÜNCHEN.de"},
        {REST, "bad.example.net", 443, false, "network_policy.blocked_domains: bad.example.net"},
        {REST, "x.ads.example.net", 1, false, "network_policy.blocked_domains: *.ads.example.net"},
        {REST, "127.0.0.1", 443, true, "network_policy.allowed_domains: 127.1"},
        {REST, "2001:db8::7", 443, true, "network_policy.allowed_domains: [2001:DB8::0:7]"},
        {REST, "8.8.4.4", 443, false, "network_policy.allowed_domains does not name this address"},
        {REST, "8.8.8.8", 443, false, "network_policy.blocked_domains: 8.8.8.8"},
        {FULL, "anything.test", 22, true, "network_policy.blocked_domains does not name it"},
        {FULL, "anything.test", 0, true, "network_policy.blocked_domains does not name it"},
        {FULL, "example.org", 22, true, "network_policy.allowed_domains: example.org"},
        {FULL, "bad.example.net", 22, false, "network_policy.blocked_domains: bad.example.net"},
        {FULL, "127.0.0.1", 22, true, "network_policy.allowed_domains: 127.1"},
        {FULL, "8.8.4.4", 443, false, "network_policy.allowed_domains does not name this address"},
        {FULL, "2606:4700::1111", 443, false,
         "network_policy.allowed_domains does not name this address"},
    };
    const struct settings s = policy(true);

    (void)state;
    assert_judged(&s, cases, ARRAY_LEN(cases));
}

static void
a_disabled_policy_closes_restricted_and_opens_full(void **state)
{
    static const struct judged cases[] = {
        {NONE, "example.org", 443, false, "network None reaches nothing"},
        {REST, "example.org", 443, false, "network_policy.enabled is false"},
        {REST, "bad.example.net", 443, false, "network_policy.enabled is false"},
        {REST, "127.0.0.1", 443, false, "network_policy.enabled is false"},
        {FULL, "bad.example.net", 22, true, "network Full, and nothing is blocked"},
        {FULL, "8.8.4.4", 443, true, "network Full, and nothing is blocked"},
    };
    const struct settings s = policy(false);

    (void)state;
    assert_judged(&s, cases, ARRAY_LEN(cases));
}

static void
empty_lists_let_restricted_reach_nothing(void **state)
{
    static const struct judged cases[] = {
        {REST, "example.org", 443, false, "network_policy.allowed_domains does not name it"},
        {REST, "8.8.8.8", 443, false, "network_policy.allowed_domains does not name this address"},
        {FULL, "example.org", 443, true, "network Full, and nothing is blocked"},
    };
    const struct settings empty = {.policy.network_policy.enabled = true};
    struct settings portless = policy(true);
    struct egress_verdict v;

    (void)state;
    assert_judged(&empty, cases, ARRAY_LEN(cases));
    portless.egress.ports = (struct ints){0};
    v = egress_judge(&portless, REST, "example.org", 443);
    assert_false(v.allowed);
    assert_string_equal(v.rule, "egress.ports does not hold 443");
}

static void
an_address_has_to_be_of_the_internet(void **state)
{
    static const struct {
        enum network network;
        const char *address;
        bool enabled, allowed;
        const char *rule;
    } cases[] = {
        {REST, "93.184.216.34", true, true, "93.184.216.34 is an address of the internet"},
        {REST, "10.0.0.1", true, false,
         "10.0.0.1 is no address of the internet, nor in egress.permit_addresses"},
        {REST, "::ffff:169.254.169.254", true, false,
         "169.254.169.254 is no address of the internet, nor in egress.permit_addresses"},
        {REST, "64:ff9b::10.0.0.1", true, false,
         "64:ff9b::a00:1 is no address of the internet, nor in egress.permit_addresses"},
        {REST, "64:ff9b::127.0.0.1", true, false,
         "64:ff9b::7f00:1 is no address of the internet, nor in egress.permit_addresses"},
        {REST, "127.0.0.53", true, true, "egress.permit_addresses: 127.0.0.0/8"},
        {REST, "fd00::1", true, true, "egress.permit_addresses: fd00::/8"},
        {REST, "::1", true, false,
         "::1 is no address of the internet, nor in egress.permit_addresses"},
        /* whatever the name was; and blocked wins over permitted */
        {REST, "8.8.8.8", true, false, "network_policy.blocked_domains: 8.8.8.8"},
        {REST, "64:ff9b::8.8.8.8", true, false, "network_policy.blocked_domains: 8.8.8.8"},
        {FULL, "9.9.9.9", true, false, "network_policy.blocked_domains: 9.9.9.9"},
        {FULL, "9.9.9.9", false, true, "9.9.9.9 is an address of the internet"},
        {FULL, "10.0.0.1", false, false,
         "10.0.0.1 is no address of the internet, nor in egress.permit_addresses"},
        {REST, "93.184.216.34", false, false, "network_policy.enabled is false"},
        {NONE, "93.184.216.34", true, false, "network None reaches nothing"},
    };
    struct egress_verdict v;
    struct egress_address a;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct settings s = policy(cases[i].enabled);

        print_message("    network %d: %s\n", (int)cases[i].network, cases[i].address);
        assert_int_equal(egress_address_parse(cases[i].address, &a), 0);
        v = egress_judge_address(&s, cases[i].network, &a);
        assert_string_equal(v.rule, cases[i].rule);
        assert_int_equal(v.allowed, cases[i].allowed);
    }
}

static void
a_long_pattern_leaves_a_rule_that_is_text(void **state)
{
    static char pattern[1024]; /* 'ö' and soft hyphens, which are mapped to nothing */
    const char *items[] = {pattern};
    struct settings s = {.policy.network_policy = {
                             .enabled = true, .blocked_domains = {.items = items, .count = 1}}};
    size_t len;
    struct egress_verdict v;

    (void)state;
    for (len = 0; len < 400; len += 2)
        snprintf(pattern + len, sizeof(pattern) - len, "\u00ad");
    for (size_t shift = 0; shift < 2; shift++) {
        snprintf(pattern + len, sizeof(pattern) - len, "%s", shift ? "a.org" : "org");
        v = egress_judge(&s, REST, shift ? "a.org" : "org", 443);
        assert_memory_equal(v.rule, "network_policy.blocked_domains: \u00ad", 34);
        assert_true(strlen(v.rule) >= EGRESS_RULE_SIZE - 4);
        assert_true(strlen(v.rule) % 2 == 0); /* no half of a character at its end */
    }
}

/* Whatever way a pattern is written, it names the names that its one spelling does. */
static void
patterns_match_as_they_are_spelled(void **state)
{
    static const char *const patterns[] = {
        "Example.ORG",
        "example.org.",
        "*.EXAMPLE.org",
        "ex\u00e4mple.org",
        "*.ex\u00e4mple.ORG.",
        "example\uff0eorg",
        "example.org\uff0e",
        "*.\uff45xample.org",
        "a\u0308.org",
        "*.org",
        "exam\u00adple.org",
        "XN--MNCHEN-3YA.de",
        "m\u00fcnchen.DE",
        "org.\u4f8b\u3048",
        "org",
        "\u24d0.b.org",
        "*.\u24d0.b.org",
        "m\u00fcnchen\u3002de.",
    };
    static const char *const names[] = {
        "example.org",
        "a.example.org",
        "xn--exmple-cua.org",
        "a.xn--exmple-cua.org",
        "org",
        "xn--4ca.org",
        "xn--mnchen-3ya.de",
        "org.xn--r8jz45g",
        "a.b.org",
        "x.a.b.org",
        "ple.org",
        "badexample.org",
        "mple.org",
        "de",
    };
    size_t named = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(patterns) * ARRAY_LEN(names); i++) {
        const char *item = patterns[i / ARRAY_LEN(names)], *name = names[i % ARRAY_LEN(names)];
        const struct settings s = {
            .policy.network_policy = {.enabled = true,
                                      .allowed_domains = {.items = &item, .count = 1}},
            .egress.ports = {.items = ports, .count = ARRAY_LEN(ports)},
        };
        char spelled[EGRESS_NAME_SIZE];
        bool expected;

        assert_int_equal(egress_pattern(item, spelled), 0);
        expected = egress_pattern_names(spelled, name);
        if (egress_judge(&s, REST, name, 443).allowed != expected)
            fail_msg("%s, %s: not %d", item, name, expected);
        named += expected;
    }
    assert_true(named > ARRAY_LEN(patterns));
}

static void
a_host_in_another_spelling_is_refused(void **state)
{
    static const char *const hosts[] = {
        "Example.org",   "example.org.",   "*.example.net",   "127.1",
        "[2001:db8::7]", "2001:DB8::7",    "m\u00fcnchen.de", "",
        "a b",           "example.org:443"};
    const struct settings policies[] = {policy(true), policy(false)};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hosts) * 2; i++) {
        struct egress_verdict v = egress_judge(&policies[i % 2], FULL, hosts[i / 2], 443);

        assert_false(v.allowed);
        assert_string_equal(v.rule, "not a host's name or address in its one spelling");
    }
}

static void
other_than_tls_is_for_the_ports_that_say_so(void **state)
{
    const struct settings s = policy(true);

    (void)state;
    assert_true(egress_plain_allowed(&s, REST, 8080));
    assert_false(egress_plain_allowed(&s, REST, 443));
    assert_false(egress_plain_allowed(&s, REST, 80));
    assert_true(egress_plain_allowed(&s, FULL, 22));
    assert_false(egress_plain_allowed(&s, FULL, 443));
    assert_false(egress_plain_allowed(&s, NONE, 8080));
    assert_false(egress_plain_allowed(&s, NETWORK_UNSET, 8080));
}

static void
full_is_proxied_while_something_is_blocked(void **state)
{
    struct settings s = policy(true);

    (void)state;
    assert_true(egress_proxied(&s, REST));
    assert_true(egress_proxied(&s, FULL));
    assert_false(egress_proxied(&s, NONE));
    assert_false(egress_proxied(&s, NETWORK_UNSET));
    s.policy.network_policy.blocked_domains.count = 0;
    assert_true(egress_proxied(&s, REST));
    assert_false(egress_proxied(&s, FULL));
    s = policy(false);
    assert_true(egress_proxied(&s, REST));
    assert_false(egress_proxied(&s, FULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_that_decides_is_named),
        cmocka_unit_test(a_disabled_policy_closes_restricted_and_opens_full),
        cmocka_unit_test(empty_lists_let_restricted_reach_nothing),
        cmocka_unit_test(an_address_has_to_be_of_the_internet),
        cmocka_unit_test(a_long_pattern_leaves_a_rule_that_is_text),
        cmocka_unit_test(patterns_match_as_they_are_spelled),
        cmocka_unit_test(a_host_in_another_spelling_is_refused),
        cmocka_unit_test(other_than_tls_is_for_the_ports_that_say_so),
        cmocka_unit_test(full_is_proxied_while_something_is_blocked),
    };

    return cmocka_run_group_tests_name("egress verdict", tests, NULL, NULL);
}
