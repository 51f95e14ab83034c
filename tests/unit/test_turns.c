/* Turns of operations on one container: the second waits, and others do not. */
#include "tests/test.h"

#include <pthread.h>

#include "backend/broker/turns.h"
#include "backend/cleanup.h"

enum { THREADS = 8, ROUNDS = 2000 };

static struct turns *turns;
static int unguarded; /* only touched within a turn of "a" */

static void *
count_in_turn(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        _cleanup_(turn_end) struct turn turn = {0};

        turn_begin(turns, "a", &turn);
        unguarded++;
    }
    return NULL;
}

static void
nobody_works_on_what_another_works_on(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    unguarded = 0;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_in_turn, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(unguarded, THREADS * ROUNDS);
}

static void
others_do_not_wait(void **state)
{
    struct turn a = {0}, b = {0}, c = {0}, again = {0};

    (void)state;
    turn_begin(turns, "a", &a);
    turn_begin(turns, "b", &b);
    assert_true(turn_try(turns, "c", &c));
    assert_false(turn_try(turns, "b", &again));
    turn_end(&again); /* not taken: nothing to end */
    turn_end(&b);
    assert_true(turn_try(turns, "b", &again));
    assert_false(turn_try(turns, "a", &b));
    turn_end(&again);
    turn_end(&a);
    turn_end(&a); /* ended: once is enough */
    turn_end(&c);
    assert_true(turn_try(turns, "a", &a));
    turn_end(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_works_on_what_another_works_on),
        cmocka_unit_test(others_do_not_wait),
    };

    turns = turns_new();
    return turns ? cmocka_run_group_tests_name("turns", tests, NULL, NULL) : 1;
}
