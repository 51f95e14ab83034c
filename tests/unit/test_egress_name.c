/* Every way to write a host name comes to one, and what is no host name is refused. */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "backend/egress/name.h"

#define LABEL_63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"

static const char label_64[] = LABEL_63 "x.org";

static void
names_have_one_spelling(void **state)
{
    static const struct {
        const char *written, *name;
    } cases[] = {
        {"example.org", "example.org"},
        {"EXAMPLE.Org", "example.org"},
        {"example.org.", "example.org"},
        {"localhost", "localhost"},
        {"a-b.x1", "a-b.x1"},
        {"1.example", "1.example"},
        {"127.0.0.1.example", "127.0.0.1.example"},
        {"0x7f.example", "0x7f.example"},
        {LABEL_63 ".org", LABEL_63 ".org"},
        /* what IDNA has no opinion on is a name of the DNS all the same */
        {"r3---sn-4g5e.Example.com", "r3---sn-4g5e.example.com"},
        /* Unicode and its A-labels, in every case */
        {"münchen.de", "xn--mnchen-3ya.de"},
        {"MÜNCHEN.de", "xn--mnchen-3ya.de"},
        {"mu\u0308nchen.de", "xn--mnchen-3ya.de"},
        {"xn--mnchen-3ya.de", "xn--mnchen-3ya.de"},
        {"XN--MNCHEN-3YA.DE.", "xn--mnchen-3ya.de"},
        {"ｘｎ－－mnchen-3ya.de", "xn--mnchen-3ya.de"},
        {"faß.de", "xn--fa-hia.de"}, /* non-transitional: not "fass" */
        {"例え.テスト", "xn--r8jz45g.xn--zckzah"},
        /* look-alikes that UTS #46 maps, and dots */
        {"ｅｘａｍｐｌｅ．ｏｒｇ", "example.org"},
        {"example。org", "example.org"},
        {"example．org．", "example.org"},
        {"example｡org", "example.org"},
        {"ﬁ.example", "fi.example"},
        {"\u212a.example", "k.example"},
        {"exam\u00adple.org", "example.org"},
        {"\u200bexample.org", "example.org"},
        /* a look-alike that is a letter of its own stays another name */
        {"\u0430pple.com", "xn--pple-43d.com"},
    };
    char name[EGRESS_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("    %s\n", cases[i].written);
        assert_int_equal(egress_name(cases[i].written, name), 0);
        assert_string_equal(name, cases[i].name);
        assert_int_equal(egress_name(name, name), 0); /* it is its own spelling */
        assert_string_equal(name, cases[i].name);
    }
}

static void
what_is_no_name_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        ".",
        "..",
        "org..",
        ".org",
        "a..b",
        "-a.org",
        "a-.org",
        "a_b.org",
        "a b",
        " a",
        "a ",
        "a.org\n",
        "a.org\r\nHost: b",
        "\ta",
        "a\x01.org",
        "a\x7f.org",
        "a.org:80",
        "a.org/x",
        "http://a.org",
        "user@a.org",
        "a.org%00.b",
        "%61.org",
        "a.org%25eth0",
        "a?b",
        "a#b",
        "a\\b",
        "a,b",
        "a;b",
        "a*",
        "*",
        "*.org",
        "[a.org]",
        "a'b",
        "a\"b",
        "<a>",
        "a|b",
        "$a",
        label_64,
        /* characters that become one of those */
        "a／b.org",
        "a℀b.org",
        "user＠a.org",
        "a％00.org",
        "a：80",
        "＊.org",
        "a\u3000b.org",
        "é@b.org",
        "é b.org",
        "é%.org",
        "é_.org",
        "。org",
        "a。。b",
        "é..",
        "a\u2024\u2024",
        /* addresses, in whatever inet_aton(3) takes for one */
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0X7F000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "0x",
        "0",
        "1.2.3.4.5",
        "256.1.1.1",
        "a.1",
        "a.0x1",
        "999999999999",
        "١٢٧.٠.٠.١",
        "１２７.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        /* no UTF-8, and A-labels that are none */
        "\xff.org",
        "a\xc3.org",
        "\xc0\xae.org",
        "\xed\xa0\x80.org",
        "xn--.org",
        "xn--a.org",
        "xn--example-.org",
        "xn--ls8h.la",
        "xn--\u00e9.org",
        "ｘｎ－－a.org",
        "xn－－example-.org",
        "x\u00adn--ls8h.la",
        "é.xn--a",
        /* what IDNA forbids: joiners out of context, other directions, unassigned */
        "a\u200db.org",
        "a\u202eb.org",
        "a\u2066b.org",
        "\U000e0061.org",
        "a\u05d0b.org",
    };
    char name[EGRESS_NAME_SIZE] = "before";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("    %s\n", cases[i]);
        assert_int_equal(egress_name(cases[i], name), -EINVAL);
        assert_string_equal(name, "before");
    }
}

/* @count bytes of "a." over and over, that ends in a letter if it is odd. */
static void
fill_labels(char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        text[i] = i % 2 ? '.' : 'a';
    text[count] = '\0';
}

static void
names_have_253_bytes_at_most(void **state)
{
    char text[4096], name[EGRESS_NAME_SIZE];

    (void)state;
    fill_labels(text, 253);
    assert_int_equal(egress_name(text, name), 0);
    assert_string_equal(name, text);
    fill_labels(text, 254); /* the last is a dot */
    assert_int_equal(egress_name(text, name), 0);
    assert_int_equal(strlen(name), 253);
    fill_labels(text, 255);
    assert_int_equal(egress_name(text, name), -EINVAL);
    fill_labels(text, sizeof(text) - 1);
    assert_int_equal(egress_name(text, name), -EINVAL);
    text[0] = '\xc3';
    text[1] = '\xa9';
    assert_int_equal(egress_name(text, name), -EINVAL);
    memset(text, 'a', 4000);
    memcpy(text, "é", 2);
    text[4000] = '\0';
    assert_int_equal(egress_name(text, name), -EINVAL);
}

static void
patterns_are_names_subdomains_and_addresses(void **state)
{
    static const struct {
        const char *written, *pattern; /* NULL: refused */
    } cases[] = {
        {"Example.ORG.", "example.org"},
        {"*.Example.ORG.", "*.example.org"},
        {"*.MÜNCHEN.de", "*.xn--mnchen-3ya.de"},
        {"*.org", "*.org"},
        {"127.1", "127.0.0.1"},
        {"192.0.2.7", "192.0.2.7"},
        {"[2001:DB8::0:1]", "2001:db8::1"},
        {"2001:db8:0:0:0:0:0:1", "2001:db8::1"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"*", NULL},
        {"*.", NULL},
        {"*..org", NULL},
        {"*.*.org", NULL},
        {"a.*.org", NULL},
        {"*a.org", NULL},
        {"＊.org", NULL},
        {"*.192.0.2.7", NULL},
        {"*.::1", NULL},
        {"*.[::1]", NULL},
        {"10.0.0.0/8", NULL},
        {"http://example.org", NULL},
        {"example.org:443", NULL},
        {"example.org/x", NULL},
        {"", NULL},
    };
    char pattern[EGRESS_NAME_SIZE], text[EGRESS_NAME_SIZE + 2] = "*.";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("    %s\n", cases[i].written);
        assert_int_equal(egress_pattern(cases[i].written, pattern), cases[i].pattern ? 0 : -EINVAL);
        if (cases[i].pattern)
            assert_string_equal(pattern, cases[i].pattern);
    }
    fill_labels(text + 2, 251);
    assert_int_equal(egress_pattern(text, pattern), 0);
    fill_labels(text + 2, 252); /* the last is a dot */
    assert_int_equal(egress_pattern(text, pattern), 0);
    fill_labels(text + 2, 253);
    assert_int_equal(egress_pattern(text, pattern), -EINVAL);
}

static void
a_pattern_names_itself_or_what_is_below(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool named;
    } cases[] = {
        {"example.org", "example.org", true},
        {"example.org", "a.example.org", false},
        {"example.org", "badexample.org", false},
        {"example.org", "example.org.evil.net", false},
        {"*.example.org", "a.example.org", true},
        {"*.example.org", "a.b.example.org", true},
        {"*.example.org", "example.org", false},
        {"*.example.org", "badexample.org", false},
        {"*.example.org", ".example.org", false},
        {"*.example.org", "a.example.org.evil.net", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "1192.0.2.7", false},
        {"2001:db8::1", "2001:db8::1", true},
        {"*.org", "example.org", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("    %s, %s\n", cases[i].pattern, cases[i].name);
        assert_int_equal(egress_pattern_names(cases[i].pattern, cases[i].name), cases[i].named);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_one_spelling),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(names_have_253_bytes_at_most),
        cmocka_unit_test(patterns_are_names_subdomains_and_addresses),
        cmocka_unit_test(a_pattern_names_itself_or_what_is_below),
    };

    return cmocka_run_group_tests_name("egress name", tests, NULL, NULL);
}
