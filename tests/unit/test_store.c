/* The store on a database of its own: rows there and back, the scope key, the chain, two writers.
 */
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>
#include <sqlite3.h>

#include "backend/shared.h"
#include "backend/store/store.h"

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
    struct error err = {0};
    char shared_path[96];
    int r;

    snprintf(f->dir, sizeof(f->dir), "/tmp/test-store.XXXXXX");
    if (!mkdtemp(f->dir) || sodium_init() < 0)
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/sandbox.db", f->dir);
    snprintf(shared_path, sizeof(shared_path), "%s/shared", f->dir);
    *state = f;
    r = shared_create(shared_path, &f->shared, &err);
    if (r == 0)
        r = store_open(f->path, f->shared, &f->store, &err);
    if (r < 0)
        print_error("%s: %s\n", err.msg, err.detail);
    return r;
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

static struct container
example(const char *id, const char *key, const char *owner)
{
    struct container c = {
        .uid = 200000,
        .scope = SCOPE_AGENT,
        .network = NETWORK_NONE,
        .workspace_access = ACCESS_RW,
        .limits = {.cpu_cores = 0.5,
                   .memory_mb = 256,
                   .disk_mb = 1024,
                   .max_processes = 32,
                   .timeout_seconds = 120},
        .status = CONTAINER_CREATING,
        .worker = 0xfedcba9876543210u,
        .created_at_ms = 1000,
        .last_used_at_ms = 1000,
    };

    snprintf(c.id, sizeof(c.id), "%s", id);
    snprintf(c.scope_key, sizeof(c.scope_key), "%s", key);
    snprintf(c.owner, sizeof(c.owner), "%s", owner);
    snprintf(c.agent_id, sizeof(c.agent_id), "agent_123");
    snprintf(c.tier, sizeof(c.tier), "Restricted");
    snprintf(c.template_name, sizeof(c.template_name), "base");
    snprintf(c.image, sizeof(c.image), "sandbox-base:latest");
    snprintf(c.runtime, sizeof(c.runtime), "runc");
    return c;
}

static void
container_comes_back_as_it_went(void **state)
{
    struct fixture *f = *state;
    struct container c = example("container_000000000001", "key1", "alice"), back = {0};

    assert_int_equal(store_container_insert(f->store, &c, NULL, NULL), 0);
    assert_int_equal(store_container_status(f->store, c.id, CONTAINER_RUNNING, 2000, NULL), 0);
    assert_int_equal(store_container_by_scope(f->store, "key1", &back, NULL), 0);
    assert_string_equal(back.id, c.id);
    assert_string_equal(back.owner, "alice");
    assert_string_equal(back.agent_id, "agent_123");
    assert_string_equal(back.session_id, "");
    assert_string_equal(back.tier, "Restricted");
    assert_int_equal(back.scope, SCOPE_AGENT);
    assert_int_equal(back.workspace_access, ACCESS_RW);
    assert_int_equal(back.limits.memory_mb, 256);
    assert_true(back.limits.cpu_cores == 0.5);
    assert_true(back.worker == 0xfedcba9876543210u);
    assert_int_equal(back.status, CONTAINER_RUNNING);
    assert_int_equal(back.started_at_ms, 2000);
    assert_string_equal(back.labels, "{}");
    container_done(&back);
}

static void
scope_key_is_unique_until_removal(void **state)
{
    struct fixture *f = *state;
    struct container first = example("container_000000000001", "key", "alice");
    struct container second = example("container_000000000002", "key", "alice");
    struct error err = {0};

    assert_int_equal(store_container_insert(f->store, &first, NULL, NULL), 0);
    assert_int_equal(store_container_insert(f->store, &second, NULL, &err), -EEXIST);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(store_container_removing(f->store, first.id, NULL), 0);
    assert_int_equal(store_container_insert(f->store, &second, NULL, NULL), 0);
    error_clear(&err);
    assert_int_equal(store_container_status(f->store, first.id, CONTAINER_RUNNING, 1, &err),
                     -ENOENT);
}

static struct snapshot
example_snapshot(const char *id, const char *container_id)
{
    struct snapshot s = {
        .status = SNAPSHOT_CREATING,
        .worker = 0xfedcba9876543210u,
        .created_at_ms = 1000,
    };

    snprintf(s.id, sizeof(s.id), "%s", id);
    snprintf(s.container_id, sizeof(s.container_id), "%s", container_id);
    snprintf(s.owner, sizeof(s.owner), "alice");
    snprintf(s.name, sizeof(s.name), "before");
    return s;
}

static void
snapshot_comes_back_as_it_went(void **state)
{
    struct fixture *f = *state;
    struct container c = example("container_000000000001", "key", "alice");
    struct snapshot s = example_snapshot("snapshot_000000000001", c.id), back = {0};
    struct error err = {0};

    assert_int_equal(store_container_insert(f->store, &c, NULL, NULL), 0);
    assert_int_equal(store_snapshot_insert(f->store, &s, 1, NULL, NULL), 0);
    assert_int_equal(store_snapshot_ready(f->store, s.id, 5000, NULL), 0);
    assert_int_equal(store_snapshot_ready(f->store, s.id, 6000, NULL), -ENOENT); /* no more */
    assert_int_equal(store_snapshot_get(f->store, c.id, s.id, &back, NULL), 0);
    assert_string_equal(back.id, s.id);
    assert_string_equal(back.container_id, c.id);
    assert_string_equal(back.owner, "alice");
    assert_string_equal(back.name, "before");
    assert_int_equal(back.status, SNAPSHOT_READY);
    assert_true(back.worker == 0xfedcba9876543210u);
    assert_int_equal(back.size_bytes, 5000);
    assert_int_equal(back.created_at_ms, 1000);
    assert_int_equal(store_snapshot_get(f->store, "container_000000000002", s.id, &back, &err),
                     -ENOENT);
    assert_string_equal(err.msg, "there is no such snapshot");
}

static void
snapshot_that_was_given_up_is_taken_over(void **state)
{
    struct fixture *f = *state;
    struct container c = example("container_000000000001", "key", "alice");
    struct snapshot s = example_snapshot("snapshot_000000000001", c.id), back = {0};

    assert_int_equal(store_container_insert(f->store, &c, NULL, NULL), 0);
    assert_int_equal(store_snapshot_insert(f->store, &s, 1, NULL, NULL), 0);
    assert_int_equal(store_snapshot_removing(f->store, s.id, NULL), 0);
    s.worker = 7;
    s.created_at_ms = 2000;
    assert_int_equal(store_snapshot_take(f->store, &s, NULL), 0);
    assert_int_equal(store_snapshot_get(f->store, c.id, s.id, &back, NULL), 0);
    assert_int_equal(back.status, SNAPSHOT_CREATING);
    assert_true(back.worker == 7);
    assert_int_equal(back.created_at_ms, 2000);
    assert_int_equal(store_snapshot_ready(f->store, s.id, 5000, NULL), 0);
}

static void
snapshots_are_counted_and_go_with_their_container(void **state)
{
    struct fixture *f = *state;
    struct container c = example("container_000000000001", "key", "alice");
    struct snapshot one = example_snapshot("snapshot_000000000001", c.id);
    struct snapshot two = example_snapshot("snapshot_000000000002", c.id);
    const struct snapshot_filter all = {0};
    const struct snapshot_filter ready = {.container_id = c.id, .status = SNAPSHOT_READY};
    struct snapshot *list = NULL;
    struct error err = {0};
    size_t count = 99;

    assert_int_equal(store_snapshot_insert(f->store, &one, 1, NULL, &err), -EIO); /* of no container */
    error_clear(&err);
    assert_int_equal(store_container_insert(f->store, &c, NULL, NULL), 0);
    assert_int_equal(store_snapshot_insert(f->store, &one, 0, NULL, &err), -EDQUOT);
    error_clear(&err);
    assert_int_equal(store_snapshot_insert(f->store, &one, 1, NULL, NULL), 0);
    assert_int_equal(store_snapshot_insert(f->store, &two, 1, NULL, &err), -EDQUOT);
    assert_int_equal(err.code, ERR_QUOTA_EXCEEDED);
    assert_int_equal(store_snapshot_removing(f->store, one.id, NULL), 0);
    assert_int_equal(store_snapshot_insert(f->store, &two, 1, NULL, NULL), 0);
    assert_int_equal(store_snapshot_list(f->store, &all, &list, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].id, two.id); /* newest first */
    free(list);
    list = NULL;
    assert_int_equal(store_snapshot_list(f->store, &ready, &list, &count, NULL), 0);
    assert_int_equal(count, 0);
    free(list);
    list = NULL;
    assert_int_equal(store_container_delete(f->store, c.id, NULL), 0);
    assert_int_equal(store_snapshot_list(f->store, &all, &list, &count, NULL), 0);
    assert_int_equal(count, 0);
    free(list);
}

static void
lists_are_narrowed_and_newest_first(void **state)
{
    struct fixture *f = *state;
    const struct {
        struct container_filter filter;
        size_t count;
        const char *first;
    } cases[] = {
        {{.limit = 10}, 3, "container_000000000003"},
        {{.limit = 2}, 2, "container_000000000003"},
        {{.owner = "alice", .limit = 10}, 2, "container_000000000002"},
        {{.owner = "nobody", .limit = 10}, 0, NULL},
        {{.tier = "restricted", .limit = 10}, 3, "container_000000000003"},
        {{.scope = SCOPE_SESSION, .limit = 10}, 0, NULL},
        {{.status = CONTAINER_CREATING, .before = 2, .limit = 10}, 1, "container_000000000001"},
    };
    const char *owners[] = {"alice", "alice", "bob"};

    for (size_t i = 0; i < 3; i++) {
        char id[CONTAINER_ID_SIZE], key[8];
        struct container c;

        snprintf(id, sizeof(id), "container_%012zu", i + 1);
        snprintf(key, sizeof(key), "k%zu", i);
        c = example(id, key, owners[i]);
        assert_int_equal(store_container_insert(f->store, &c, NULL, NULL), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct container *list = NULL;
        size_t count = 0;

        print_message("case %zu\n", i);
        assert_int_equal(store_container_list(f->store, &cases[i].filter, &list, &count, NULL), 0);
        assert_int_equal(count, cases[i].count);
        if (count > 0)
            assert_string_equal(list[0].id, cases[i].first);
        store_container_list_free(list, count);
    }
}

static void
owners_get_distinct_uids_for_ever(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    int64_t alice, again, bob, carol;

    assert_int_equal(store_owner_uid(f->store, "alice", 200000, 200001, &alice, NULL), 0);
    assert_int_equal(store_owner_uid(f->store, "bob", 200000, 200001, &bob, NULL), 0);
    assert_int_equal(store_owner_uid(f->store, "alice", 200000, 200001, &again, NULL), 0);
    assert_int_equal(alice, 200000);
    assert_int_equal(bob, 200001);
    assert_int_equal(again, alice);
    assert_int_equal(store_owner_uid(f->store, "carol", 200000, 200001, &carol, &err), -EDQUOT);
}

static struct audit_entry
entry(const char *id)
{
    struct audit_entry e = {
        .kind = AUDIT_EXECUTION, .status = AUDIT_RUNNING, .started_at_ms = 5000, .exit_code = -1};

    snprintf(e.id, sizeof(e.id), "%s", id);
    snprintf(e.owner, sizeof(e.owner), "alice");
    snprintf(e.agent_id, sizeof(e.agent_id), "a");
    snprintf(e.container_id, sizeof(e.container_id), "container_000000000001");
    snprintf(e.request_id, sizeof(e.request_id), "req");
    e.command = strdup("echo hi");
    return e;
}

static void
an_execution_is_announced_and_finished_once(void **state)
{
    struct fixture *f = *state;
    struct container c = example("container_000000000001", "key", "alice");
    char text[] = "hi\n";
    struct audit_output output = {.out = text, .out_len = 3, .errout_truncated = true};
    struct audit_output kept = {0};
    struct audit_entry e = entry("exec_1"), back = {0};
    struct error err = {0};

    c.status = CONTAINER_STOPPED;
    assert_int_equal(store_container_insert(f->store, &c, NULL, NULL), 0);
    assert_int_equal(store_audit_begin(f->store, &e, NULL, &err), -ENOTCONN);
    assert_int_equal(err.code, ERR_CONTAINER_NOT_RUNNING);
    error_clear(&err);
    assert_int_equal(store_container_status(f->store, c.id, CONTAINER_RUNNING, 4000, NULL), 0);
    assert_int_equal(store_audit_begin(f->store, &e, NULL, NULL), 0);
    assert_int_equal(store_audit_get(f->store, e.id, "alice", &back, NULL), 0);
    assert_int_equal(back.status, AUDIT_RUNNING);
    assert_int_equal(back.exit_code, -1);
    assert_string_equal(back.hash, "");
    audit_entry_done(&back);

    e.status = AUDIT_FAILED;
    e.exit_code = 7;
    e.finished_at_ms = 6000;
    e.stdout_bytes = 3;
    assert_int_equal(store_audit_finish(f->store, &e, &output, true, NULL), 0);
    assert_int_equal(store_audit_finish(f->store, &e, &output, true, &err), -EEXIST);
    assert_int_equal(store_audit_get(f->store, e.id, NULL, &back, NULL), 0);
    assert_int_equal(back.exit_code, 7);
    assert_int_equal(strlen(back.hash), 64);
    assert_int_equal(store_audit_output(f->store, back.seq, &kept, NULL), 0);
    assert_string_equal(kept.out, "hi\n");
    assert_true(kept.errout_truncated);
    audit_output_done(&kept);
    audit_entry_done(&back);
    error_clear(&err);
    assert_int_equal(store_audit_get(f->store, e.id, "bob", &back, &err), -ENOENT);

    assert_int_equal(store_container_get(f->store, c.id, &c, NULL), 0);
    assert_int_equal(c.executions_count, 1);
    assert_int_equal(c.last_used_at_ms, 6000);
    container_done(&c);
    audit_entry_done(&e);
}

/* How many executions in the background run in @container (NULL: in all) after the row @after, of
 * at most @limit. */
static size_t
background_count(struct fixture *f, const char *container, int64_t after, int64_t limit)
{
    struct audit_entry *list = NULL;
    size_t count = 0;

    assert_int_equal(
        store_background_running(f->store, container, after, limit, &list, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        assert_true(list[i].background && list[i].output_cap == 10 && list[i].seq > after);
    store_audit_list_free(list, count);
    return count;
}

static void
executions_in_the_background_are_found_until_they_end(void **state)
{
    struct fixture *f = *state;
    struct container c = example("container_000000000001", "", "alice");
    char spent[CONTAINER_ID_SIZE];
    struct audit_entry e[3];

    c.one_shot = true;
    c.status = CONTAINER_RUNNING;
    assert_int_equal(store_container_insert(f->store, &c, NULL, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(e); i++) {
        char id[AUDIT_ID_SIZE];

        id_audit(id);
        e[i] = entry(id);
        e[i].background = i > 0;
        e[i].output_cap = 10;
        assert_int_equal(store_audit_begin(f->store, &e[i], NULL, NULL), 0);
    }
    assert_int_equal(background_count(f, NULL, 0, 10), 2);
    assert_int_equal(background_count(f, NULL, 0, 1), 1);
    assert_int_equal(background_count(f, NULL, 2, 10), 1);
    assert_int_equal(background_count(f, c.id, 0, 10), 2);
    assert_int_equal(background_count(f, "container_000000000002", 0, 10), 0);
    for (size_t i = 0; i < ARRAY_LEN(e); i++) {
        assert_int_equal(store_background_spent(f->store, spent, NULL), -ENOENT);
        e[i].status = AUDIT_COMPLETED;
        assert_int_equal(store_audit_finish(f->store, &e[i], NULL, false, NULL), 0);
        audit_entry_done(&e[i]);
    }
    assert_int_equal(background_count(f, NULL, 0, 10), 0);
    assert_int_equal(store_background_spent(f->store, spent, NULL), 0);
    assert_string_equal(spent, c.id);
    assert_int_equal(store_container_removing(f->store, c.id, NULL), 0);
    assert_int_equal(store_background_spent(f->store, spent, NULL), -ENOENT);
}

static void
each_entry_hashes_over_the_one_before(void **state)
{
    struct fixture *f = *state;
    struct audit_entry first = entry("exec_1"), second = entry("exec_2"), a = {0}, b = {0};

    first.status = second.status = AUDIT_REFUSED;
    first.finished_at_ms = second.finished_at_ms = 5000;
    assert_int_equal(store_audit_insert(f->store, &first, NULL), 0);
    assert_int_equal(store_audit_insert(f->store, &second, NULL), 0);
    assert_int_equal(store_audit_insert(f->store, &second, NULL), -EEXIST);
    assert_int_equal(store_audit_get(f->store, "exec_1", NULL, &a, NULL), 0);
    assert_int_equal(store_audit_get(f->store, "exec_2", NULL, &b, NULL), 0);
    assert_string_not_equal(a.hash, b.hash);
    audit_entry_done(&a);
    audit_entry_done(&b);
    audit_entry_done(&first);
    audit_entry_done(&second);
}

static int
set_mode(json_t *stored, void *arg, json_t **ret, struct error *err)
{
    (void)stored;
    (void)err;
    *ret = json_pack("{s:s}", "mode", (const char *)arg);
    return 0;
}

static int
refuse(json_t *stored, void *arg, json_t **ret, struct error *err)
{
    (void)stored;
    (void)arg;
    (void)ret;
    return error_set(err, ERR_PRECONDITION_FAILED, "no");
}

static void
overrides_change_or_stay(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char mode[] = "all";
    json_t *stored = NULL;

    assert_int_equal(store_override_change(f->store, set_mode, mode, NULL), 0);
    assert_int_equal(store_override_change(f->store, refuse, NULL, &err), -ESTALE);
    assert_int_equal(store_override_get(f->store, &stored, NULL), 0);
    assert_string_equal(json_string_value(json_object_get(stored, "mode")), "all");
    json_decref(stored);
}

enum { WRITERS = 4, WRITES = 50 };

static void *
write_many(void *arg)
{
    struct fixture *f = arg;
    struct store *store = NULL;
    intptr_t failures = 0;

    if (store_open(f->path, f->shared, &store, NULL) < 0)
        return (void *)1;
    for (int i = 0; i < WRITES; i++) {
        struct audit_entry e = entry("");

        id_audit(e.id);
        e.status = AUDIT_REFUSED;
        e.finished_at_ms = 1;
        failures += store_audit_insert(store, &e, NULL) < 0;
        if (i % 10 == 0)
            failures += store_checkpoint(store, NULL) < 0;
        audit_entry_done(&e);
    }
    store_free(store);
    return (void *)failures;
}

static void
writers_and_checkpoints_lose_nothing(void **state)
{
    struct fixture *f = *state;
    struct audit_filter filter = {.limit = 1000};
    struct audit_entry *list = NULL;
    pthread_t threads[WRITERS];
    size_t count = 0;
    void *failures;

    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, f), 0);
    for (size_t i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], &failures);
        assert_null(failures);
    }
    assert_int_equal(store_audit_list(f->store, &filter, &list, &count, NULL), 0);
    assert_int_equal(count, WRITERS * WRITES);
    store_audit_list_free(list, count);
}

static void
a_newer_database_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *store = NULL;
    struct error err = {0};
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=999", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(store_open(f->path, f->shared, &store, &err), -EIO);
    assert_string_equal(err.msg, "sandbox.db was made by a newer version of sandboxd");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(container_comes_back_as_it_went, setup, teardown),
        cmocka_unit_test_setup_teardown(scope_key_is_unique_until_removal, setup, teardown),
        cmocka_unit_test_setup_teardown(snapshot_comes_back_as_it_went, setup, teardown),
        cmocka_unit_test_setup_teardown(snapshot_that_was_given_up_is_taken_over, setup, teardown),
        cmocka_unit_test_setup_teardown(snapshots_are_counted_and_go_with_their_container, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lists_are_narrowed_and_newest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(owners_get_distinct_uids_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(an_execution_is_announced_and_finished_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(executions_in_the_background_are_found_until_they_end,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(each_entry_hashes_over_the_one_before, setup, teardown),
        cmocka_unit_test_setup_teardown(overrides_change_or_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(writers_and_checkpoints_lose_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_database_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
