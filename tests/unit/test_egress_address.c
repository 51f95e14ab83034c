/* Every spelling of an address is one address, and which of them are the internet. */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "backend/egress/address.h"

static struct egress_address
address(const char *text)
{
    struct egress_address a;

    if (egress_address_parse(text, &a) < 0)
        fail_msg("'%s' is no address", text);
    return a;
}

static void
addresses_have_one_spelling(void **state)
{
    static const struct {
        const char *written, *text;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"127.1", "127.0.0.1"},
        {"127.0.1", "127.0.0.1"},
        {"0177.0.0.01", "127.0.0.1"},
        {"0x7f.0.0.0x1", "127.0.0.1"},
        {"0X7F000001", "127.0.0.1"},
        {"2130706433", "127.0.0.1"},
        {"017700000001", "127.0.0.1"},
        {"0", "0.0.0.0"},
        {"0xffffffff", "255.255.255.255"},
        {"169.16689662", "169.254.169.254"},
        {"::ffff:127.0.0.1", "127.0.0.1"},
        {"::FFFF:7f00:1", "127.0.0.1"},
        {"0:0:0:0:0:ffff:7f00:1", "127.0.0.1"},
        {"[::ffff:169.254.169.254]", "169.254.169.254"},
        {"::1", "::1"},
        {"[::1]", "::1"},
        {"0:0:0:0:0:0:0:1", "::1"},
        {"::", "::"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* RFC 5952, 4.2.2 */
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          /* 4.2.3 */
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    };
    char text[EGRESS_ADDRESS_SIZE];
    struct egress_address a, b;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("    %s\n", cases[i].written);
        a = address(cases[i].written);
        egress_address_text(&a, text);
        assert_string_equal(text, cases[i].text);
        b = address(text);
        assert_memory_equal(&a, &b, sizeof(a));
    }
}

static void
what_is_no_literal_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        " ",
        ".",
        "a",
        "x",
        "example.org",
        "127.0.0.1 ",
        " 127.0.0.1",
        "127.0.0.1\n",
        "127.0.0.1 x",
        "127.0.0.1.",
        "127.0.0.1.5",
        "1.2.3.4.5",
        "256.0.0.1",
        "1.2.3.256",
        "1.2.3.4x",
        "08.0.0.1",
        "4294967296",
        "0x1ffffffff",
        "-1",
        "+1",
        "1..2",
        ".1",
        "1,2",
        "127.0.0.1/8",
        "127.0.0.1:80",
        "[127.0.0.1]",
        "[",
        "]",
        "[]",
        "[::1",
        "::1]",
        "[[::1]]",
        "[::1]x",
        "[::1]:80",
        ":",
        ":::",
        "1::2::3",
        "::1%lo",
        "fe80::1%eth0",
        "::1%25lo",
        "::12345",
        "1:2:3:4:5:6:7",
        "::g",
        "::1 ",
        "1:2:3:4:5:6:7:8:9",
        "::ffff:127.1",
        "::ffff:256.0.0.1",
        "１２７.0.0.1",
        "127。0.0.1",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
    };
    struct egress_address a;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("    '%s'\n", cases[i]);
        assert_int_equal(egress_address_parse(cases[i], &a), -EINVAL);
    }
}

static void
special_addresses_are_not_the_internet(void **state)
{
    /* first and last of each range */
    static const char *const special[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "100.100.100.200",
        "127.0.0.0",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.192",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.88.99.0",
        "192.88.99.255",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.0",
        "198.51.100.255",
        "203.0.113.0",
        "203.0.113.255",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.254",
        "255.255.255.255",
        /* mapped, compatible, NAT64, 6to4 and Teredo of one of them, or of any */
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:0",
        "::10.0.0.1",
        "::8.8.8.8",
        "::ffff:0:8.8.8.8",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b::127.0.0.1",
        "64:ff9b::1:0808:0808",
        "64:ff9b:1::",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        "2002::",
        "2002:a00:1::",
        "2002:808:808::1",
        "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001::",
        "2001:0:0808:0808::1",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:10::",
        "2001:20::",
        "2001:2::1",
        /* the rest of IPv6 */
        "::",
        "::1",
        "::2",
        "100::",
        "100::ffff:ffff:ffff:ffff",
        "100:0:0:1::",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "3fff::",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        "1fff:ffff::",
        "4000::",
        "5f00::",
        "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "8000::",
        "fc00::",
        "fd00:ec2::254",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fe80::",
        "fe80::1",
        "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fec0::",
        "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "ff00::",
        "ff02::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    };
    /* the neighbours on both sides */
    static const char *const internet[] = {
        "1.0.0.0",          "9.255.255.255",
        "11.0.0.0",         "100.63.255.255",
        "100.128.0.0",      "126.255.255.255",
        "128.0.0.0",        "168.63.129.15",
        "168.63.129.17",    "169.253.255.255",
        "169.255.0.0",      "172.15.255.255",
        "172.32.0.0",       "191.255.255.255",
        "192.0.1.0",        "192.0.1.255",
        "192.0.3.0",        "192.88.98.255",
        "192.88.100.0",     "192.167.255.255",
        "192.169.0.0",      "198.17.255.255",
        "198.20.0.0",       "198.51.99.255",
        "198.51.101.0",     "203.0.112.255",
        "203.0.114.0",      "223.255.255.255",
        "8.8.8.8",          "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8", "2000::",
        "2001:200::",       "2001:4860:4860::8888",
        "2001:db7:ffff::",  "2001:db9::",
        "2001:ffff:ffff::", "2003::",
        "2606:4700::1111",  "3ffe:ffff::",
        "3fff:1000::",
    };
    struct egress_address a;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(special); i++) {
        print_message("    %s\n", special[i]);
        a = address(special[i]);
        assert_false(egress_address_public(&a));
    }
    for (size_t i = 0; i < ARRAY_LEN(internet); i++) {
        print_message("    %s\n", internet[i]);
        a = address(internet[i]);
        assert_true(egress_address_public(&a));
    }
}

static void
a_nat64_address_carries_another(void **state)
{
    struct egress_address a = address("64:ff9b::192.0.2.33"), carried;
    char text[EGRESS_ADDRESS_SIZE];

    (void)state;
    assert_true(egress_address_carried(&a, &carried));
    egress_address_text(&carried, text);
    assert_string_equal(text, "192.0.2.33");
    a = address("64:ff9b:0:1::192.0.2.33");
    assert_false(egress_address_carried(&a, &carried));
    a = address("192.0.2.33");
    assert_false(egress_address_carried(&a, &carried));
}

static void
cidrs_are_strict(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"10.1.0.0/16", true},
        {"10.0.0.1", true},
        {"10.0.0.1/32", true},
        {"0.0.0.0/0", true},
        {"10.0.0.0/7", true},
        {"fd00::/8", true},
        {"::1", true},
        {"::1/128", true},
        {"::/0", true},
        {"::ffff:10.0.0.0/104", true},
        {"10.1.0.1/16", false}, /* host bits */
        {"10.0.0.0/6", false},
        {"fd00::1/8", false},
        {"::1/127", false},
        {"10.0.0.0/33", false},
        {"10.0.0.0/128", false},
        {"::/129", false},
        {"10.0.0.0/", false},
        {"10.0.0.0/08", false},
        {"10.0.0.0/-1", false},
        {"10.0.0.0/+8", false},
        {"10.0.0.0/ 8", false},
        {"10.0.0.0/8 ", false},
        {" 10.0.0.0/8", false},
        {"10.0.0.0/8/8", false},
        {"10.0.0.0/0x8", false},
        {"10.0.0.0/1000", false},
        {"10.0.0.0/255.0.0.0", false},
        {"10/8", false},
        {"10.0/16", false},
        {"012.0.0.0/8", false},
        {"0x0a000000/8", false},
        {"167772160/8", false},
        {"[fd00::]/8", false},
        {"fe80::%eth0/10", false},
        {"example.org/8", false},
        {"/8", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("    '%s'\n", cases[i].text);
        assert_int_equal(egress_cidr_valid(cases[i].text), cases[i].valid);
    }
}

static void
cidrs_hold_addresses_of_their_own_kind(void **state)
{
    static const struct {
        const char *cidr, *address;
        bool held;
    } cases[] = {
        {"10.1.0.0/16", "10.1.255.255", true},
        {"10.1.0.0/16", "10.2.0.0", false},
        {"10.1.0.0/16", "::ffff:10.1.2.3", true},
        {"10.1.0.0/16", "::10.1.2.3", false},
        {"10.1.0.0/16", "64:ff9b::10.1.2.3", false},
        {"10.0.0.0/9", "10.127.0.1", true},
        {"10.0.0.0/9", "10.128.0.1", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.2", false},
        {"0.0.0.0/0", "10.0.0.1", true},
        {"0.0.0.0/0", "fd00::1", false},
        {"::/0", "fd00::1", true},
        {"::/0", "10.0.0.1", false},
        {"::ffff:10.0.0.0/104", "10.9.9.9", true},
        {"fd00::/8", "fd12::1", true},
        {"fd00::/8", "fe12::1", false},
        {"fd00::1", "fd00::1", true},
        {"fd00::1", "fd00::2", false},
    };
    const char *two[] = {"192.0.2.0/24", "10.0.0.0/8"};
    const struct strings both = {.items = two, .count = 2}, none = {0};
    struct egress_address a;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *item = cases[i].cidr;
        const struct strings list = {.items = &item, .count = 1};

        print_message("    %s, %s\n", cases[i].cidr, cases[i].address);
        a = address(cases[i].address);
        assert_ptr_equal(egress_cidrs_find(&list, &a), cases[i].held ? item : NULL);
    }
    a = address("10.0.0.1");
    assert_string_equal(egress_cidrs_find(&both, &a), "10.0.0.0/8");
    assert_null(egress_cidrs_find(&none, &a));
}

static void
nameservers_are_addresses_and_ports(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"192.0.2.1", true},
        {"192.0.2.1:53", true},
        {"192.0.2.1:65535", true},
        {"2001:db8::1", true},
        {"[2001:db8::1]", true},
        {"[2001:db8::1]:53", true},
        {"::1", true},
        {"", false},
        {":53", false},
        {"192.0.2.1:", false},
        {"192.0.2.1:0", false},
        {"192.0.2.1:65536", false},
        {"192.0.2.1:053", false},
        {"192.0.2.1:5x", false},
        {"192.0.2.1: 53", false},
        {"192.0.2.1:+53", false},
        {"192.0.2.1#53", false},
        {"192.0.2.1:53:53", false},
        {"127.1", false},
        {"0x7f000001", false},
        {"[192.0.2.1]:53", false},
        {"[2001:db8::1]53", false},
        {"[2001:db8::1]:", false},
        {"[2001:db8::1]:0", false},
        {"[2001:db8::1", false},
        {"2001:db8::1]:53", false},
        {"[]:53", false},
        {"[::1]:53 ", false},
        {"fe80::1%eth0", false},
        {"dns.example.org", false},
        {"dns.example.org:53", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("    '%s'\n", cases[i].text);
        assert_int_equal(egress_nameserver_valid(cases[i].text), cases[i].valid);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_one_spelling),
        cmocka_unit_test(what_is_no_literal_is_refused),
        cmocka_unit_test(special_addresses_are_not_the_internet),
        cmocka_unit_test(a_nat64_address_carries_another),
        cmocka_unit_test(cidrs_are_strict),
        cmocka_unit_test(cidrs_hold_addresses_of_their_own_kind),
        cmocka_unit_test(nameservers_are_addresses_and_ports),
    };

    return cmocka_run_group_tests_name("egress address", tests, NULL, NULL);
}
