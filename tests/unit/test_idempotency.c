/* Idempotency-Key: fcgi/once.c, backend/idempotency.c and their rows, on a database of their own.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "backend/idempotency.h"
#include "backend/recall.h"
#include "backend/store/store.h"
#include "fcgi/once.h"
#include "handlers/json.h"

enum { US = 7, DEAD = 8, STRANGER = 9 };

/* What the handlers below do, and what they have seen. */
static struct {
    enum error_code fail; /* ERR_NONE: they succeed */
    int calls;            /* of the handler */
    int replays;
    bool resumed;
    char nonce[NONCE_SIZE];
} handler;

static struct service_context context = {.worker_id = US};
static struct backend *backend;
static char dir[] = "/tmp/test-idempotency.XXXXXX";

static int
handle(const struct request *req, struct response *res, struct error *err)
{
    handler.calls++;
    handler.resumed = req->resumed;
    snprintf(handler.nonce, sizeof(handler.nonce), "%s", req->nonce ? req->nonce : "");
    if (handler.fail != ERR_NONE)
        return error_set(err, handler.fail, "as told");
    return response_json(res, 201, json_pack("{s:i, s:f}", "call", handler.calls, "share", 0.8),
                         err);
}

static int
handle_quietly(const struct request *req, struct response *res, struct error *err)
{
    (void)req;
    (void)err;
    handler.calls++;
    res->status = 204;
    return 0;
}

/* There is something to answer with from the first call on. */
static int
replay(const struct request *req, struct response *res, struct error *err)
{
    (void)req;
    handler.replays++;
    return handler.calls == 0
               ? -ENOENT
               : response_json(res, 200, json_pack("{s:i}", "replay", handler.replays), err);
}

static const struct route route = {.method = "POST", .path = "/notes", .handle = handle};
static const struct route quiet = {.method = "POST", .path = "/quiet", .handle = handle_quietly};
static const struct route large = {
    .method = "POST", .path = "/large", .handle = handle, .replay = replay};
static const struct route reading = {.method = "GET", .path = "/notes", .handle = handle};

static int
setup(void **state)
{
    char path[64];
    struct error err = {0};

    (void)state;
    if (!mkdtemp(dir) || sodium_init() < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/shared", dir);
    context.state_dir = dir;
    if (shared_create(path, &context.shared, &err) < 0)
        return -1;
    context.shared->workers[0] = US;
    context.shared->workers[1] = STRANGER;
    backend = backend_new(&context);
    return backend ? 0 : -1;
}

static int
teardown(void **state)
{
    static const char *const files[] = {"sandbox.db", "sandbox.db-wal", "sandbox.db-shm", "shared"};
    char path[64];

    (void)state;
    backend_free(backend);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        unlink(path);
    }
    return rmdir(dir);
}

static int
start(void **state)
{
    struct error err = {0};
    struct store *store = NULL;

    (void)state;
    memset(&handler, 0, sizeof(handler));
    if (backend_store(backend, &store, &err) < 0)
        return -1;
    return store_keyed_expire(store, INT64_MAX, &err);
}

/* Send a request; the answer's JSON text, or the error's name, comes to @ret. */
static struct answer
ask(const struct route *r, const char *user, const char *key, const char *body, char ret[128])
{
    const struct incoming in = {
        .method = r->method,
        .path = r->path,
        .idempotency_key = key,
        .body = body,
        .body_len = strlen(body),
    };
    struct request req = {
        .user = user, .role = ROLE_USER, .request_id = "r", .peer_fd = -1, .backend = backend};
    struct answer a = {0};

    if (once_serve(r, &req, &in, &a) < 0) {
        snprintf(ret, 128, "%s", error_name(a.error.code));
    } else {
        _cleanup_(freep) char *text = a.response.json ? json_print(a.response.json) : strdup("");

        assert_non_null(text);
        snprintf(ret, 128, "%d %s", a.response.status, text);
    }
    answer_done(&a);
    return a;
}

static void
assert_answer(const struct route *r, const char *key, const char *body, const char *expected)
{
    char text[128];

    ask(r, "ada", key, body, text);
    assert_string_equal(text, expected);
}

static void
the_first_answer_is_given_again(void **state)
{
    char text[128];
    struct answer a;

    (void)state;
    a = ask(&route, "ada", "k", "{}", text);
    assert_string_equal(text, "201 {\"call\":1,\"share\":0.8}");
    assert_false(a.replayed);
    assert_int_equal(strlen(handler.nonce), NONCE_SIZE - 1);
    a = ask(&route, "ada", "k", "{}", text);
    assert_string_equal(text, "201 {\"call\":1,\"share\":0.8}");
    assert_true(a.replayed);
    assert_int_equal(handler.calls, 1);
}

static void
an_answer_without_content_is_given_again(void **state)
{
    (void)state;
    assert_answer(&quiet, "k", "", "204 ");
    assert_answer(&quiet, "k", "", "204 ");
    assert_int_equal(handler.calls, 1);
}

static void
without_a_key_or_for_a_get_everything_is_new(void **state)
{
    (void)state;
    assert_answer(&route, NULL, "{}", "201 {\"call\":1,\"share\":0.8}");
    assert_string_equal(handler.nonce, "");
    assert_answer(&route, NULL, "{}", "201 {\"call\":2,\"share\":0.8}");
    assert_answer(&reading, "k", "", "201 {\"call\":3,\"share\":0.8}");
    assert_answer(&reading, "k", "", "201 {\"call\":4,\"share\":0.8}");
}

static void
the_key_of_another_request_is_a_conflict(void **state)
{
    (void)state;
    assert_answer(&route, "k", "{}", "201 {\"call\":1,\"share\":0.8}");
    assert_answer(&route, "k", "{ }", "conflict");
    assert_answer(&quiet, "k", "{}", "conflict");
    assert_int_equal(handler.calls, 1);
}

static void
keys_are_each_users_own(void **state)
{
    char text[128];

    (void)state;
    assert_answer(&route, "k", "{}", "201 {\"call\":1,\"share\":0.8}");
    ask(&route, "uma", "k", "{}", text);
    assert_string_equal(text, "201 {\"call\":2,\"share\":0.8}");
}

static void
a_malformed_key_is_refused(void **state)
{
    static const char *const keys[] = {
        "",         "a b", "a/b",
        "\xc3\xa4", "k\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_answer(&route, keys[i], "{}", "bad_query");
    assert_int_equal(handler.calls, 0);
    assert_answer(&route, "AZaz09._-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "{}",
                  "201 {\"call\":1,\"share\":0.8}");
}

/* What a client may mend or wait for: the retry is a request of its own. */
static void
after_an_error_the_key_is_free_again(void **state)
{
    char nonce[NONCE_SIZE];

    (void)state;
    handler.fail = ERR_DOCKER_DOWN;
    assert_answer(&route, "k", "{}", "docker_unavailable");
    snprintf(nonce, sizeof(nonce), "%s", handler.nonce);
    handler.fail = ERR_NONE;
    assert_answer(&route, "k", "{\"other\":1}", "201 {\"call\":2,\"share\":0.8}");
    assert_false(handler.resumed);
    assert_string_not_equal(nonce, handler.nonce);
}

/* Nobody knows what an internal error has left. */
static void
after_an_internal_error_the_request_is_carried_on(void **state)
{
    char nonce[NONCE_SIZE];

    (void)state;
    handler.fail = ERR_INTERNAL;
    assert_answer(&route, "k", "{}", "internal");
    snprintf(nonce, sizeof(nonce), "%s", handler.nonce);
    handler.fail = ERR_NONE;
    assert_answer(&route, "k", "{\"other\":1}", "conflict");
    assert_answer(&route, "k", "{}", "201 {\"call\":2,\"share\":0.8}");
    assert_true(handler.resumed);
    assert_string_equal(nonce, handler.nonce);
}

/* The row of a request that the worker @worker has begun. */
static struct keyed
begun_by(uint64_t worker, const struct route *r)
{
    struct keyed k = {.owner = "ada",
                      .key = "k",
                      .nonce = "0123456789abcdef0123456789abcdef",
                      .worker = worker,
                      .created_at_ms = time_now_ms()};
    struct error err = {0};
    bool added = false;

    idempotency_fingerprint(r->method, r->path, NULL, "{}", 2, k.fingerprint);
    assert_int_equal(store_keyed_begin(backend->store, &k, &added, &err), 0);
    assert_true(added);
    return k;
}

static void
a_dead_workers_request_is_carried_on(void **state)
{
    (void)state;
    begun_by(DEAD, &route);
    assert_answer(&route, "k", "{}", "201 {\"call\":1,\"share\":0.8}");
    assert_true(handler.resumed);
    assert_string_equal(handler.nonce, "0123456789abcdef0123456789abcdef");
    assert_answer(&route, "k", "{}", "201 {\"call\":1,\"share\":0.8}");
}

/* The wait itself is the API tests'; here the client has gone before it. */
static void
a_running_request_is_a_conflict_to_retry(void **state)
{
    struct keyed k = begun_by(STRANGER, &route);
    char fingerprint[FINGERPRINT_SIZE];
    enum keyed_state what = 0;
    struct error err = {0};
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    close(ends[1]);
    snprintf(fingerprint, sizeof(fingerprint), "%s", k.fingerprint);
    assert_int_equal(idempotency_begin(backend, "ada", "k", fingerprint, ends[0], &k, &what, &err),
                     -EEXIST);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(err.retry_after_seconds, 1);
    close(ends[0]);
}

/* Two that find a request broken off: the row goes to one of them. */
static void
a_request_is_taken_over_once(void **state)
{
    struct keyed k = begun_by(DEAD, &route);
    struct error err = {0};

    (void)state;
    assert_int_equal(store_keyed_take(backend->store, &k, US, &err), 0);
    assert_int_equal(store_keyed_take(backend->store, &k, STRANGER, &err), -EEXIST);
}

static void
a_large_answer_is_built_again(void **state)
{
    (void)state;
    assert_answer(&large, "k", "{}", "201 {\"call\":1,\"share\":0.8}");
    assert_answer(&large, "k", "{}", "200 {\"replay\":1}");
    handler.calls = 0; /* what it was built of is gone */
    assert_answer(&large, "k", "{}", "conflict");
}

static void
a_large_answer_is_built_for_one_who_carries_on(void **state)
{
    (void)state;
    begun_by(DEAD, &large);
    assert_answer(&large, "k", "{}", "201 {\"call\":1,\"share\":0.8}");
    assert_int_equal(handler.replays, 1); /* which found nothing begun */
    assert_int_equal(start(NULL), 0);
    begun_by(DEAD, &large);
    handler.calls = 1; /* something begun */
    assert_answer(&large, "k", "{}", "200 {\"replay\":1}");
    assert_int_equal(handler.calls, 1);
}

static void
old_keys_are_forgotten(void **state)
{
    struct error err = {0};

    (void)state;
    assert_answer(&route, "k", "{}", "201 {\"call\":1,\"share\":0.8}");
    assert_int_equal(store_keyed_expire(backend->store, time_now_ms() - IDEMPOTENCY_KEPT_MS, &err),
                     0);
    assert_answer(&route, "k", "{}", "201 {\"call\":1,\"share\":0.8}");
    assert_int_equal(store_keyed_expire(backend->store, time_now_ms() + 1, &err), 0);
    assert_answer(&route, "k", "{}", "201 {\"call\":2,\"share\":0.8}");
}

/* An execution's answer again: from its row. */
static void
an_execution_is_recalled_by_its_nonce(void **state)
{
    static const char nonce[] = "00112233445566778899aabbccddeeff";
    const struct caller ada = {.user = "ada", .role = ROLE_USER};
    const struct caller eve = {.user = "eve", .role = ROLE_USER};
    struct audit_entry e = {.kind = AUDIT_EXECUTION,
                            .status = AUDIT_RUNNING,
                            .owner = "ada",
                            .started_at_ms = 1000,
                            .exit_code = -1,
                            .request_id = "r",
                            .worker = US};
    struct audit_output o = {.out = strdup("hi\n"), .out_len = 3, .errout = strdup("")};
    struct execution x = {0};
    struct error err = {0};

    (void)state;
    e.command = strdup("echo hi");
    id_audit_derived(nonce, e.id);
    assert_int_equal(execution_recall(backend, &ada, nonce, -1, &x, &err), -ENOENT);
    assert_int_equal(err.code, ERR_NONE);
    assert_int_equal(store_audit_begin(backend->store, &e, NULL, &err), 0);
    e.status = AUDIT_COMPLETED;
    e.exit_code = 0;
    e.stdout_bytes = 3;
    e.max_memory_kib = 900;
    assert_int_equal(store_audit_finish(backend->store, &e, &o, false, &err), 0);
    assert_int_equal(execution_recall(backend, &eve, nonce, -1, &x, &err), -ENOENT);
    assert_int_equal(execution_recall(backend, &ada, nonce, -1, &x, &err), 0);
    assert_string_equal(x.entry.id, e.id);
    assert_int_equal(x.entry.max_memory_kib, 900);
    assert_string_equal(x.output.out, "hi\n");
    execution_done(&x);
    audit_entry_done(&e);
    audit_output_done(&o);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_first_answer_is_given_again, start),
        cmocka_unit_test_setup(an_answer_without_content_is_given_again, start),
        cmocka_unit_test_setup(without_a_key_or_for_a_get_everything_is_new, start),
        cmocka_unit_test_setup(the_key_of_another_request_is_a_conflict, start),
        cmocka_unit_test_setup(keys_are_each_users_own, start),
        cmocka_unit_test_setup(a_malformed_key_is_refused, start),
        cmocka_unit_test_setup(after_an_error_the_key_is_free_again, start),
        cmocka_unit_test_setup(after_an_internal_error_the_request_is_carried_on, start),
        cmocka_unit_test_setup(a_dead_workers_request_is_carried_on, start),
        cmocka_unit_test_setup(a_running_request_is_a_conflict_to_retry, start),
        cmocka_unit_test_setup(a_request_is_taken_over_once, start),
        cmocka_unit_test_setup(a_large_answer_is_built_again, start),
        cmocka_unit_test_setup(a_large_answer_is_built_for_one_who_carries_on, start),
        cmocka_unit_test_setup(old_keys_are_forgotten, start),
        cmocka_unit_test_setup(an_execution_is_recalled_by_its_nonce, start),
    };

    return cmocka_run_group_tests_name("idempotency", tests, setup, teardown);
}
