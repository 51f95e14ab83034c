/* Requests with an Idempotency-Key: see once.h. */
#include "fcgi/once.h"

#include <errno.h>
#include <string.h>

#include "backend/idempotency.h"
#include "backend/log.h"
#include "handlers/json.h"

/* Answer with what was kept of the first answer. */
static int
answer_kept(const struct keyed *k, struct answer *a)
{
    if (k->body[0] == '\0') {
        a->response.status = k->status;
        return 0;
    }
    return response_json(&a->response, k->status, json_loads(k->body, 0, NULL), &a->error);
}

/* Answer a request that has been answered before. */
static int
answer_again(const struct route *route, const struct request *req, const struct keyed *k,
             struct answer *a)
{
    int r = -ENOENT;

    a->replayed = true;
    if (k->body)
        return answer_kept(k, a);
    if (route->replay)
        r = route->replay(req, &a->response, &a->error);
    if (r == -ENOENT && a->error.code == ERR_NONE)
        r = error_set(&a->error, ERR_CONFLICT,
                      "the first answer to this Idempotency-Key is not kept any more");
    return r;
}

/* Carry out a new request, or carry on one that broke off. */
static int
carry_out(const struct route *route, const struct request *req, struct answer *a)
{
    int r;

    if (req->resumed && route->replay) {
        r = route->replay(req, &a->response, &a->error);
        if (r != -ENOENT || a->error.code != ERR_NONE)
            return r;
    }
    return route->handle(req, &a->response, &a->error);
}

/*
 * Keep what came out for the next time; a stream that was begun has told its client what it had to
 * tell. What fails here leaves the answer as it is: what it says has been done.
 */
static void
keep_outcome(const struct route *route, const struct request *req, const struct keyed *k,
             const struct answer *a, int r)
{
    bool begun = req->stream && req->stream->begun;
    struct error err = {0};

    if (r < 0 && !begun) {
        idempotency_fail(req->backend, k, &a->error, &err);
    } else {
        _cleanup_(freep) char *text = a->response.json ? json_print(a->response.json) : NULL;
        const char *body = text ? text : "";

        idempotency_answer(req->backend, k, begun ? 200 : a->response.status,
                           begun || route->replay ? NULL : body, &err);
    }
    if (err.code != ERR_NONE)
        log_warn("the outcome is not kept for its key: %s (%s)", err.msg, err.detail);
}

int
once_serve(const struct route *route, struct request *req, const struct incoming *in,
           struct answer *a)
{
    _cleanup_(keyed_done) struct keyed k = {0};
    char fingerprint[FINGERPRINT_SIZE];
    enum keyed_state state = 0;
    int r;

    if (!in->idempotency_key || strcmp(route->method, "POST") != 0)
        return route->handle(req, &a->response, &a->error);
    if (!idempotency_key_valid(in->idempotency_key))
        return error_set(&a->error, ERR_BAD_QUERY,
                         "the Idempotency-Key must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'");
    idempotency_fingerprint(route->method, in->path, in->query_string, in->body, in->body_len,
                            fingerprint);
    r = idempotency_begin(req->backend, req->user, in->idempotency_key, fingerprint, req->peer_fd,
                          &k, &state, &a->error);
    if (r < 0)
        return r;
    req->nonce = k.nonce;
    req->resumed = state == KEYED_RESUMED;
    if (state == KEYED_ANSWERED)
        return answer_again(route, req, &k, a);
    r = carry_out(route, req, a);
    keep_outcome(route, req, &k, a, r);
    return r;
}
