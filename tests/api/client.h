/*
 * The API tests' client: requests to the real nginx, as some user, with libcurl. The server under
 * test is named by the environment, which tests/with-server sets: SANDBOX_URL
 * (https://…/api/sandbox), SANDBOX_STATE (its state directory) and SANDBOX_CACERT.
 */
#ifndef TESTS_API_CLIENT_H
#define TESTS_API_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include <curl/curl.h>
#include <jansson.h>

/* Users that the harness makes; NULL stands for no credentials at all. */
#define ADMIN "admin"
#define ALICE "alice"
#define BOB "bob"
#define VIEWER "victor"

/* An answer. reply_done() frees what it owns. */
struct reply {
    long status; /* 0: no answer */
    char *body;  /* owned, NUL-terminated */
    size_t body_len;
    json_t *json;        /* owned; NULL if the body is not JSON */
    char request_id[80]; /* headers, "" where absent */
    char content_type[80];
    char etag[80];
    char allow[80];
    char retry_after[16];
    char authenticate[80];
    char replayed[16];
    char sandbox_user[160];
    char *head; /* owned; all header lines, NULL if there were none */
};

/* Another way to the server than SANDBOX_URL with the users' passwords. */
struct client_door {
    const char *url;                             /* as SANDBOX_URL */
    void (*prove)(CURL *curl, const char *user); /* have a request prove that it is of @user */
};

/* Send all requests through @door, which lives meanwhile; NULL: as at the beginning. */
void client_use_door(const struct client_door *door);

/* Have a request prove who it is of by @user's password; what a door does where there is none. */
void client_prove_by_password(CURL *curl, const char *user);

/* Make users and their passwords known; once, before the tests. Returns 0 or -1. */
int client_init(void);
void client_done(void);

/*
 * Ask @method @path (below the base path) as @user, with @body (NULL: none; JSON text) and the
 * extra headers (NULL-terminated list after @body). Fails the test if the server cannot be reached.
 * The caller frees the reply.
 */
struct reply call(const char *user, const char *method, const char *path, const char *body, ...)
    __attribute__((sentinel));

/* As call(), with a body of @len bytes of any kind and its Content-Type (NULL: none is sent). */
struct reply call_raw(const char *user, const char *method, const char *path, const void *body,
                      size_t len, const char *content_type);

/* A curl handle of the caller's, set up as call() does it (TLS, user, timeout), for special
 * requests. */
CURL *client_handle(const char *user, const char *path);

/* Send what @curl is set up for, with the extra @headers (NULL: none), both the caller's. Fails the
 * test if there is no answer. The caller frees the reply. */
struct reply client_perform(CURL *curl, struct curl_slist *headers);

void reply_done(struct reply *r);

/* Members of a reply's object by a dotted path ("usage.cpu_ms", "containers.0.id"); fail the test
 * if absent. */
json_t *at(const struct reply *r, const char *path);
const char *text_at(const struct reply *r, const char *path);
long long int_at(const struct reply *r, const char *path);
double number_at(const struct reply *r, const char *path);
bool bool_at(const struct reply *r, const char *path);
bool null_at(const struct reply *r, const char *path);

/* Fail the test, showing the body, unless the reply has this status. */
void assert_status(const struct reply *r, long status);

/* Fail the test unless it is a whole problem+json answer with this status and code. */
void assert_problem(const struct reply *r, long status, const char *code);

/* POST execute as @user with a body made by a jansson format. */
struct reply execute(const char *user, const char *format, ...);

/* The state directory's file @name as text; the caller frees. NULL if it cannot be read. */
char *state_file(const char *name);

/* Wait until @condition(arg) is true, looking every 50 ms, at most @seconds; fails the test
 * otherwise. */
void wait_until(bool (*condition)(void *), void *arg, int seconds, const char *what);

#endif
