/* What an Accept header is taken to mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/cleanup.h"
#include "fcgi/accept.h"

struct accept_case {
    const char *header;
    enum accept form;
};

static void
check(const struct accept_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        print_message("    %s\n", cases[i].header ? cases[i].header : "(none)");
        assert_int_equal(accept_parse(cases[i].header), cases[i].form);
    }
}

static void
a_form_has_to_be_named(void **state)
{
    static const struct accept_case cases[] = {
        {NULL, ACCEPT_JSON},
        {"", ACCEPT_JSON},
        {"*/*", ACCEPT_JSON},
        {"text/*", ACCEPT_JSON},
        {"application/xml", ACCEPT_JSON},
        {"x-text/event-stream", ACCEPT_JSON},
        {"text/event-streams", ACCEPT_JSON},
        {"a/b;x=\"text/event-stream\"", ACCEPT_JSON},
        {"a/b;x=\"\\\",text/event-stream\"", ACCEPT_JSON},
        {"text/event-stream", ACCEPT_EVENTS},
        {"TEXT/Event-Stream ; charset=utf-8", ACCEPT_EVENTS},
        {"application/x-ndjson", ACCEPT_LINES},
        {",, ;, application/x-ndjson", ACCEPT_LINES},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void
of_equal_weights_a_stream_comes_first(void **state)
{
    static const struct accept_case cases[] = {
        {"application/json, text/event-stream", ACCEPT_EVENTS},
        {"*/*, application/x-ndjson", ACCEPT_LINES},
        {"text/event-stream, application/x-ndjson", ACCEPT_EVENTS},
        {"application/x-ndjson, text/event-stream", ACCEPT_LINES},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void
weights_count(void **state)
{
    static const struct accept_case cases[] = {
        {"application/x-ndjson;q=0.3, text/event-stream;q=0.4", ACCEPT_EVENTS},
        {"text/event-stream;q=0.999, application/x-ndjson;q=1.000", ACCEPT_LINES},
        {"text/event-stream;q=0.5, application/json", ACCEPT_JSON},
        {"text/event-stream;q=0.5, */*;q=0.8", ACCEPT_JSON},
        {"text/event-stream ;level=1 ; Q=0.5, */*;q=0.1", ACCEPT_EVENTS},
        {"text/event-stream;q=0", ACCEPT_JSON},
        {"text/event-stream;q=0.000, application/x-ndjson;q=0.001", ACCEPT_LINES},
        {"text/event-stream;q=1", ACCEPT_EVENTS},
        {"text/event-stream;q=1.", ACCEPT_EVENTS},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void
a_weight_that_is_none_accepts_nothing(void **state)
{
    static const struct accept_case cases[] = {
        {"text/event-stream;q=", ACCEPT_JSON},         {"text/event-stream;q=abc", ACCEPT_JSON},
        {"text/event-stream;q=1.5", ACCEPT_JSON},      {"text/event-stream;q=-1", ACCEPT_JSON},
        {"text/event-stream;q=0.1234", ACCEPT_JSON},   {"text/event-stream;q=.5", ACCEPT_JSON},
        {"text/event-stream;q=\"0.1,\"", ACCEPT_JSON},
    };

    (void)state;
    check(cases, ARRAY_LEN(cases));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_has_to_be_named),
        cmocka_unit_test(of_equal_weights_a_stream_comes_first),
        cmocka_unit_test(weights_count),
        cmocka_unit_test(a_weight_that_is_none_accepts_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
