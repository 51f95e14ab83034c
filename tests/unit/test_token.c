/* Bearer tokens: backend/token.c, their key and their rows, on a database of their own. */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>
#include <sqlite3.h>

#include "backend/store/store.h"
#include "backend/token.h"
#include "backend/token_key.h"

static struct service_context context = {.worker_id = 7};
static struct backend *backend;
static char dir[] = "/tmp/test-token.XXXXXX";
static const struct caller admin = {
    .user = "ada",
    .role = ROLE_ADMIN,
    .action = "POST /tokens",
    .request_id = "r1",
};

static void
path_of(const char *name, char out[96])
{
    snprintf(out, 96, "%s/%s", dir, name);
}

static int
setup(void **state)
{
    struct error err = {0};
    char path[96];

    (void)state;
    if (!mkdtemp(dir) || sodium_init() < 0)
        return -1;
    context.state_dir = dir;
    path_of("shared", path);
    if (shared_create(path, &context.shared, &err) < 0 || token_key_make(&context, &err) < 0) {
        print_error("%s: %s\n", err.msg, err.detail);
        return -1;
    }
    backend = backend_new(&context);
    return backend ? 0 : -1;
}

static int
teardown(void **state)
{
    static const char *const files[] = {"sandbox.db", "sandbox.db-wal", "sandbox.db-shm", "shared",
                                        TOKEN_KEY_FILE};
    char path[96];

    (void)state;
    backend_free(backend);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        path_of(files[i], path);
        unlink(path);
    }
    return rmdir(dir);
}

/* Run SQL of the test's own; returns the number that it selects, 0 where it selects nothing. */
static int64_t
sql(const char *text)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    char path[96];
    int64_t n = 0;
    int rc;

    path_of("sandbox.db", path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        n = sqlite3_column_int64(st, 0);
    else
        assert_int_equal(rc, SQLITE_DONE);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

static int
start(void **state)
{
    struct store *store = NULL;

    (void)state;
    if (backend_store(backend, &store, NULL) < 0)
        return -1;
    sql("DELETE FROM token");
    memset(context.shared->used_tokens, 0, sizeof(context.shared->used_tokens));
    return 0;
}

/* A token for @user that has to be made. */
static struct token
make(const char *user, int64_t expires_in, char secret[TOKEN_SECRET_SIZE])
{
    const struct token_spec spec = {.user = user, .expires_in = expires_in};
    struct error err = {0};
    struct token t = {0};

    if (token_create(backend, &admin, &spec, &t, secret, &err) < 0)
        fail_msg("%s: %s", err.msg, err.detail);
    return t;
}

static int
verify(const char *secret, struct token *ret, struct error *err)
{
    error_clear(err);
    return token_verify(backend, secret, ret, err);
}

/* Fail the test unless @secret is refused, in the words in which every one is. */
static void
assert_refused(const char *secret, const char *what)
{
    struct error err = {0};
    struct token t = {0};

    if (verify(secret, &t, &err) == 0)
        fail_msg("%s is let in", what);
    assert_int_equal(err.code, ERR_UNAUTHENTICATED);
    assert_string_equal(err.msg, "the token is not valid: it is wrong, was revoked or has expired");
    assert_string_equal(err.detail, "");
}

static void
a_token_stands_for_its_user_until_it_is_revoked(void **state)
{
    char first[TOKEN_SECRET_SIZE], second[TOKEN_SECRET_SIZE];
    struct token made = make("alice", 0, first), other = make("bob@example.org", 60, second);
    struct error err = {0};
    struct token t = {0};

    (void)state;
    assert_int_equal(strlen(first), 68);
    assert_memory_equal(first, "sbx_", 4);
    assert_string_not_equal(first, second);
    assert_string_equal(made.name, made.id);
    assert_int_equal(made.expires_at_ms, 0);
    assert_int_equal(other.expires_at_ms, other.created_at_ms + 60000);
    assert_int_equal(verify(first, &t, &err), 0);
    assert_string_equal(t.owner, "alice");
    assert_string_equal(t.id, made.id);
    assert_int_equal(verify(second, &t, &err), 0);
    assert_string_equal(t.owner, "bob@example.org");

    assert_int_equal(token_revoke(backend, &admin, made.id, &err), 0);
    assert_refused(first, "a revoked token");
    assert_int_equal(verify(second, &t, &err), 0);
    assert_int_equal(token_revoke(backend, &admin, made.id, &err), -ENOENT);
    error_clear(&err);
    assert_int_equal(token_revoke(backend, &admin, "token_000000000000", &err), -ENOENT);
}

static void
what_is_no_token_of_ours_is_refused(void **state)
{
    char secret[TOKEN_SECRET_SIZE], changed[4 * TOKEN_SECRET_SIZE];
    struct token t = make("alice", 0, secret);

    (void)state;
    assert_refused("", "nothing");
    assert_refused("sbx_", "a prefix");
    assert_refused(t.id, "a token's id");
    for (size_t len = 0; len < TOKEN_SECRET_SIZE - 1; len++) {
        snprintf(changed, sizeof(changed), "%.*s", (int)len, secret);
        assert_refused(changed, "a part");
    }
    for (size_t i = 0; i < TOKEN_SECRET_SIZE - 1; i++) {
        snprintf(changed, sizeof(changed), "%s", secret);
        changed[i] = changed[i] == '0' ? '1' : '0';
        assert_refused(changed, "one with another letter");
    }
    snprintf(changed, sizeof(changed), "%s0", secret);
    assert_refused(changed, "one with more");
    snprintf(changed, sizeof(changed), "%s %s", secret, secret);
    assert_refused(changed, "two");
    snprintf(changed, sizeof(changed), "%s", secret);
    for (char *c = changed + 4; *c; c++)
        *c = (char)(*c >= 'a' ? *c - 'a' + 'A' : *c);
    if (strcmp(changed, secret) != 0)
        assert_refused(changed, "one in capitals");
}

static void
an_expired_token_is_refused_and_forgotten_a_day_later(void **state)
{
    char secret[TOKEN_SECRET_SIZE], lasting[TOKEN_SECRET_SIZE];
    struct token t = make("alice", 3600, secret);
    struct error err = {0};

    (void)state;
    make("alice", 0, lasting);
    assert_int_equal(verify(secret, &t, &err), 0);
    sql("UPDATE token SET expires_at = CAST(strftime('%s') AS INTEGER) * 1000 - 5000 "
        "WHERE expires_at IS NOT NULL");
    assert_refused(secret, "an expired token");
    assert_int_equal(token_tidy(backend, &err), 0);
    assert_int_equal(sql("SELECT COUNT(*) FROM token"), 2);
    sql("UPDATE token SET expires_at = expires_at - 86400000 WHERE expires_at IS NOT NULL");
    assert_int_equal(token_tidy(backend, &err), 0);
    assert_int_equal(sql("SELECT COUNT(*) FROM token"), 1);
    assert_int_equal(verify(lasting, &t, &err), 0);
}

static void
only_names_that_nginx_may_send_get_a_token(void **state)
{
    static const struct {
        const char *user, *name, *pointer;
        int64_t expires_in;
    } cases[] = {
        {"", NULL, "/user", 0},
        {"-alice", NULL, "/user", 0},
        {"alice bob", NULL, "/user", 0},
        {"alice\r\nX-Sandbox-User: admin", NULL, "/user", 0},
        {"al/ice", NULL, "/user", 0},
        {"adm\xc3\xadn", NULL, "/user", 0},
        {"alice", "", "/name", 0},
        {"alice", "two\nlines", "/name", 0},
        {"alice", "\x1b[31m", "/name", 0},
        {"alice", "12345678901234567890123456789012345678901234567890123456789012345", "/name", 0},
        {"alice", NULL, "/expires_in_seconds", -1},
        {"alice", NULL, "/expires_in_seconds", INT64_MAX},
        {"alice", NULL, "/expires_in_seconds", TOKEN_SECONDS_MAX + INT64_C(1)},
    };
    char secret[TOKEN_SECRET_SIZE], long_name[OWNER_SIZE + 1];
    struct token t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct token_spec spec = {cases[i].user, cases[i].name, cases[i].expires_in};
        struct error err = {0};

        print_message("    %zu\n", i);
        assert_int_equal(token_create(backend, &admin, &spec, &t, secret, &err), -EINVAL);
        assert_string_equal(err.violations[0].pointer, cases[i].pointer);
    }
    memset(long_name, 'a', OWNER_SIZE);
    long_name[OWNER_SIZE - 1] = '\0';
    t = make(long_name, TOKEN_SECONDS_MAX, secret);
    assert_string_equal(t.owner, long_name);
    assert_int_equal(sql("SELECT COUNT(*) FROM token"), 1);
}

static void
a_user_has_only_so_many(void **state)
{
    const struct token_spec spec = {.user = "alice"};
    char secret[TOKEN_SECRET_SIZE];
    struct error err = {0};
    struct token t = {0};

    (void)state;
    for (int i = 0; i < TOKENS_OF_USER_MAX; i++)
        t = make("alice", i == 0 ? 60 : 0, secret);
    assert_int_equal(token_create(backend, &admin, &spec, &t, secret, &err), -EDQUOT);
    assert_int_equal(secret[0], '\0');
    make("bob", 0, secret);
    /* What has expired does not count. */
    sql("UPDATE token SET expires_at = 1 WHERE expires_at IS NOT NULL");
    make("alice", 0, secret);
    error_clear(&err);
    assert_int_equal(token_create(backend, &admin, &spec, &t, secret, &err), -EDQUOT);
}

static void
lists_come_newest_first_by_pages(void **state)
{
    char secret[TOKEN_SECRET_SIZE], ids[5][TOKEN_ID_SIZE];
    struct token_page page = {0};
    struct error err = {0};
    int64_t before = 0;
    size_t seen = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct token t = make(i % 2 ? "bob" : "alice", 0, secret);

        memcpy(ids[i], t.id, TOKEN_ID_SIZE);
    }
    do {
        assert_int_equal(token_list(backend, NULL, before, 2, &page, &err), 0);
        for (size_t i = 0; i < page.count; i++, seen++)
            assert_string_equal(page.items[i].id, ids[ARRAY_LEN(ids) - 1 - seen]);
        before = page.next;
        token_page_done(&page);
    } while (before);
    assert_int_equal(seen, ARRAY_LEN(ids));
    assert_int_equal(token_list(backend, "bob", 0, 50, &page, &err), 0);
    assert_int_equal(page.count, 2);
    assert_string_equal(page.items[0].id, ids[3]);
    token_page_done(&page);
}

static void
uses_are_written_together_and_seldom(void **state)
{
    char used[TOKEN_SECRET_SIZE], other[TOKEN_SECRET_SIZE], unused[TOKEN_SECRET_SIZE];
    struct error err = {0};
    struct token t = {0};

    (void)state;
    make("alice", 0, used);
    make("bob", 0, other);
    make("carol", 0, unused);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(verify(i % 2 ? used : other, &t, &err), 0);
    assert_int_equal(sql("SELECT COUNT(*) FROM token WHERE last_used_at IS NOT NULL"), 0);
    assert_int_equal(token_write_uses(backend, &err), 0);
    assert_int_equal(sql("SELECT COUNT(*) FROM token WHERE last_used_at IS NOT NULL"), 2);
    assert_int_equal(sql("SELECT COUNT(*) FROM token WHERE owner = 'carol' "
                         "AND last_used_at IS NULL"),
                     1);

    /* Within the minute there is nothing to write. */
    assert_int_equal(verify(used, &t, &err), 0);
    for (size_t i = 0; i < SHARED_USED_TOKENS; i++)
        assert_int_equal(context.shared->used_tokens[i], 0);
    sql("UPDATE token SET last_used_at = last_used_at - 60000 WHERE owner = 'alice'");
    assert_int_equal(verify(used, &t, &err), 0);
    assert_int_equal(verify(other, &t, &err), 0);
    assert_int_equal(token_write_uses(backend, &err), 0);
    assert_true(sql("SELECT last_used_at FROM token WHERE owner = 'alice'") >=
                sql("SELECT last_used_at FROM token WHERE owner = 'bob'"));
}

static void
more_uses_than_there_is_room_for_are_no_harm(void **state)
{
    char secret[TOKEN_SECRET_SIZE];
    struct error err = {0};
    struct token t = make("alice", 0, secret);

    (void)state;
    for (size_t i = 0; i < SHARED_USED_TOKENS; i++)
        context.shared->used_tokens[i] = 1000000 + i; /* tokens that are gone by now */
    assert_int_equal(verify(secret, &t, &err), 0);
    assert_int_equal(token_write_uses(backend, &err), 0);
    assert_int_equal(verify(secret, &t, &err), 0);
    assert_int_equal(token_write_uses(backend, &err), 0);
    assert_int_equal(sql("SELECT COUNT(*) FROM token WHERE last_used_at IS NOT NULL"), 1);
}

/* A request with a key that broke off before it was answered, and is carried on. */
static void
a_request_that_is_carried_on_makes_one_token_with_one_secret(void **state)
{
    const struct token_spec spec = {.user = "alice", .name = "ci"};
    struct caller keyed = admin;
    char lost[TOKEN_SECRET_SIZE], told[TOKEN_SECRET_SIZE];
    struct error err = {0};
    struct token first = {0}, second = {0}, t;

    (void)state;
    keyed.nonce = "00112233445566778899aabbccddeeff";
    assert_int_equal(token_create(backend, &keyed, &spec, &first, lost, &err), 0);
    assert_int_equal(token_create(backend, &keyed, &spec, &second, told, &err), 0);
    assert_string_equal(first.id, second.id);
    assert_int_equal(sql("SELECT COUNT(*) FROM token"), 1);
    assert_refused(lost, "the secret of the attempt that broke off");
    assert_int_equal(verify(told, &t, &err), 0);
    assert_int_equal(sql("SELECT COUNT(*) FROM audit WHERE details LIKE '%\"ci\"%'"), 1);
}

/* Whether the state directory's file @name has @text in it. */
static bool
file_has(const char *name, const char *text)
{
    static char bytes[8 << 20];
    char path[96];
    ssize_t n;
    int fd;

    path_of(name, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, bytes, sizeof(bytes));
    close(fd);
    assert_true(n >= 0 && n < (ssize_t)sizeof(bytes));
    return memmem(bytes, (size_t)n, text, strlen(text)) != NULL;
}

static void
the_secret_is_kept_nowhere(void **state)
{
    static const char *const files[] = {"sandbox.db", "sandbox.db-wal", "shared", TOKEN_KEY_FILE};
    char secret[TOKEN_SECRET_SIZE], half[TOKEN_SECRET_BYTES + 1] = "";
    struct token made = make("alice", 0, secret), t;
    struct error err = {0};

    (void)state;
    assert_int_equal(verify(secret, &t, &err), 0);
    assert_int_equal(token_write_uses(backend, &err), 0);
    memcpy(half, secret + 4, TOKEN_SECRET_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        assert_false(file_has(files[i], half));
    assert_true(file_has("sandbox.db-wal", made.id)); /* where it would be seen */
    assert_int_equal(sql("SELECT COUNT(*) FROM audit WHERE kind = 'change' "
                         "AND details LIKE '%\"alice\"%'") > 0,
                     1);
}

static void
without_its_key_the_database_lets_nobody_in(void **state)
{
    char secret[TOKEN_SECRET_SIZE], path[96], away[96];
    struct backend *other;
    struct error err = {0};
    struct token t;
    struct stat st;

    (void)state;
    make("alice", 0, secret);
    path_of(TOKEN_KEY_FILE, path);
    path_of("away", away);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, TOKEN_KEY_BYTES);
    assert_int_equal(token_key_make(&context, &err), 0); /* it stays */
    assert_int_equal(verify(secret, &t, &err), 0);

    assert_int_equal(rename(path, away), 0);
    other = backend_new(&context);
    assert_int_equal(token_verify(other, secret, &t, &err), -EIO);
    error_clear(&err);
    assert_int_equal(token_key_make(&context, &err), 0); /* another one */
    assert_int_equal(token_verify(other, secret, &t, &err), -EKEYREJECTED);
    error_clear(&err);
    assert_int_equal(truncate(path, TOKEN_KEY_BYTES - 1), 0);
    assert_int_equal(token_key_make(&context, &err), -EIO);
    assert_non_null(strstr(err.msg, "damaged"));
    backend_free(other);
    assert_int_equal(rename(away, path), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_token_stands_for_its_user_until_it_is_revoked, start),
        cmocka_unit_test_setup(what_is_no_token_of_ours_is_refused, start),
        cmocka_unit_test_setup(an_expired_token_is_refused_and_forgotten_a_day_later, start),
        cmocka_unit_test_setup(only_names_that_nginx_may_send_get_a_token, start),
        cmocka_unit_test_setup(a_user_has_only_so_many, start),
        cmocka_unit_test_setup(lists_come_newest_first_by_pages, start),
        cmocka_unit_test_setup(uses_are_written_together_and_seldom, start),
        cmocka_unit_test_setup(more_uses_than_there_is_room_for_are_no_harm, start),
        cmocka_unit_test_setup(a_request_that_is_carried_on_makes_one_token_with_one_secret, start),
        cmocka_unit_test_setup(the_secret_is_kept_nowhere, start),
        cmocka_unit_test_setup(without_its_key_the_database_lets_nobody_in, start),
    };

    return cmocka_run_group_tests_name("token", tests, setup, teardown);
}
