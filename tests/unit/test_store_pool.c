/* Rows that somebody takes: GPUs, idle containers, and the pool's. */
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/shared.h"
#include "backend/store/store.h"

enum { TAKERS = 4, WARM = 6, GPUS = 63 };

struct fixture {
    char dir[64];
    char path[96];
    struct shared *shared;
    struct store *store;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char shared_path[96];

    if (!f)
        return -1;
    snprintf(f->dir, sizeof(f->dir), "/tmp/test-store-pool.XXXXXX");
    if (!mkdtemp(f->dir) || sodium_init() < 0)
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/sandbox.db", f->dir);
    snprintf(shared_path, sizeof(shared_path), "%s/shared", f->dir);
    *state = f;
    if (shared_create(shared_path, &f->shared, NULL) < 0)
        return -1;
    return store_open(f->path, f->shared, &f->store, NULL);
}

static int
teardown(void **state)
{
    static const char *const files[] = {"sandbox.db", "sandbox.db-wal", "sandbox.db-shm", "shared"};
    struct fixture *f = *state;
    char path[128];

    store_free(f->store);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
        unlink(path);
    }
    rmdir(f->dir);
    free(f);
    return 0;
}

/* A container number @number of alice's, last used at @number. */
static struct container
example(int64_t number)
{
    struct container c = {
        .uid = 200000,
        .scope = SCOPE_AGENT,
        .network = NETWORK_NONE,
        .workspace_access = ACCESS_RW,
        .limits = {.cpu_cores = 1, .memory_mb = 64, .disk_mb = 64, .max_processes = 8},
        .status = CONTAINER_RUNNING,
        .created_at_ms = number,
        .last_used_at_ms = number,
    };

    snprintf(c.id, sizeof(c.id), "container_%012lld", (long long)number);
    snprintf(c.scope_key, sizeof(c.scope_key), "key%lld", (long long)number);
    snprintf(c.owner, sizeof(c.owner), "alice");
    snprintf(c.agent_id, sizeof(c.agent_id), "agent");
    snprintf(c.tier, sizeof(c.tier), "Sandbox");
    snprintf(c.template_name, sizeof(c.template_name), "base");
    snprintf(c.image, sizeof(c.image), "sandbox-base:latest");
    snprintf(c.runtime, sizeof(c.runtime), "runc");
    return c;
}

static void
gpus_are_given_to_one_at_a_time(void **state)
{
    static const struct {
        int64_t needs, total, mask;
    } cases[] = {
        {2, 4, 3}, {1, 4, 4}, {2, 4, 0}, {1, 4, 8}, {1, 4, 0}, {1, 5, 16}, {64, GPUS, 0},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct container c = example((int64_t)i), back = {0};
        struct error err = {0};
        int r;

        print_message("case %zu\n", i);
        c.gpus = cases[i].needs;
        r = store_container_insert_gpus(f->store, &c, cases[i].total, NULL, &err);
        assert_int_equal(r, cases[i].mask ? 0 : -EEXIST);
        if (r < 0) {
            assert_non_null(strstr(err.msg, "too few are free"));
            assert_int_equal(store_container_get(f->store, c.id, &back, NULL), -ENOENT);
            continue;
        }
        assert_int_equal(store_container_get(f->store, c.id, &back, NULL), 0);
        assert_int_equal(back.gpu_mask, cases[i].mask);
        assert_int_equal(back.gpus, cases[i].needs);
        container_done(&back);
    }
}

static void
gpus_come_back_with_their_container(void **state)
{
    struct fixture *f = *state;
    struct container c = example(1);

    c.gpus = 1;
    assert_int_equal(store_container_insert_gpus(f->store, &c, 1, NULL, NULL), 0);
    assert_int_equal(store_container_delete(f->store, c.id, NULL), 0);
    assert_int_equal(store_container_insert_gpus(f->store, &c, 1, NULL, NULL), 0);
    assert_int_equal(c.gpu_mask, 1);
}

/* Announce an execution in container @id. */
static void
begin(struct store *s, const char *id, const char *entry)
{
    struct audit_entry e = {
        .kind = AUDIT_EXECUTION, .status = AUDIT_RUNNING, .command = strdup("true")};

    snprintf(e.id, sizeof(e.id), "%s", entry);
    snprintf(e.owner, sizeof(e.owner), "alice");
    snprintf(e.container_id, sizeof(e.container_id), "%s", id);
    snprintf(e.request_id, sizeof(e.request_id), "r");
    assert_int_equal(store_audit_begin(s, &e, NULL, NULL), 0);
    audit_entry_done(&e);
}

static void
only_what_is_idle_is_taken(void **state)
{
    struct fixture *f = *state;
    _cleanup_(freep) char(*ids)[CONTAINER_ID_SIZE] = NULL;
    struct container old = example(10), busy = example(11), started = example(12),
                     once = example(13), new = example(30);
    size_t count = 0;
    bool taken;

    once.one_shot = true;
    once.scope_key[0] = '\0';
    assert_int_equal(store_container_insert(f->store, &old, NULL, NULL), 0);
    assert_int_equal(store_container_insert(f->store, &busy, NULL, NULL), 0);
    assert_int_equal(store_container_insert(f->store, &started, NULL, NULL), 0);
    assert_int_equal(store_container_insert(f->store, &once, NULL, NULL), 0);
    assert_int_equal(store_container_insert(f->store, &new, NULL, NULL), 0);
    assert_int_equal(store_container_status(f->store, started.id, CONTAINER_RUNNING, 25, NULL), 0);
    begin(f->store, busy.id, "exec_1");
    assert_int_equal(store_idle_list(f->store, NULL, 20, false, 10, &ids, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_string_equal(ids[0], old.id);
    assert_int_equal(store_idle_removing(f->store, busy.id, 20, &taken, NULL), 0);
    assert_false(taken);
    assert_int_equal(store_idle_stopped(f->store, started.id, 20, &taken, NULL), 0);
    assert_false(taken);
    assert_int_equal(store_idle_stopped(f->store, old.id, 20, &taken, NULL), 0);
    assert_true(taken);
    assert_int_equal(store_idle_stopped(f->store, old.id, 20, &taken, NULL), 0);
    assert_false(taken); /* it does not run */
    assert_int_equal(store_container_status(f->store, old.id, CONTAINER_RUNNING, 15, NULL), 0);
    begin(f->store, old.id, "exec_2");
    assert_int_equal(store_idle_removing(f->store, old.id, 20, &taken, NULL), 0);
    assert_false(taken);
}

static void
warm(struct store *s, int number, const char *fingerprint, bool expected)
{
    struct pool_entry e = {.status = POOL_WARMING, .created_at_ms = number};
    bool done;

    snprintf(e.id, sizeof(e.id), "container_%012d", 100 + number);
    snprintf(e.template_name, sizeof(e.template_name), "base");
    snprintf(e.tier, sizeof(e.tier), "Sandbox");
    snprintf(e.fingerprint, sizeof(e.fingerprint), "%s", fingerprint);
    assert_int_equal(store_pool_insert(s, &e, &done, NULL), 0);
    assert_int_equal(done, expected);
    assert_int_equal(store_pool_ready(s, e.id, &done, NULL), 0);
    assert_int_equal(done, expected);
}

static void
only_what_fits_and_is_ready_is_claimed(void **state)
{
    struct fixture *f = *state;
    struct container c = example(1), back = {0};
    struct pool_figures figures;
    bool done;

    warm(f->store, 1, "old", true);
    warm(f->store, 2, "new", true);
    warm(f->store, 3, "new", true);
    assert_int_equal(store_pool_drain_one(f->store, "container_000000000102", &done, NULL), 0);
    assert_true(done);
    assert_int_equal(store_pool_claim(f->store, "new", &c, NULL, &done, NULL), 0);
    assert_true(done);
    assert_string_equal(c.id, "container_000000000103");
    assert_int_equal(store_container_get(f->store, c.id, &back, NULL), 0);
    assert_string_equal(back.owner, "alice");
    container_done(&back);
    assert_int_equal(store_pool_drain_one(f->store, c.id, &done, NULL), 0);
    assert_false(done); /* it is alice's now */
    c = example(2);
    assert_int_equal(store_pool_claim(f->store, "new", &c, NULL, &done, NULL), 0);
    assert_false(done);
    assert_int_equal(store_container_known(f->store, "container_000000000101", &done, NULL), 0);
    assert_true(done);
    assert_int_equal(store_pool_figures(f->store, "base", "Sandbox", &figures, NULL), 0);
    assert_int_equal(figures.ready, 1);
    assert_int_equal(figures.claimed, 1);
    assert_int_equal(figures.missed, 1);
}

static void
a_claim_whose_scope_is_taken_leaves_the_pool_alone(void **state)
{
    struct fixture *f = *state;
    struct container first = example(1), second = example(1);
    struct pool_figures figures;
    bool done;

    warm(f->store, 1, "f", true);
    assert_int_equal(store_container_insert(f->store, &first, NULL, NULL), 0);
    assert_int_equal(store_pool_claim(f->store, "f", &second, NULL, &done, NULL), -EEXIST);
    assert_false(done);
    assert_int_equal(store_pool_figures(f->store, "base", "Sandbox", &figures, NULL), 0);
    assert_int_equal(figures.ready, 1);
    assert_int_equal(figures.claimed, 0);
}

static void
what_is_held_is_not_filled(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(store_pool_hold(f->store, "base", "Sandbox", true, NULL), 0);
    warm(f->store, 1, "f", false);
    assert_int_equal(store_pool_hold(f->store, "base", "Sandbox", false, NULL), 0);
    warm(f->store, 2, "f", true);
    assert_int_equal(store_pool_hold(f->store, "base", "Sandbox", true, NULL), 0);
    assert_int_equal(store_pool_release(f->store, NULL), 0);
    warm(f->store, 3, "f", true);
}

/* One thread's claims; the sum of them has to be what there was. */
struct taker {
    pthread_t thread;
    struct fixture *fixture;
    int number;
    int got;
};

static void *
take_all(void *arg)
{
    struct taker *t = arg;
    struct store *s = NULL;
    bool done = store_open(t->fixture->path, t->fixture->shared, &s, NULL) == 0;

    for (int i = 0; done; i++) {
        struct container c = example(1000 * t->number + i);

        if (store_pool_claim(s, "f", &c, NULL, &done, NULL) < 0)
            break;
        t->got += done;
    }
    store_free(s);
    return NULL;
}

static void
none_is_claimed_twice(void **state)
{
    struct taker takers[TAKERS] = {0};
    struct fixture *f = *state;
    struct counts counts;
    int got = 0;

    for (int i = 0; i < WARM; i++)
        warm(f->store, i, "f", true);
    for (int i = 0; i < TAKERS; i++) {
        takers[i] = (struct taker){.fixture = f, .number = i + 1};
        assert_int_equal(pthread_create(&takers[i].thread, NULL, take_all, &takers[i]), 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(takers[i].thread, NULL);
        got += takers[i].got;
    }
    assert_int_equal(got, WARM);
    assert_int_equal(store_counts(f->store, NULL, 0, &counts, NULL), 0);
    assert_int_equal(counts.containers, WARM);
}

#define store_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(gpus_are_given_to_one_at_a_time),
        store_test(gpus_come_back_with_their_container),
        store_test(only_what_is_idle_is_taken),
        store_test(only_what_fits_and_is_ready_is_claimed),
        store_test(a_claim_whose_scope_is_taken_leaves_the_pool_alone),
        store_test(what_is_held_is_not_filled),
        store_test(none_is_claimed_twice),
    };

    return cmocka_run_group_tests_name("store: pool", tests, NULL, NULL);
}
