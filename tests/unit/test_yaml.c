/* Reading YAML: backend/config/yaml.c, with scalars and places. */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "backend/cleanup.h"
#include "backend/config/yaml.h"

#define CASE(text) text, sizeof(text) - 1

/* clang-format off */
static const struct {
    const char *yaml;
    size_t len;
    const char *json;
} accepted[] = {
    {CASE("a: 1"), "{\"a\": 1}"},
    {CASE("{}"), "{}"},
    {CASE("\xEF\xBB\xBF" "a: 1\n"), "{\"a\": 1}"},
    {CASE("a: 1\r\nb:\r\n  - x\r\n"), "{\"a\": 1, \"b\": [\"x\"]}"},
    {CASE("%YAML 1.2\n---\nz: {y: [1, 2.50], x: {}}\n...\n"), "{\"z\": {\"y\": [1, 2.5], \"x\": {}}}"},
    {CASE("[null, ~, Null, NULL, \"null\", '', nULL]"), "[null, null, null, null, \"null\", \"\", \"nULL\"]"},
    {CASE("a:\nb: ''"), "{\"a\": null, \"b\": \"\"}"},
    {CASE("[true, True, TRUE, false, False, FALSE, tRUE]"), "[true, true, true, false, false, false, \"tRUE\"]"},
    {CASE("[yes, no, on, off, y, n, None]"), "[\"yes\", \"no\", \"on\", \"off\", \"y\", \"n\", \"None\"]"},
    {CASE("[0, -0, +7, 010, 0o17, 0xfF, 9223372036854775807, -9223372036854775808]"),
     "[0, 0, 7, 10, 15, 255, 9223372036854775807, -9223372036854775808]"},
    {CASE("[1_000, 0b1, 0o8, 0xg, 0x, -0x1, --1, '7', \"7\", 1:30]"),
     "[\"1_000\", \"0b1\", \"0o8\", \"0xg\", \"0x\", \"-0x1\", \"--1\", \"7\", \"7\", \"1:30\"]"},
    {CASE("[1.5, -1.5, .5, 5., 2e3, 2E+3, 1.5e-3]"), "[1.5, -1.5, 0.5, 5.0, 2000.0, 2000.0, 0.0015]"},
    {CASE("[., +, -, e3, 1e, 1e+, 1.2.3, 3.12-slim, inf, nan]"),
     "[\".\", \"+\", \"-\", \"e3\", \"1e\", \"1e+\", \"1.2.3\", \"3.12-slim\", \"inf\", \"nan\"]"},
    {CASE("a: |\n  x\n  y\nb: >\n  x\n  y\n"), "{\"a\": \"x\\ny\\n\", \"b\": \"x y\\n\"}"},
    {CASE("1: a\ntrue: b\n~: c\n'q': d"), "{\"1\": \"a\", \"true\": \"b\", \"~\": \"c\", \"q\": \"d\"}"},
    {CASE("a: \"\\u00f6\\x41\""), "{\"a\": \"ö" "A\"}"},
    {CASE("a: ö"), "{\"a\": \"ö\"}"},
    {CASE("word"), "\"word\""},
};

static const struct {
    const char *yaml;
    size_t len;
    const char *sentence;
} refused[] = {
    {CASE(""), "x.yaml:1:1: the file is empty"},
    {CASE("# nothing\n\n"), "x.yaml:1:1: the file is empty"},
    {CASE("a: 1\nb: 2\na: 3\n"), "x.yaml:3:1: /a: this key is there twice"},
    {CASE("a: 1\nb: {c: 1, d: 2, c: 3}\n"), "x.yaml:2:17: /b/c: this key is there twice"},
    {CASE("a: 1\n'a': 2\n"), "x.yaml:2:1: /a: this key is there twice"},
    {CASE("a: &x 1\n"), "x.yaml:1:4: /a: anchors are not accepted"},
    {CASE("a:\n  - &x [1]\n"), "x.yaml:2:5: /a/0: anchors are not accepted"},
    {CASE("a: &x {b: 1}\n"), "x.yaml:1:4: /a: anchors are not accepted"},
    {CASE("a: 1\nb: *x\n"), "x.yaml:2:4: /b: aliases are not accepted; write the value out"},
    {CASE("a: !!str 1\n"), "x.yaml:1:4: /a: tags are not accepted"},
    {CASE("a: !x {}\n"), "x.yaml:1:4: /a: tags are not accepted"},
    {CASE("a: ! []\n"), "x.yaml:1:4: /a: tags are not accepted"},
    {CASE("&x a: 1\n"), "x.yaml:1:1: a key must not have an anchor or a tag"},
    {CASE("b:\n  !!str a: 1\n"), "x.yaml:2:3: /b: a key must not have an anchor or a tag"},
    {CASE("[a, b]: 1\n"), "x.yaml:1:1: every key must be plain text"},
    {CASE("a: 1\n*x : 1\n"), "x.yaml:2:1: every key must be plain text"},
    {CASE("a: 1\n---\nb: 2\n"), "x.yaml:2:1: a second document starts here; there must be one"},
    {CASE("a: 1\n...\nb: 2\n"), "x.yaml:3:1: not valid YAML: did not find expected <document start>"},
    {CASE("a:\n\tb: 1\n"), "x.yaml:2:1: not valid YAML: indent with spaces, not with tabs"},
    {CASE("a:\n  b: 1\n \tc: 1\n"), "x.yaml:3:2: not valid YAML: indent with spaces, not with tabs"},
    {CASE("a: [1, 2\n"), "x.yaml:1:4: not valid YAML: a list that begins with '[' has no ']', or lacks a ','"},
    {CASE("a: 'x\n"), "x.yaml:1:4: not valid YAML: a quote is opened and never closed"},
    {CASE("a: b: c\n"), "x.yaml:1:5: not valid YAML: a ':' where none is expected: see the indentation, and the space after each key's ':'"},
    {CASE("a: @x\n"), "x.yaml:1:4: not valid YAML: put a value that begins with this character in quotes"},
    {CASE("a: \"\\z\"\n"), "x.yaml:1:4: not valid YAML: a '\\' in double quotes has to be written '\\\\'"},
    {CASE("a: 1\nö: \xFF\n"), "x.yaml:2:4: not UTF-8 text: invalid leading UTF-8 octet"},
    {CASE("a: \xC3"), "x.yaml:1:4: not UTF-8 text: incomplete UTF-8 octet sequence"},
    {CASE("a: \xED\xA0\x80\n"), "x.yaml:1:4: not UTF-8 text: invalid Unicode character"},
    {CASE("a: 1\0\n"), "x.yaml:1:5: not UTF-8 text: control characters are not allowed"},
    {CASE("\xFF\xFE" "a\0"), "x.yaml:1:1: not UTF-8 text: invalid leading UTF-8 octet"},
    {CASE("a: \"x\\0y\"\n"), "x.yaml:1:4: /a: must not hold a NUL"},
    {CASE("\"x\\0y\": 1\n"), "x.yaml:1:1: a key must not hold a NUL"},
    {CASE("a: [1, 9223372036854775808]\n"), "x.yaml:1:8: /a/1: must be a finite number of at most 64 bits"},
    {CASE("a: 0xffffffffffffffffff\n"), "x.yaml:1:4: /a: must be a finite number of at most 64 bits"},
    {CASE("a: 1e999\n"), "x.yaml:1:4: /a: must be a finite number of at most 64 bits"},
    {CASE("a: -.inf\n"), "x.yaml:1:4: /a: must be a finite number of at most 64 bits"},
    {CASE("a: .NaN\n"), "x.yaml:1:4: /a: must be a finite number of at most 64 bits"},
};

/* In places_text. */
static const struct {
    const char *pointer;
    size_t line, column;
} places[] = {
    {"", 2, 1},
    {"/top", 2, 1},
    {"/list", 3, 1},
    {"/list/0", 4, 5},
    {"/list/1", 5, 5},
    {"/list/1/a~1b", 5, 5},
    {"/list/1/ö", 6, 5},
    {"/flow", 7, 1},
    {"/flow/x", 7, 8},
    {"/flow/y", 7, 16},
    {"/flow/y/1", 7, 23},
    {"/flow/missing/deeper", 7, 1},
    {"/missing", 2, 1},
};
/* clang-format on */

static const char places_text[] = "# comment\n"
                                  "top: 1\n"
                                  "list:\n"
                                  "  - first\n"
                                  "  - a/b: x\n"
                                  "    ö: y\n"
                                  "flow: {x: äöü, y: [1, 2]}\n";

static void
test_accepted(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(accepted); i++) {
        _cleanup_(yaml_file_freep) struct yaml_file *f = NULL;
        _cleanup_(freep) char *json = NULL;
        struct error err = {0};

        print_message("%s\n", accepted[i].yaml);
        if (yaml_file_parse("x.yaml", accepted[i].yaml, accepted[i].len, &f, &err) < 0)
            fail_msg("%s", err.msg);
        json = json_dumps(f->root, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        assert_string_equal(json, accepted[i].json);
    }
}

static void
test_refused(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(refused); i++) {
        struct yaml_file *f = NULL;
        struct error err = {0};

        print_message("%s\n", refused[i].yaml);
        assert_int_equal(yaml_file_parse("x.yaml", refused[i].yaml, refused[i].len, &f, &err),
                         -EINVAL);
        assert_null(f);
        assert_int_equal(err.code, ERR_VALIDATION);
        assert_string_equal(err.msg, refused[i].sentence);
    }
}

static void
test_places(void **state)
{
    _cleanup_(yaml_file_freep) struct yaml_file *f = NULL;
    size_t i, line, column;

    (void)state;
    assert_int_equal(yaml_file_parse("x.yaml", places_text, strlen(places_text), &f, NULL), 0);
    for (i = 0; i < ARRAY_LEN(places); i++) {
        print_message("%s\n", places[i].pointer);
        places_find(&f->places, places[i].pointer, &line, &column);
        assert_int_equal(line, places[i].line);
        assert_int_equal(column, places[i].column);
    }
}

/* @count times @piece, freed by the caller. */
static char *
repeat(const char *piece, size_t count)
{
    size_t len = strlen(piece), i;
    char *text = malloc(len * count + 1);

    assert_non_null(text);
    for (i = 0; i < count; i++)
        memcpy(text + i * len, piece, len);
    text[len * count] = '\0';
    return text;
}

static void
test_bombs(void **state)
{
    static const struct {
        const char *piece;
        size_t count;
        const char *sentence;
    } cases[] = {
        {"[", 33, "x.yaml:1:33: "},
        {"[", 200000, "x.yaml:1:33: "},
        {"{a: ", 50000, "x.yaml:1:129: "},
        {"- ", 100000, "x.yaml:1:65: "},
        {"? ", 100000, "x.yaml:1:3: every key must be plain text"},
        {"a: &a [*a, *a, *a, *a]\n", 9, "x.yaml:1:4: /a: anchors are not accepted"},
        {"#", 256 * 1024, "x.yaml:1:1: the file is empty"},
        {"#", 256 * 1024 + 1, "x.yaml:1:1: the file is larger than 256 KiB"},
        {"#", 10000000, "x.yaml:1:1: the file is larger than 256 KiB"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(freep) char *text = repeat(cases[i].piece, cases[i].count);
        struct yaml_file *f = NULL;
        struct error err = {0};

        print_message("%zu times %s\n", cases[i].count, cases[i].piece);
        assert_int_equal(yaml_file_parse("x.yaml", text, strlen(text), &f, &err), -EINVAL);
        assert_memory_equal(err.msg, cases[i].sentence, strlen(cases[i].sentence));
    }
}

static void
test_depth_limit(void **state)
{
    _cleanup_(yaml_file_freep) struct yaml_file *f = NULL;
    _cleanup_(freep) char *open = repeat("[", 32), *close = repeat("]", 32);
    char text[65];
    struct error err = {0};

    (void)state;
    snprintf(text, sizeof(text), "%s%s", open, close);
    assert_int_equal(yaml_file_parse("x.yaml", text, strlen(text), &f, &err), 0);
}

static void
test_many_items(void **state)
{
    _cleanup_(yaml_file_freep) struct yaml_file *f = NULL;
    _cleanup_(freep) char *text = repeat("- 1\n", 65536);
    struct error err = {0};
    size_t line, column;

    (void)state;
    assert_int_equal(yaml_file_parse("x.yaml", text, strlen(text), &f, &err), 0);
    assert_int_equal(json_array_size(f->root), 65536);
    places_find(&f->places, "/65535", &line, &column);
    assert_int_equal(line, 65536);
    assert_int_equal(column, 3);
}

static void
test_violation_of_long_keys(void **state)
{
    _cleanup_(yaml_file_freep) struct yaml_file *f = NULL;
    _cleanup_(freep) char *key = repeat("k", 128);
    struct pointer user = {.key = key}, tier = {.up = &user, .key = "tier"};
    struct error err = {0};
    char text[200];

    (void)state;
    snprintf(text, sizeof(text), "a: 1\n%s: {tier: x}\n", key);
    assert_int_equal(yaml_file_parse("x.yaml", text, strlen(text), &f, &err), 0);
    assert_int_equal(places_violation(&f->places, &tier, &err, "is %s", "wrong"), -EINVAL);
    assert_memory_equal(err.msg, "x.yaml:2:1: /kkk", 16);
    assert_string_equal(err.violations[0].detail, "is wrong");
}

static void
test_files(void **state)
{
    static const struct {
        const char *name, *sentence;
    } cases[] = {
        {"missing.yaml", "missing.yaml:1:1: the file cannot be read: No such file or directory"},
        {"directory", "directory:1:1: the file cannot be read: it is not a regular file"},
        {"fifo", "fifo:1:1: the file cannot be read: it is not a regular file"},
        {"device", "device:1:1: the file cannot be read: it is not a regular file"},
        {"loop", "loop:1:1: the file cannot be read: Too many levels of symbolic links"},
        {"large", "large:1:1: the file is larger than 256 KiB"},
    };
    char dir[] = "/tmp/test_yaml.XXXXXX", path[64];
    size_t i;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(mkdir("directory", 0700), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(symlink("/dev/zero", "device"), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(close(creat("large", 0600)), 0);
    assert_int_equal(truncate("large", 10 << 20), 0);
    for (i = 0; i < ARRAY_LEN(cases); i++) {
        struct yaml_file *f = NULL;
        struct error err = {0};

        print_message("%s\n", cases[i].name);
        assert_int_equal(yaml_file_read(dir, cases[i].name, &f, &err), -EINVAL);
        assert_string_equal(err.msg, cases[i].sentence);
    }
    for (i = 1; i < ARRAY_LEN(cases); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, cases[i].name);
        remove(path);
    }
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void
test_symbolic_link(void **state)
{
    _cleanup_(yaml_file_freep) struct yaml_file *f = NULL;
    char dir[] = "/tmp/test_yaml.XXXXXX", path[64], link[64];
    struct error err = {0};
    FILE *out;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/real", dir);
    snprintf(link, sizeof(link), "%s/link", dir);
    out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs("a: 1\n", out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(symlink("real", link), 0);
    assert_int_equal(yaml_file_read(dir, "link", &f, &err), 0);
    assert_int_equal(json_integer_value(json_object_get(f->root, "a")), 1);
    assert_int_equal(unlink(link) + unlink(path) + rmdir(dir), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_depth_limit),
        cmocka_unit_test(test_many_items),
        cmocka_unit_test(test_violation_of_long_keys),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_symbolic_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
