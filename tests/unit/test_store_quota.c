/* Quotas as the store counts them: exactly, whoever comes at one time. */
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "backend/shared.h"
#include "backend/store/store.h"

enum { TAKERS = 5, TRIES = 10, MOST = 10, DAY_MS = 86400000, MINUTE_MS = 60000 };

/* A day's noon: tests walk from here to the next. */
#define NOON_MS (INT64_C(20000) * DAY_MS + DAY_MS / 2)

struct fixture {
    char dir[64];
    char path[96];
    struct shared *shared;
    struct store *store;
    int entries;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char shared_path[96];

    *state = f;
    if (!f)
        return -1;
    snprintf(f->dir, sizeof(f->dir), "/tmp/test-store-quota.XXXXXX");
    if (!mkdtemp(f->dir) || sodium_init() < 0)
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/sandbox.db", f->dir);
    snprintf(shared_path, sizeof(shared_path), "%s/shared", f->dir);
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

static struct quotas
quota(enum quota which, int64_t most)
{
    struct quotas q = {0};

    q.most[which] = most;
    return q;
}

static struct audit_entry
entry(const char *owner, int number, int64_t at_ms)
{
    static char command[] = "true";
    struct audit_entry e = {
        .kind = AUDIT_EXECUTION,
        .status = AUDIT_RUNNING,
        .started_at_ms = at_ms,
        .exit_code = -1,
        .command = command,
    };

    snprintf(e.id, sizeof(e.id), "exec_%012d", number);
    snprintf(e.owner, sizeof(e.owner), "%s", owner);
    snprintf(e.agent_id, sizeof(e.agent_id), "a");
    snprintf(e.request_id, sizeof(e.request_id), "r");
    return e;
}

/* Begin an execution. Returns what the store does; *ret_gate says why not. */
static int
begin(struct fixture *f, const char *owner, const struct quotas *q, int64_t at_ms,
      struct audit_entry *ret, struct quota_gate *ret_gate)
{
    struct error err = {0};
    int r;

    *ret = entry(owner, ++f->entries, at_ms);
    *ret_gate = (struct quota_gate){.quotas = q};
    r = store_audit_begin(f->store, ret, ret_gate, &err);
    assert_int_equal(err.code, ERR_NONE);
    assert_int_equal(ret_gate->shut, r == -EDQUOT);
    return r;
}

static void
end(struct fixture *f, struct audit_entry *e, int64_t at_ms, int64_t cpu_ms)
{
    e->status = AUDIT_COMPLETED;
    e->finished_at_ms = at_ms;
    e->cpu_ms = cpu_ms;
    assert_int_equal(store_audit_finish(f->store, e, NULL, false, NULL), 0);
}

static void
running_ones_count_until_they_end(void **state)
{
    struct quotas q = quota(QUOTA_CONCURRENT_EXECUTIONS, 2);
    struct fixture *f = *state;
    struct audit_entry one, two, more;
    struct quota_gate gate;

    assert_int_equal(begin(f, "ann", &q, NOON_MS, &one, &gate), 0);
    assert_int_equal(begin(f, "ann", &q, NOON_MS, &two, &gate), 0);
    assert_int_equal(begin(f, "ann", &q, NOON_MS, &more, &gate), -EDQUOT);
    assert_int_equal(gate.which, QUOTA_CONCURRENT_EXECUTIONS);
    assert_int_equal(gate.used, 2);
    assert_int_equal(begin(f, "ben", &q, NOON_MS, &more, &gate), 0); /* has a quota of his own */
    end(f, &one, NOON_MS, 0);
    assert_int_equal(begin(f, "ann", &q, NOON_MS, &more, &gate), 0);
    two.status = AUDIT_INTERRUPTED; /* as the janitor does it */
    two.finished_at_ms = NOON_MS;
    assert_int_equal(store_audit_finish(f->store, &two, NULL, false, NULL), 0);
    assert_int_equal(begin(f, "ann", &q, NOON_MS, &more, &gate), 0);
    assert_int_equal(begin(f, "ann", &q, NOON_MS, &more, &gate), -EDQUOT);
}

static void
a_minute_is_any_sixty_seconds(void **state)
{
    struct quotas q = quota(QUOTA_EXECUTIONS_PER_MINUTE, 3);
    struct fixture *f = *state;
    struct audit_entry e;
    struct quota_gate gate;

    assert_int_equal(begin(f, "ann", &q, NOON_MS, &e, &gate), 0);
    end(f, &e, NOON_MS, 0);
    assert_int_equal(begin(f, "ann", &q, NOON_MS + 50000, &e, &gate), 0);
    assert_int_equal(begin(f, "ann", &q, NOON_MS + 50000, &e, &gate), 0);
    assert_int_equal(begin(f, "ann", &q, NOON_MS + 59999, &e, &gate), -EDQUOT);
    assert_int_equal(gate.which, QUOTA_EXECUTIONS_PER_MINUTE);
    assert_true(gate.free_at_ms == NOON_MS + MINUTE_MS);
    assert_int_equal(begin(f, "ann", &q, NOON_MS + MINUTE_MS, &e, &gate), 0);
    assert_int_equal(begin(f, "ann", &q, NOON_MS + MINUTE_MS, &e, &gate), -EDQUOT);
    assert_true(gate.free_at_ms == NOON_MS + 50000 + MINUTE_MS);
    /* A clock that was put back by an hour leaves nobody waiting for an hour. */
    assert_int_equal(begin(f, "ann", &q, NOON_MS - 60 * MINUTE_MS, &e, &gate), 0);
}

static void
a_day_ends_at_midnight(void **state)
{
    struct quotas q = quota(QUOTA_EXECUTIONS_PER_DAY, 2);
    int64_t midnight_ms = NOON_MS + DAY_MS / 2;
    int64_t used[QUOTA_COUNT] = {0};
    struct fixture *f = *state;
    struct audit_entry e;
    struct quota_gate gate;

    assert_int_equal(begin(f, "ann", &q, NOON_MS, &e, &gate), 0);
    assert_int_equal(begin(f, "ann", &q, midnight_ms - 1, &e, &gate), 0);
    assert_int_equal(begin(f, "ann", &q, midnight_ms - 1, &e, &gate), -EDQUOT);
    assert_int_equal(gate.which, QUOTA_EXECUTIONS_PER_DAY);
    assert_true(gate.free_at_ms == midnight_ms);
    assert_int_equal(store_quota_usage(f->store, "ann", midnight_ms - 1, used, NULL), 0);
    assert_int_equal(used[QUOTA_EXECUTIONS_PER_DAY], 2);
    assert_int_equal(begin(f, "ann", &q, midnight_ms, &e, &gate), 0);
    assert_int_equal(store_quota_usage(f->store, "ann", midnight_ms, used, NULL), 0);
    assert_int_equal(used[QUOTA_EXECUTIONS_PER_DAY], 1);
}

/* What was begun counts, also after an admin has cleaned up the audit log. */
static void
a_cleanup_of_the_audit_gives_nothing_back(void **state)
{
    struct quotas q = quota(QUOTA_EXECUTIONS_PER_DAY, 1);
    struct fixture *f = *state;
    struct audit_entry e, by;
    struct quota_gate gate;
    int64_t removed = 0, freed = 0;
    bool more = false;

    assert_int_equal(begin(f, "ann", &q, NOON_MS, &e, &gate), 0);
    end(f, &e, NOON_MS, 0);
    by = entry("admin", 1000, NOON_MS + 1);
    by.kind = AUDIT_CHANGE;
    by.status = AUDIT_COMPLETED;
    by.finished_at_ms = NOON_MS + 1;
    assert_int_equal(store_audit_retire(f->store, NOON_MS + 1, &by, &removed, &more, NULL), 0);
    assert_int_equal(removed, 1);
    assert_int_equal(store_audit_purge(f->store, &freed, &more, NULL), 0);
    assert_int_equal(store_audit_get(f->store, e.id, NULL, &e, NULL), -ENOENT);
    assert_int_equal(begin(f, "ann", &q, NOON_MS + 2, &e, &gate), -EDQUOT);
}

static void
cpu_time_counts_when_it_is_known(void **state)
{
    struct quotas q = quota(QUOTA_CPU_SECONDS_PER_DAY, 2);
    int64_t used[QUOTA_COUNT] = {0};
    struct fixture *f = *state;
    struct audit_entry one, two;
    struct quota_gate gate;

    assert_int_equal(begin(f, "ann", &q, NOON_MS, &one, &gate), 0);
    end(f, &one, NOON_MS, 1999);
    assert_int_equal(begin(f, "ann", &q, NOON_MS, &two, &gate), 0);
    end(f, &two, NOON_MS, 1);
    assert_int_equal(store_quota_usage(f->store, "ann", NOON_MS, used, NULL), 0);
    assert_int_equal(used[QUOTA_CPU_SECONDS_PER_DAY], 2);
    assert_int_equal(begin(f, "ann", &q, NOON_MS, &one, &gate), -EDQUOT);
    assert_int_equal(gate.which, QUOTA_CPU_SECONDS_PER_DAY);
    assert_int_equal(begin(f, "ann", &q, NOON_MS + DAY_MS, &one, &gate), 0);
}

static struct container
container(int number)
{
    struct container c = {
        .uid = 200000,
        .scope = SCOPE_AGENT,
        .network = NETWORK_NONE,
        .workspace_access = ACCESS_RW,
        .limits = {.cpu_cores = 1,
                   .memory_mb = 64,
                   .disk_mb = 64,
                   .max_processes = 8,
                   .timeout_seconds = 9},
        .status = CONTAINER_RUNNING,
        .created_at_ms = NOON_MS,
        .last_used_at_ms = NOON_MS,
    };

    snprintf(c.id, sizeof(c.id), "container_%012d", number);
    snprintf(c.scope_key, sizeof(c.scope_key), "key%d", number);
    snprintf(c.owner, sizeof(c.owner), "ann");
    snprintf(c.agent_id, sizeof(c.agent_id), "a");
    snprintf(c.template_name, sizeof(c.template_name), "base");
    snprintf(c.image, sizeof(c.image), "image");
    snprintf(c.runtime, sizeof(c.runtime), "runc");
    return c;
}

static int
insert(struct fixture *f, int number, const struct quotas *q, struct quota_gate *gate)
{
    struct container c = container(number);

    *gate = (struct quota_gate){.quotas = q};
    return store_container_insert(f->store, &c, gate, NULL);
}

static void
containers_count_until_they_are_removed(void **state)
{
    struct quotas q = quota(QUOTA_CONTAINERS, 2);
    struct fixture *f = *state;
    struct quota_gate gate;

    assert_int_equal(insert(f, 1, &q, &gate), 0);
    assert_int_equal(insert(f, 2, &q, &gate), 0);
    assert_int_equal(insert(f, 3, &q, &gate), -EDQUOT);
    assert_int_equal(gate.which, QUOTA_CONTAINERS);
    assert_int_equal(gate.free_at_ms, 0);
    assert_int_equal(store_container_removing(f->store, container(1).id, NULL), 0);
    assert_int_equal(insert(f, 3, &q, &gate), 0);
}

/* A claim that the quota refuses leaves the pool's container where it is. */
static void
what_is_warm_is_a_container_too(void **state)
{
    struct pool_entry warm = {.status = POOL_READY,
                              .template_name = "base",
                              .tier = "",
                              .fingerprint = "f",
                              .created_at_ms = NOON_MS};
    struct quotas q = quota(QUOTA_CONTAINERS, 1);
    struct fixture *f = *state;
    struct container c = container(7);
    struct quota_gate gate;
    bool done = false;

    snprintf(warm.id, sizeof(warm.id), "container_000000000042");
    snprintf(warm.tier, sizeof(warm.tier), "Sandbox");
    snprintf(c.tier, sizeof(c.tier), "Sandbox");
    assert_int_equal(store_pool_insert(f->store, &warm, &done, NULL), 0);
    assert_int_equal(insert(f, 1, &q, &gate), 0);
    gate = (struct quota_gate){.quotas = &q};
    assert_int_equal(store_pool_claim(f->store, "f", &c, &gate, &done, NULL), -EDQUOT);
    assert_true(gate.shut);
    assert_false(done);
    assert_int_equal(store_container_delete(f->store, container(1).id, NULL), 0);
    gate = (struct quota_gate){.quotas = &q};
    assert_int_equal(store_pool_claim(f->store, "f", &c, &gate, &done, NULL), 0);
    assert_true(done);
    assert_string_equal(c.id, warm.id);
}

static int
add_snapshot(struct fixture *f, int number, const struct quotas *q, int64_t size,
             struct quota_gate *gate)
{
    struct snapshot n = {.status = SNAPSHOT_CREATING, .created_at_ms = NOON_MS};
    int r;

    snprintf(n.id, sizeof(n.id), "snapshot_%012d", number);
    snprintf(n.container_id, sizeof(n.container_id), "%s", container(1 + number % 2).id);
    snprintf(n.owner, sizeof(n.owner), "ann");
    snprintf(n.name, sizeof(n.name), "n");
    *gate = (struct quota_gate){.quotas = q};
    r = store_snapshot_insert(f->store, &n, 10, gate, NULL);
    return r < 0 ? r : store_snapshot_ready(f->store, n.id, size, NULL);
}

static void
snapshots_count_over_all_containers(void **state)
{
    struct quotas q = quota(QUOTA_SNAPSHOTS, 2);
    struct fixture *f = *state;
    struct quota_gate gate;

    assert_int_equal(insert(f, 1, &q, &gate), 0);
    assert_int_equal(insert(f, 2, &q, &gate), 0);
    assert_int_equal(add_snapshot(f, 1, &q, 0, &gate), 0);
    assert_int_equal(add_snapshot(f, 2, &q, 0, &gate), 0);
    assert_int_equal(add_snapshot(f, 3, &q, 0, &gate), -EDQUOT);
    assert_int_equal(gate.which, QUOTA_SNAPSHOTS);
    assert_int_equal(store_snapshot_delete(f->store, "snapshot_000000000001", NULL), 0);
    assert_int_equal(add_snapshot(f, 3, &q, 0, &gate), 0);
}

static void
disk_is_of_containers_and_snapshots(void **state)
{
    struct quotas q = quota(QUOTA_DISK_MB, 10);
    int64_t used[QUOTA_COUNT] = {0};
    struct fixture *f = *state;
    struct audit_entry e;
    struct quota_gate gate;

    assert_int_equal(insert(f, 1, &q, &gate), 0);
    assert_int_equal(insert(f, 2, &q, &gate), 0);
    assert_int_equal(store_container_disk(f->store, container(1).id, 6 << 20, NULL), 0);
    assert_int_equal(begin(f, "ann", &q, NOON_MS, &e, &gate), 0);
    assert_int_equal(add_snapshot(f, 1, &q, 4 << 20, &gate), 0);
    assert_int_equal(store_quota_usage(f->store, "ann", NOON_MS, used, NULL), 0);
    assert_int_equal(used[QUOTA_DISK_MB], 10);
    assert_int_equal(begin(f, "ann", &q, NOON_MS, &e, &gate), -EDQUOT);
    assert_int_equal(gate.which, QUOTA_DISK_MB);
    assert_int_equal(insert(f, 3, &q, &gate), -EDQUOT);
    assert_int_equal(add_snapshot(f, 3, &q, 0, &gate), -EDQUOT);
    assert_int_equal(store_snapshot_delete(f->store, "snapshot_000000000001", NULL), 0);
    assert_int_equal(insert(f, 3, &q, &gate), 0);
}

static void
a_look_binds_nobody(void **state)
{
    struct quotas q = quota(QUOTA_CONCURRENT_EXECUTIONS, 1);
    struct quota_gate gate = {.quotas = &q};
    struct fixture *f = *state;
    struct audit_entry e;

    for (int i = 0; i < 3; i++)
        assert_int_equal(store_quota_look(f->store, "ann", true, NOON_MS, &gate, NULL), 0);
    assert_int_equal(begin(f, "ann", &q, NOON_MS, &e, &gate), 0);
    assert_int_equal(store_quota_look(f->store, "ann", false, NOON_MS, &gate, NULL), -EDQUOT);
    assert_true(gate.shut);
}

/* Try to begin executions, in a process of its own with a connection of its own. Exits with how
 * many it was let begin. */
static void
take(const struct fixture *f, const struct quotas *q, int number)
{
    struct store *s = NULL;
    int got = 0;

    if (store_open(f->path, f->shared, &s, NULL) < 0)
        _exit(100);
    for (int i = 0; i < TRIES; i++) {
        struct audit_entry e = entry("ann", number * TRIES + i, NOON_MS);
        struct quota_gate gate = {.quotas = q};
        int r = store_audit_begin(s, &e, &gate, NULL);

        if (r < 0 && !gate.shut)
            _exit(101);
        got += r == 0;
    }
    store_free(s);
    _exit(got);
}

static void
fifty_of_five_processes_are_ten(void **state)
{
    static const enum quota counted[] = {QUOTA_CONCURRENT_EXECUTIONS, QUOTA_EXECUTIONS_PER_MINUTE,
                                         QUOTA_EXECUTIONS_PER_DAY};
    struct fixture *f = *state;

    for (size_t c = 0; c < ARRAY_LEN(counted); c++) {
        struct quotas q = quota(counted[c], MOST * (int64_t)(c + 1));
        pid_t takers[TAKERS];
        int got = 0, status = 0;

        if (counted[c] == QUOTA_EXECUTIONS_PER_MINUTE) /* the first ten were begun without it */
            q.most[counted[c]] = MOST;
        store_free(f->store); /* no open connection is taken across a fork */
        f->store = NULL;
        for (int i = 0; i < TAKERS; i++) {
            takers[i] = fork();
            assert_true(takers[i] >= 0);
            if (takers[i] == 0)
                take(f, &q, (int)c * TAKERS + i);
        }
        for (int i = 0; i < TAKERS; i++) {
            assert_int_equal(waitpid(takers[i], &status, 0), takers[i]);
            assert_true(WIFEXITED(status));
            assert_true(WEXITSTATUS(status) <= TRIES);
            got += WEXITSTATUS(status);
        }
        assert_int_equal(got, MOST);
        assert_int_equal(store_open(f->path, f->shared, &f->store, NULL), 0);
    }
}

#define store_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(running_ones_count_until_they_end),
        store_test(a_minute_is_any_sixty_seconds),
        store_test(a_day_ends_at_midnight),
        store_test(a_cleanup_of_the_audit_gives_nothing_back),
        store_test(cpu_time_counts_when_it_is_known),
        store_test(containers_count_until_they_are_removed),
        store_test(what_is_warm_is_a_container_too),
        store_test(snapshots_count_over_all_containers),
        store_test(disk_is_of_containers_and_snapshots),
        store_test(a_look_binds_nobody),
        store_test(fifty_of_five_processes_are_ten),
    };

    return cmocka_run_group_tests_name("store: quotas", tests, NULL, NULL);
}
