/* Shares of the execution threads. */
#include "tests/test.h"

#include "fcgi/shares.h"

static void
test_one_user_gets_three_quarters(void **state)
{
    _cleanup_(shares_freep) struct shares *s = shares_new(8);

    (void)state;
    assert_non_null(s);
    for (int i = 0; i < 6; i++)
        assert_true(shares_take(s, "alice"));
    assert_false(shares_take(s, "alice"));
    assert_true(shares_take(s, "bob"));
    assert_true(shares_take(s, "carol"));
    shares_give(s, "alice");
    assert_true(shares_take(s, "alice"));
    assert_false(shares_take(s, "alice"));
    shares_give(s, "bob");
    assert_true(shares_take(s, "dave")); /* in the place of bob */
    assert_false(shares_take(s, "alice"));
}

static void
test_a_single_thread_is_anybodys(void **state)
{
    _cleanup_(shares_freep) struct shares *s = shares_new(1);

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(shares_take(s, "alice"));
        assert_false(shares_take(s, "bob"));
        shares_give(s, "alice");
        assert_true(shares_take(s, "bob"));
        shares_give(s, "bob");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_user_gets_three_quarters),
        cmocka_unit_test(test_a_single_thread_is_anybodys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
