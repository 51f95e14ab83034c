/* Cursors tell their reader nothing, and are read only by whom they were made for. */
#include "tests/test.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/cursor.h"

static const unsigned char key[CURSOR_KEY_SIZE] = {1, 2, 3}, other_key[CURSOR_KEY_SIZE] = {1, 2, 4};
static const char question[] = "[\"alice\",\"/audit\",{}]";

static void
a_cursor_is_read_back(void **state)
{
    static const int64_t positions[] = {1, 255, 4711, INT64_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(positions); i++) {
        char cursor[CURSOR_SIZE];
        int64_t position = 0;

        cursor_make(key, question, positions[i], cursor);
        assert_int_equal(strlen(cursor), CURSOR_LENGTH);
        assert_int_equal(cursor_read(key, question, cursor, &position), 0);
        assert_int_equal(position, positions[i]);
    }
}

/* Also of one position: whoever asks twice does not learn whether something happened meanwhile. */
static void
two_cursors_are_never_alike(void **state)
{
    char a[CURSOR_SIZE], b[CURSOR_SIZE];

    (void)state;
    cursor_make(key, question, 7, a);
    cursor_make(key, question, 7, b);
    assert_string_not_equal(a, b);
}

static void
another_key_or_question_reads_nothing(void **state)
{
    char cursor[CURSOR_SIZE];
    int64_t position = 0;

    (void)state;
    cursor_make(key, question, 7, cursor);
    assert_int_equal(cursor_read(other_key, question, cursor, &position), -EINVAL);
    assert_int_equal(cursor_read(key, "[\"bob\",\"/audit\",{}]", cursor, &position), -EINVAL);
    assert_int_equal(cursor_read(key, "", cursor, &position), -EINVAL);
    assert_int_equal(position, 0);
}

static void
every_other_letter_anywhere_is_seen(void **state)
{
    char cursor[CURSOR_SIZE];
    int64_t position = 0;

    (void)state;
    cursor_make(key, question, 7, cursor);
    for (size_t i = 0; i < CURSOR_LENGTH; i++) {
        char was = cursor[i];

        cursor[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(cursor_read(key, question, cursor, &position), -EINVAL);
        cursor[i] = was;
    }
    assert_int_equal(cursor_read(key, question, cursor, &position), 0);
}

static void
what_is_no_cursor_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        "0",
        "2a",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
        "++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++",
    };
    int64_t position = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(cursor_read(key, question, texts[i], &position), -EINVAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_is_read_back),
        cmocka_unit_test(two_cursors_are_never_alike),
        cmocka_unit_test(another_key_or_question_reads_nothing),
        cmocka_unit_test(every_other_letter_anywhere_is_seen),
        cmocka_unit_test(what_is_no_cursor_is_none),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
