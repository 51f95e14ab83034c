/* backend/capture.c: what is kept of an output stream. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/capture.h"

static const struct {
    const char *name;
    size_t cap;
    const char *writes[6];
    const char *joined;
    uint64_t total;
    bool truncated;
} cases[] = {
    {"nothing", 8, {NULL}, "", 0, false},
    {"an empty write", 8, {"", NULL}, "", 0, false},
    {"below the cap", 8, {"abc", NULL}, "abc", 3, false},
    {"head exactly full", 8, {"abcd", NULL}, "abcd", 4, false},
    {"exactly the cap", 8, {"abcdefgh", NULL}, "abcdefgh", 8, false},
    {"exactly the cap, in pieces", 8, {"a", "bc", "def", "gh", NULL}, "abcdefgh", 8, false},
    {"one more", 8, {"abcdefghi", NULL}, "abcdfghi", 9, true},
    {"one more, in pieces", 8, {"abc", "defg", "h", "i", NULL}, "abcdfghi", 9, true},
    {"an odd cap", 5, {"abcdefg", NULL}, "abcfg", 7, true},
    {"the least cap", 2, {"abc", "d", NULL}, "ad", 4, true},
    {"a write longer than the ring", 4, {"ab", "cdefghijk", NULL}, "abjk", 11, true},
    {"the ring at an odd place", 8, {"abcd", "ef", "0123456789", NULL}, "abcd6789", 16, true},
    {"a character cut at the head", 8, {"abc\xc3\xa4", "xxxxefgh", NULL}, "abcefgh", 13, true},
    {"a character cut at the tail", 8, {"abcd--\xe2\x82\xac", "fg", NULL}, "abcdfg", 11, true},
    {"a long one cut on both sides",
     8,
     {"ab\xf0\x9f\x98\x80--\xf0\x9f\x98\x80", "z", NULL},
     "abz",
     13,
     true},
    {"whole characters at the cut",
     8,
     {"ab\xc3\xa4--\xc3\xb6yz", NULL},
     "ab\xc3\xa4\xc3\xb6yz",
     10,
     true},
    {"nothing trimmed unless dropped", 8, {"abc\xc3\xa4", NULL}, "abc\xc3\xa4", 5, false},
    {"bytes that are no text",
     8,
     {"\x80\x80\x80\x80--\x80\x80\x80\x80", NULL},
     "\x80\x80\x80\x80\x80\x80\x80\x80",
     10,
     true},
};

static void
captures(void **state)
{
    size_t i, j, len, head;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct capture c;
        char *joined;

        print_message("  %s\n", cases[i].name);
        capture_init(&c, cases[i].cap);
        for (j = 0; cases[i].writes[j]; j++)
            assert_int_equal(capture_write(&c, cases[i].writes[j], strlen(cases[i].writes[j])), 0);
        joined = capture_join(&c, &len, &head);
        assert_non_null(joined);
        assert_string_equal(joined, cases[i].joined);
        assert_int_equal(len, strlen(cases[i].joined));
        assert_int_equal(c.total, cases[i].total);
        assert_int_equal(capture_truncated(&c), cases[i].truncated);
        free(joined);
        capture_done(&c);
    }
}

/* Whatever the sizes of the writes, the same bytes are kept. */
static void
pieces_do_not_matter(void **state)
{
    enum { LEN = 200, CAP = 31 };
    char all[LEN];
    size_t piece, at, len, head, i;

    (void)state;
    for (i = 0; i < LEN; i++)
        all[i] = (char)('!' + i % 90);
    for (piece = 1; piece <= LEN; piece++) {
        struct capture c;
        char *joined;

        capture_init(&c, CAP);
        for (at = 0; at < LEN; at += piece)
            assert_int_equal(capture_write(&c, all + at, at + piece <= LEN ? piece : LEN - at), 0);
        joined = capture_join(&c, &len, &head);
        assert_int_equal(len, CAP);
        assert_int_equal(head, 16);
        assert_memory_equal(joined, all, 16);
        assert_memory_equal(joined + 16, all + LEN - 15, 15);
        assert_int_equal(c.total, LEN);
        free(joined);
        capture_done(&c);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures),
        cmocka_unit_test(pieces_do_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
