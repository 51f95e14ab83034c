/* The resource `tokens`: bearer tokens, which admins make and revoke. */
#include "backend/token.h"

#include <errno.h>

#include <sodium.h>

#include "handlers/json.h"
#include "handlers/page.h"
#include "handlers/routes.h"

struct list_query {
    const char *user;
    int64_t limit;
    const char *cursor;
};

static const struct field list_fields[] = {
    {.name = "user",
     .type = FIELD_STRING,
     .offset = offsetof(struct list_query, user),
     .min = 1,
     .max = 128},
    {.name = "limit",
     .type = FIELD_INT,
     .offset = offsetof(struct list_query, limit),
     .min = 1,
     .max = PAGE_LIMIT_MAX},
    {.name = "cursor",
     .type = FIELD_STRING,
     .offset = offsetof(struct list_query, cursor),
     .min = 1,
     .max = 64},
    {0},
};

struct create_body {
    const char *user;
    const char *name;
    int64_t expires_in_seconds;
};

static const struct field create_fields[] = {
    {.name = "user",
     .type = FIELD_STRING,
     .offset = offsetof(struct create_body, user),
     .required = true,
     .min = 1,
     .max = 128,
     .doc = "whom requests with it come from; what they may do stands in access.yaml"},
    {.name = "name",
     .type = FIELD_STRING,
     .offset = offsetof(struct create_body, name),
     .min = 1,
     .max = 64,
     .doc = "what to call it; default: its id"},
    {.name = "expires_in_seconds",
     .type = FIELD_INT,
     .offset = offsetof(struct create_body, expires_in_seconds),
     .min = 1,
     .max = TOKEN_SECONDS_MAX,
     .doc = "how long it is good for; default: until it is revoked"},
    {0},
};

static json_t *
page_items(const struct token_page *page)
{
    json_auto_t *list = json_array();

    for (size_t i = 0; list && i < page->count; i++)
        if (json_array_append_new(list, json_token(&page->items[i])) < 0)
            return NULL;
    return TAKE(list);
}

/*
 * GET tokens - the tokens that there are, newest first, without their secrets.
 *
 * query   user; limit, cursor
 * 200     {tokens: [...], next_cursor}; last_used_at is up to a minute late
 * errors  bad_query
 */
static int
tokens_get(const struct request *req, struct response *res, struct error *err)
{
    const struct list_query *q = req->query;
    int64_t limit = q->limit ? q->limit : PAGE_LIMIT_DEFAULT;
    struct token_page page = {0};
    int64_t before = 0;
    int r;

    r = page_position(req, q->cursor, &before, err);
    if (r == 0)
        r = token_list(req->backend, q->user, before, limit, &page, err);
    if (r == 0)
        r = response_json(res, 200, page_json(req, "tokens", page_items(&page), page.next), err);
    token_page_done(&page);
    return r;
}

/*
 * POST tokens - a new token. Only this answer has its secret.
 *
 * body    create_fields
 * 201     {id, user, name, token, created_at, expires_at}
 * errors  validation_failed, quota_exceeded, conflict (see tokens_post_again())
 */
static int
tokens_post(const struct request *req, struct response *res, struct error *err)
{
    const struct create_body *body = req->body;
    const struct caller caller = request_caller(req);
    const struct token_spec spec = {
        .user = body->user,
        .name = body->name,
        .expires_in = body->expires_in_seconds,
    };
    char secret[TOKEN_SECRET_SIZE];
    struct token t = {0};
    int r = token_create(req->backend, &caller, &spec, &t, secret, err);

    if (r < 0)
        return r;
    r = response_json(res, 201, json_new_token(&t, secret), err);
    sodium_memzero(secret, sizeof(secret));
    return r;
}

/*
 * The same again with an Idempotency-Key that was answered: that answer is kept nowhere, and
 * another one would be a lie. Where the first attempt broke off unanswered, there is no secret yet
 * that anybody could be told, and the request is carried on.
 */
static int
tokens_post_again(const struct request *req, struct response *res, struct error *err)
{
    char id[TOKEN_ID_SIZE];

    (void)res;
    if (req->resumed)
        return -ENOENT;
    id_token_derived(req->nonce, id);
    return error_set(err, ERR_CONFLICT,
                     "this Idempotency-Key has made the token %s, which was shown once and is kept "
                     "nowhere; if that answer was lost, revoke it and ask with another key",
                     id);
}

/*
 * DELETE tokens/{id} - revoke it: from the next request on it is refused.
 *
 * 204
 * errors  not_found
 */
static int
token_delete(const struct request *req, struct response *res, struct error *err)
{
    const struct caller caller = request_caller(req);
    int r = token_revoke(req->backend, &caller, req->params[0], err);

    res->status = 204;
    return r;
}

/* clang-format off */
const struct route token_routes[] = {
    {.method = "GET", .path = "/tokens", .role = ROLE_ADMIN, .handle = tokens_get,
     .query = list_fields, .query_size = sizeof(struct list_query),
     .answers = "200 TokenList", .summary = "The bearer tokens, without their secrets"},
    {.method = "POST", .path = "/tokens", .role = ROLE_ADMIN, .handle = tokens_post,
     .replay = tokens_post_again,
     .body = create_fields, .body_size = sizeof(struct create_body),
     .answers = "201 NewToken", .summary = "Make a bearer token, which is shown this once",
     .doc = "With an Idempotency-Key that has made one, the answer is a 409: the token is not kept, "
            "and so cannot be shown again."},
    {.method = "DELETE", .path = "/tokens/{id}", .role = ROLE_ADMIN, .handle = token_delete,
     .answers = "204", .summary = "Revoke a bearer token",
     .doc = "The next request with it is refused."},
    {0},
};
/* clang-format on */
