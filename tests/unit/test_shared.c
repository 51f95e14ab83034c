/* The locks that all processes share: they wait, they time out, and they outlive their holder. */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/shared.h"

static int
setup(void **state)
{
    static struct shared *shared;
    char dir[] = "/tmp/test-shared.XXXXXX";
    char path[64];
    int r;

    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/shared", dir);
    r = shared_create(path, &shared, NULL);
    unlink(path);
    rmdir(dir);
    *state = shared;
    return r;
}

static void
a_held_lock_times_out_for_others(void **state)
{
    struct shared *s = *state;
    pthread_mutex_t *held = NULL, *wanted = NULL;
    struct error err = {0};

    assert_int_equal(shared_lock(s, SHARED_LOCK_WRITER, NULL, 1000, &held, NULL), 0);
    assert_int_equal(shared_lock(s, SHARED_LOCK_WRITER, NULL, 50, &wanted, &err), -EBUSY);
    assert_int_equal(err.code, ERR_OVERLOADED);
    assert_int_equal(err.retry_after_seconds, 1);
    assert_null(wanted);
    shared_unlock(&held);
    assert_null(held);
    assert_int_equal(shared_lock(s, SHARED_LOCK_WRITER, NULL, 50, &wanted, NULL), 0);
    shared_unlock(&wanted);
}

static void
kinds_do_not_get_in_each_others_way(void **state)
{
    struct shared *s = *state;
    pthread_mutex_t *scope = NULL, *container = NULL, *writer = NULL;

    assert_int_equal(shared_lock(s, SHARED_LOCK_SCOPE, "same", 50, &scope, NULL), 0);
    assert_int_equal(shared_lock(s, SHARED_LOCK_CONTAINER, "same", 50, &container, NULL), 0);
    assert_int_equal(shared_lock(s, SHARED_LOCK_WRITER, "same", 50, &writer, NULL), 0);
    shared_unlock(&writer);
    shared_unlock(&container);
    shared_unlock(&scope);
}

static void
one_key_is_one_lock(void **state)
{
    struct shared *s = *state;
    pthread_mutex_t *held = NULL, *wanted = NULL;

    assert_int_equal(shared_lock(s, SHARED_LOCK_CONTAINER, "container_1", 50, &held, NULL), 0);
    assert_int_equal(shared_lock(s, SHARED_LOCK_CONTAINER, "container_1", 50, &wanted, NULL),
                     -EBUSY);
    shared_unlock(&held);
}

static void
a_lock_outlives_its_holder(void **state)
{
    struct shared *s = *state;
    pthread_mutex_t *lock = NULL;
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(shared_lock(s, SHARED_LOCK_WRITER, NULL, 1000, &lock, NULL) == 0 ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(shared_lock(s, SHARED_LOCK_WRITER, NULL, 1000, &lock, NULL), 0);
        shared_unlock(&lock);
    }
}

static void
only_listed_workers_live(void **state)
{
    struct shared *s = *state;

    atomic_store(&s->workers[3], 42);
    assert_true(shared_worker_alive(s, 42));
    assert_false(shared_worker_alive(s, 43));
    assert_false(shared_worker_alive(s, 0));
    atomic_store(&s->workers[3], 0);
    assert_false(shared_worker_alive(s, 42));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_lock_times_out_for_others),
        cmocka_unit_test(kinds_do_not_get_in_each_others_way),
        cmocka_unit_test(one_key_is_one_lock),
        cmocka_unit_test(a_lock_outlives_its_holder),
        cmocka_unit_test(only_listed_workers_live),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("shared", tests, setup, NULL);
}
