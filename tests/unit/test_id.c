/* Identifiers and times. */
#include "tests/test.h"

#include <string.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/id.h"

static void
container_ids_are_spelled_as_promised(void **state)
{
    char id[CONTAINER_ID_SIZE], other[CONTAINER_ID_SIZE];

    (void)state;
    id_container(id);
    id_container(other);
    assert_int_equal(strlen(id), strlen("container_") + 12);
    assert_true(id_is_container(id));
    assert_string_not_equal(id, other);
}

static void
other_spellings_are_no_container_id(void **state)
{
    static const char *const cases[] = {
        "",
        "container_",
        "container_0123456789a",
        "container_0123456789abc",
        "container_0123456789aB",
        "container_0123456789a/",
        "Container_0123456789ab",
        "../container_0123456789ab",
        "container_..3456789ab",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case '%s'\n", cases[i]);
        assert_false(id_is_container(cases[i]));
    }
}

static void
snapshot_ids_are_spelled_as_promised(void **state)
{
    char id[SNAPSHOT_ID_SIZE], other[SNAPSHOT_ID_SIZE];

    (void)state;
    id_snapshot(id);
    id_snapshot(other);
    assert_int_equal(strlen(id), strlen("snapshot_") + 12);
    assert_true(id_is_snapshot(id));
    assert_string_not_equal(id, other);
    assert_false(id_is_snapshot("container_0123456789ab"));
    assert_false(id_is_snapshot("snapshot_0123456789a"));
    assert_false(id_is_snapshot("snapshot_0123456789ab:latest"));
    assert_false(id_is_snapshot("snapshot_../456789ab"));
}

static void
names_are_safe_path_components(void **state)
{
    static const struct {
        const char *name;
        bool valid;
    } cases[] = {
        {"agent_123", true},
        {"a", true},
        {"alice@example.org", true},
        {"0.x-y=z", true},
        {"", false},
        {".", false},
        {"..", false},
        {"-rf", false},
        {".hidden", false},
        {"a/b", false},
        {"a b", false},
        {"a\nb", false},
        {"\xd0\xb0", false},
        {"a\x7f", false},
        {"0123456789", true},
        {"01234567890", true},
        {"0123456789012345678", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case '%s'\n", cases[i].name);
        assert_int_equal(id_is_name(cases[i].name, 18), cases[i].valid);
    }
}

static void
times_are_rfc_3339(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-03-02T10:00:00Z", 1772445600000},
        {"2026-03-02T10:00:00.5Z", 1772445600500},
        {"2026-03-02T10:00:00.123456Z", 1772445600123},
        {"2026-03-02T12:00:00+02:00", 1772445600000},
        {"2026-03-02T04:30:00-05:30", 1772445600000},
        {"2026-03-02", -1},
        {"2026-03-02T10:00:00", -1},
        {"2026-03-02T10:00:00.Z", -1},
        {"2026-03-02T10:00:00+2:00", -1},
        {"2026-03-02T10:00:00+24:00", -1},
        {"2026-03-02T10:00:00Zx", -1},
        {"2026-13-02T10:00:00Z", -1},
        {" 2026-03-02T10:00:00Z", -1},
        {"now", -1},
        {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = -1;

        print_message("case '%s'\n", cases[i].text);
        assert_int_equal(time_parse(cases[i].text, &ms), cases[i].ms != -1);
        assert_true(ms == cases[i].ms);
    }
}

static void
formatted_times_are_read_back(void **state)
{
    char text[TIMESTAMP_SIZE];
    int64_t ms;

    (void)state;
    time_format(1772445600999, text);
    assert_string_equal(text, "2026-03-02T10:00:00Z");
    assert_true(time_parse(text, &ms));
    assert_true(ms == 1772445600000);
    assert_true(time_day_start(ms) == 1772409600000);
}

static void
audit_ids_carry_a_number(void **state)
{
    static const char *const none[] = {"",
                                       "exec_",
                                       "exec_0123456789abcde",
                                       "exec_0123456789abcdef0",
                                       "exec_0123456789ABCDEF",
                                       "container_0123456789ab"};
    char id[AUDIT_ID_SIZE], again[AUDIT_ID_SIZE];

    (void)state;
    assert_true(id_audit_number("exec_0123456789abcdef") == UINT64_C(0x0123456789abcdef));
    assert_true(id_audit_number("exec_fedcba9876543210") == UINT64_C(0xfedcba9876543210));
    id_audit(id);
    id_audit_of(id_audit_number(id), again);
    assert_string_equal(again, id);
    id_audit_of(1, again);
    assert_string_equal(again, "exec_0000000000000001");
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        print_message("    '%s'\n", none[i]);
        assert_true(id_audit_number(none[i]) == 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(container_ids_are_spelled_as_promised),
        cmocka_unit_test(other_spellings_are_no_container_id),
        cmocka_unit_test(snapshot_ids_are_spelled_as_promised),
        cmocka_unit_test(names_are_safe_path_components),
        cmocka_unit_test(times_are_rfc_3339),
        cmocka_unit_test(formatted_times_are_read_back),
        cmocka_unit_test(audit_ids_carry_a_number),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("id", tests, NULL, NULL);
}
