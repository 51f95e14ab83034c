/* fcgi/pool.c: growing, handing over, refusing, shrinking, ending. */
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include "fcgi/pool.h"

/* What the pool's threads do, and what they wait for. */
struct bench {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct pool *pool;
    bool open; /* items are served only while the gate is open */
    size_t serving, served, begun, ended;
    uint64_t sum;
    size_t without_state;
};

static struct bench bench;

static void *
begin(void *context)
{
    struct bench *b = context;

    pthread_mutex_lock(&b->lock);
    b->begun++;
    pthread_mutex_unlock(&b->lock);
    return b;
}

static void *
begin_nothing(void *context)
{
    begin(context);
    return NULL;
}

static void
end(void *thread)
{
    struct bench *b = thread;

    pthread_mutex_lock(&b->lock);
    b->ended++;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

static void
serve(void *context, void *thread, uint64_t item)
{
    struct bench *b = context;

    pthread_mutex_lock(&b->lock);
    b->serving++;
    b->without_state += thread == NULL;
    pthread_cond_broadcast(&b->changed);
    while (!b->open)
        pthread_cond_wait(&b->changed, &b->lock);
    pool_finishing(b->pool);
    b->serving--;
    b->served++;
    b->sum += item;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

static void
wait_until(const size_t *counter, size_t value)
{
    pthread_mutex_lock(&bench.lock);
    while (*counter < value)
        pthread_cond_wait(&bench.changed, &bench.lock);
    pthread_mutex_unlock(&bench.lock);
}

static void
set_gate(bool open)
{
    pthread_mutex_lock(&bench.lock);
    bench.open = open;
    pthread_cond_broadcast(&bench.changed);
    pthread_mutex_unlock(&bench.lock);
}

static struct pool *
make_pool(size_t threads, size_t queue, int idle_ms, void *(*thread_begin)(void *))
{
    const struct pool_spec spec = {
        .threads_max = threads,
        .queue_max = queue,
        .idle_ms = idle_ms,
        .context = &bench,
        .thread_begin = thread_begin,
        .serve = serve,
        .thread_end = end,
    };
    struct pool *p = NULL;

    bench = (struct bench){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    assert_int_equal(pool_new(&spec, &p, NULL), 0);
    assert_int_equal(pool_threads(p), 0);
    bench.pool = p;
    return p;
}

static void
test_limits(void **state)
{
    static const struct {
        size_t threads, queue, taken;
    } cases[] = {
        {1, 0, 1},
        {3, 0, 3},
        {1, 2, 3},
        {2, 3, 5},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pool *p = make_pool(cases[i].threads, cases[i].queue, 60000, begin);
        uint64_t sum = 0;

        print_message("threads %zu, queue %zu\n", cases[i].threads, cases[i].queue);
        for (uint64_t n = 1; n <= cases[i].taken; n++, sum += n - 1)
            assert_int_equal(pool_submit(p, n), 0);
        assert_int_equal(pool_submit(p, 1000), -EBUSY);
        wait_until(&bench.serving, cases[i].threads);
        assert_int_equal(pool_threads(p), cases[i].threads);
        set_gate(true);
        pool_free(p);
        assert_int_equal(bench.served, cases[i].taken);
        assert_int_equal(bench.sum, sum);
        assert_int_equal(bench.begun, cases[i].threads);
        assert_int_equal(bench.ended, cases[i].threads);
    }
}

/*
 * One item after the other: a thread that is free is used again. An item counts as served a moment
 * before its thread is free, so that now and then another thread is made.
 */
static void
test_reuses_idle_thread(void **state)
{
    struct pool *p = make_pool(200, 0, 60000, begin);

    (void)state;
    set_gate(true);
    for (uint64_t n = 1; n <= 200; n++) {
        assert_int_equal(pool_submit(p, n), 0);
        wait_until(&bench.served, n);
    }
    assert_in_range(pool_threads(p), 1, 100);
    pool_free(p);
    assert_int_equal(bench.sum, 200 * 201 / 2);
}

/* Who sees an item served may submit the next at once: it is not refused, though nothing queues
 * here. */
static void
test_next_item_is_taken(void **state)
{
    struct pool *p = make_pool(1, 0, 60000, begin);

    (void)state;
    set_gate(true);
    for (uint64_t n = 1; n <= 2000; n++) {
        assert_int_equal(pool_submit(p, n), 0);
        wait_until(&bench.served, n);
    }
    pool_free(p);
    assert_int_equal(bench.begun, 1);
}

static void
test_shrinks_to_one(void **state)
{
    struct pool *p = make_pool(4, 0, 1, begin);

    (void)state;
    for (uint64_t n = 0; n < 4; n++)
        assert_int_equal(pool_submit(p, n), 0);
    wait_until(&bench.serving, 4);
    set_gate(true);
    wait_until(&bench.ended, 3);
    assert_int_equal(pool_threads(p), 1);
    /* What is left still serves. */
    assert_int_equal(pool_submit(p, 7), 0);
    wait_until(&bench.served, 5);
    pool_free(p);
    assert_int_equal(bench.begun, bench.ended);
}

static void
test_thread_without_state(void **state)
{
    struct pool *p = make_pool(1, 0, 60000, begin_nothing);

    (void)state;
    set_gate(true);
    assert_int_equal(pool_submit(p, 1), 0);
    wait_until(&bench.served, 1);
    pool_free(p);
    assert_int_equal(bench.without_state, 1);
    assert_int_equal(bench.ended, 0);
}

/* Many submitters and threads that come and go: nothing is lost or served twice. */
static void *
submit_many(void *argument)
{
    struct pool *p = argument;

    for (int n = 0; n < 2000; n++) {
        while (pool_submit(p, 1) < 0)
            sched_yield();
    }
    return NULL;
}

static void
test_storm(void **state)
{
    struct pool *p = make_pool(3, 2, 0, begin);
    pthread_t threads[3];

    (void)state;
    set_gate(true);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, p), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    pool_free(p);
    assert_int_equal(bench.sum, 6000);
    assert_int_equal(bench.begun, bench.ended);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_reuses_idle_thread),
        cmocka_unit_test(test_next_item_is_taken),
        cmocka_unit_test(test_shrinks_to_one),
        cmocka_unit_test(test_thread_without_state),
        cmocka_unit_test(test_storm),
    };

    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
