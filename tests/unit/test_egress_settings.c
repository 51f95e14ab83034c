/* The section `egress` of sandbox.yaml, and the domains of network_policy: what is refused, and
 * where it is said to stand. */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/config/settings.h"

#define SHIPPED "yaml"

#define DOMAIN                                                                                     \
    "must be a host name such as example.org, *.example.org for the names below it, or an "        \
    "address, without scheme, port or path"
#define NETWORK                                                                                    \
    "must be an address or a network such as 10.1.0.0/16 or fd00::/8, with no bits set after its " \
    "prefix"
#define NAMESERVER                                                                                 \
    "must be an address such as 192.0.2.1 or 2001:db8::1, or one with a port such as "             \
    "192.0.2.1:53 or [2001:db8::1]:53"

static const char *const shipped[] = {"tiers.yaml", "templates.yaml", "access.yaml"};

/* A directory with a sandbox.yaml to be written, and the shipped files beside it. */
static int
setup(void **state)
{
    char *dir = strdup("/tmp/test-egress.XXXXXX");
    char cwd[512], target[640], path[128];

    if (!dir || !mkdtemp(dir) || !getcwd(cwd, sizeof(cwd)))
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(shipped); i++) {
        snprintf(target, sizeof(target), "%s/" SHIPPED "/%s", cwd, shipped[i]);
        snprintf(path, sizeof(path), "%s/%s", dir, shipped[i]);
        if (symlink(target, path) < 0)
            return -1;
    }
    *state = dir;
    return 0;
}

static int
teardown(void **state)
{
    _cleanup_(freep) char *dir = *state;
    char path[128];

    for (size_t i = 0; i < ARRAY_LEN(shipped); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, shipped[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/sandbox.yaml", dir);
    unlink(path);
    return rmdir(dir);
}

/* Load settings whose sandbox.yaml is @text. */
static int
load(const char *dir, const char *text, struct settings **ret, struct error *err)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/sandbox.yaml", dir);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return settings_load(dir, NULL, ret, err);
}

static void
what_is_wrong_is_told_with_its_place(void **state)
{
    static const struct {
        const char *yaml, *sentence;
    } cases[] = {
        {"egress:\n  permit_addresses: [10.0.0.0/8, 10.1.2.3/8]\n",
         "sandbox.yaml:2:34: /egress/permit_addresses/1: " NETWORK},
        {"egress:\n  permit_addresses:\n    - fd00::/8\n    - example.org\n",
         "sandbox.yaml:4:7: /egress/permit_addresses/1: " NETWORK},
        {"egress:\n  permit_addresses: ['127.1']\n",
         "sandbox.yaml:2:22: /egress/permit_addresses/0: " NETWORK},
        {"egress:\n  permit_addresses: ['']\n",
         "sandbox.yaml:2:22: /egress/permit_addresses/0: must not be empty"},
        {"egress:\n  nameservers: [192.0.2.1, dns.example.org]\n",
         "sandbox.yaml:2:28: /egress/nameservers/1: " NAMESERVER},
        {"egress:\n  nameservers: ['192.0.2.1:0']\n",
         "sandbox.yaml:2:17: /egress/nameservers/0: " NAMESERVER},
        {"egress:\n  nameservers: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4]\n",
         "sandbox.yaml:2:3: /egress/nameservers: must hold at most 3 entries"},
        {"egress:\n  plain_ports: [443, 22]\n",
         "sandbox.yaml:2:22: /egress/plain_ports/1: must be one of egress.ports, too"},
        {"egress:\n  ports: [443]\n  plain_ports: [80]\n",
         "sandbox.yaml:3:17: /egress/plain_ports/0: must be one of egress.ports, too"},
        {"egress:\n  ports: [443, 0]\n",
         "sandbox.yaml:2:16: /egress/ports/1: must be between 1 and 65535"},
        {"egress:\n  ports: [65536]\n",
         "sandbox.yaml:2:11: /egress/ports/0: must be between 1 and 65535"},
        {"egress:\n  ports: ['443']\n",
         "sandbox.yaml:2:11: /egress/ports/0: must be an integer, not the text '443'"},
        {"egress:\n  ports: 443\n",
         "sandbox.yaml:2:3: /egress/ports: must be a list of integers, not an integer"},
        {"egress:\n  connections_max: 0\n",
         "sandbox.yaml:2:3: /egress/connections_max: must be between 1 and 4096"},
        {"egress:\n  port: [443]\n",
         "sandbox.yaml:2:3: /egress/port: unknown field; did you mean 'ports'?"},
        {"network_policy:\n  allowed_domains: [example.org, 10.0.0.0/8]\n",
         "sandbox.yaml:2:34: /network_policy/allowed_domains/1: " DOMAIN},
        {"network_policy:\n  blocked_domains: [\"example.org:443\"]\n",
         "sandbox.yaml:2:21: /network_policy/blocked_domains/0: " DOMAIN},
        {"network_policy:\n  blocked_domains: ['*']\n",
         "sandbox.yaml:2:21: /network_policy/blocked_domains/0: " DOMAIN},
        {"network_policy:\n  blocked_domains: [a／b.org]\n",
         "sandbox.yaml:2:21: /network_policy/blocked_domains/0: " DOMAIN},
        {"network_policy:\n  blocked_domains: ['1.2.3.256']\n",
         "sandbox.yaml:2:21: /network_policy/blocked_domains/0: " DOMAIN},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings *s = NULL;
        struct error err = {0};

        print_message("    %s", cases[i].yaml);
        assert_int_equal(load(*state, cases[i].yaml, &s, &err), -EINVAL);
        assert_string_equal(err.msg, cases[i].sentence);
        assert_null(s);
    }
}

static void
several_wrongs_are_told_together(void **state)
{
    static const char *const pointers[] = {"/egress/plain_ports/0", "/egress/permit_addresses/0",
                                           "/egress/nameservers/0"};
    struct settings *s = NULL;
    struct error err = {0};

    assert_int_equal(load(*state,
                          "egress:\n  nameservers: [x]\n  plain_ports: [1]\n"
                          "  permit_addresses: [y]\n",
                          &s, &err),
                     -EINVAL);
    assert_int_equal(err.violation_count, ARRAY_LEN(pointers));
    for (size_t i = 0; i < ARRAY_LEN(pointers); i++)
        assert_string_equal(err.violations[i].pointer, pointers[i]);
}

static void
what_is_right_is_taken(void **state)
{
    _cleanup_(settings_unrefp) struct settings *s = NULL;
    struct error err = {0};

    if (load(*state,
             "egress:\n"
             "  ports: [80, 443, 8080]\n"
             "  plain_ports: [8080, 80]\n"
             "  permit_addresses: [127.0.0.0/8, 'fd00::/8', '::1', 192.0.2.7]\n"
             "  nameservers: ['127.0.0.53:5353', '2001:db8::1', '[2001:db8::1]:53']\n"
             "network_policy:\n"
             "  allowed_domains: [MÜNCHEN.de, '*.例え.テスト', "
             "'[2001:DB8::1]', '127.1', Example.org.]\n",
             &s, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(s->egress.ports.count, 3);
    assert_int_equal(s->egress.ports.items[2], 8080);
    assert_int_equal(s->egress.plain_ports.count, 2);
    assert_int_equal(s->egress.permit_addresses.count, 4);
    assert_int_equal(s->egress.nameservers.count, 3);
    assert_int_equal(s->policy.network_policy.allowed_domains.count, 5);
}

static void
assert_defaults(const struct settings *s)
{
    const struct egress_policy *e = &s->egress;

    assert_int_equal(e->ports.count, 2);
    assert_int_equal(e->ports.items[0], 80);
    assert_int_equal(e->ports.items[1], 443);
    assert_int_equal(e->plain_ports.count, 0);
    assert_int_equal(e->permit_addresses.count, 0);
    assert_int_equal(e->nameservers.count, 0);
    assert_int_equal(e->connections_max, 64);
    assert_int_equal(e->mb_per_hour, 0);
    assert_int_equal(e->connect_timeout_seconds, 10);
    assert_int_equal(e->idle_timeout_seconds, 300);
}

/* What is left out is as yaml/sandbox.yaml says, and that is strict. */
static void
the_shipped_file_says_the_defaults(void **state)
{
    _cleanup_(settings_unrefp) struct settings *bare = NULL;
    _cleanup_(settings_unrefp) struct settings *whole = NULL;

    assert_int_equal(load(*state, "mode: all\n", &bare, NULL), 0);
    assert_int_equal(settings_load(SHIPPED, NULL, &whole, NULL), 0);
    assert_defaults(bare);
    assert_defaults(whole);
}

static void
overrides_are_checked_alike(void **state)
{
    static const struct {
        const char *overrides;
        bool valid;
    } cases[] = {
        {"{\"network_policy\": {\"allowed_domains\": [\"MÜNCHEN.de\", \"[::1]\"]}}", true},
        {"{\"network_policy\": {\"blocked_domains\": [\"*.example.org\", \"9.9.9.9\"]}}", true},
        {"{\"network_policy\": {\"allowed_domains\": [\"10.0.0.0/8\"]}}", false},
        {"{\"network_policy\": {\"allowed_domains\": [\"user＠a.org\"]}}", false},
        {"{\"network_policy\": {\"allowed_domains\": [\"xn--a.org\"]}}", false},
        {"{\"network_policy\": {\"blocked_domains\": [\"*\"]}}", false},
        {"{\"egress\": {\"permit_addresses\": [\"10.0.0.0/8\"]}}", false}, /* the file's alone */
    };
    _cleanup_(settings_unrefp) struct settings *base = NULL;
    struct error err = {0};

    assert_int_equal(load(*state, "mode: all\n", &base, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(settings_unrefp) struct settings *s = NULL;
        json_auto_t *overrides = json_loads(cases[i].overrides, 0, NULL);

        print_message("    %s\n", cases[i].overrides);
        error_clear(&err);
        assert_int_equal(settings_with_overrides(base, overrides, &s, &err),
                         cases[i].valid ? 0 : -EINVAL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_wrong_is_told_with_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(several_wrongs_are_told_together, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_right_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(the_shipped_file_says_the_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(overrides_are_checked_alike, setup, teardown),
    };

    return cmocka_run_group_tests_name("egress settings", tests, NULL, NULL);
}
