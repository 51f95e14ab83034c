/* The API tests' client: see client.h. */
#include "tests/test.h"

#include "tests/api/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/buf.h"
#include "backend/cleanup.h"

enum { REQUEST_TIMEOUT_SECONDS = 120, REPLY_MAX = 64 << 20 };

/* The server under test, and one kept-alive connection to it. */
static struct {
    CURL *curl;
    const struct client_door *door;
    const char *cacert;
    const char *state;
} server;

/* How tests/with-server made it. */
static struct client_door front = {.prove = client_prove_by_password};

void
client_use_door(const struct client_door *door)
{
    server.door = door ? door : &front;
}

int
client_init(void)
{
    front.url = getenv("SANDBOX_URL");
    client_use_door(NULL);
    server.cacert = getenv("SANDBOX_CACERT");
    server.state = getenv("SANDBOX_STATE");
    if (!front.url || !server.cacert || !server.state) {
        fprintf(stderr, "run these tests by tests/with-server\n");
        return -1;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    server.curl = curl_easy_init();
    return server.curl ? 0 : -1;
}

void
client_done(void)
{
    curl_easy_cleanup(server.curl);
    curl_global_cleanup();
}

char *
state_file(const char *name)
{
    char path[4096];
    _cleanup_(fclosep) FILE *f = NULL;
    char *text = NULL;
    size_t size = 0;

    snprintf(path, sizeof(path), "%s/%s", server.state, name);
    f = fopen(path, "re");
    if (!f || getdelim(&text, &size, '\0', f) < 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* The password of @user, kept by the harness in the state directory. */
static void
password(const char *user, char *out, size_t size)
{
    char name[128];
    _cleanup_(freep) char *text = NULL;

    if (strcmp(user, ADMIN) == 0)
        snprintf(name, sizeof(name), "admin-password");
    else
        snprintf(name, sizeof(name), "test-password-%s", user);
    text = state_file(name);
    snprintf(out, size, "%s", text ? text : "");
    out[strcspn(out, "\n")] = '\0';
}

void
client_prove_by_password(CURL *curl, const char *user)
{
    char secret[128];

    password(user, secret, sizeof(secret));
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, user);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, secret);
}

static void
set_up(CURL *curl, const char *user, const char *path)
{
    char url[4096];

    snprintf(url, sizeof(url), "%s%s", server.door->url, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CAINFO, server.cacert);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)REQUEST_TIMEOUT_SECONDS);
    if (user)
        server.door->prove(curl, user);
}

CURL *
client_handle(const char *user, const char *path)
{
    CURL *curl = curl_easy_init();

    assert_non_null(curl);
    set_up(curl, user, path);
    return curl;
}

static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
    return buf_append(arg, data, size * count) < 0 ? 0 : size * count;
}

/* Keep @line's value in @out if the line is the header @name. */
static void
keep_header(const char *line, size_t len, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    int value;

    if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return;
    value = (int)(len - n - 1);
    snprintf(out, size, "%.*s", value, line + n + 1 + (line[n + 1] == ' '));
    out[strcspn(out, "\r\n")] = '\0';
}

static size_t
take_header(char *line, size_t size, size_t count, void *arg)
{
    struct reply *r = arg;
    size_t len = size * count, before = r->head ? strlen(r->head) : 0;
    char *head = realloc(r->head, before + len + 1);

    assert_non_null(head);
    memcpy(head + before, line, len);
    head[before + len] = '\0';
    r->head = head;
    keep_header(line, len, "X-Request-Id", r->request_id, sizeof(r->request_id));
    keep_header(line, len, "Content-Type", r->content_type, sizeof(r->content_type));
    keep_header(line, len, "ETag", r->etag, sizeof(r->etag));
    keep_header(line, len, "Allow", r->allow, sizeof(r->allow));
    keep_header(line, len, "Retry-After", r->retry_after, sizeof(r->retry_after));
    keep_header(line, len, "Idempotency-Replayed", r->replayed, sizeof(r->replayed));
    keep_header(line, len, "X-Sandbox-User", r->sandbox_user, sizeof(r->sandbox_user));
    keep_header(line, len, "WWW-Authenticate", r->authenticate, sizeof(r->authenticate));
    return len;
}

struct reply
client_perform(CURL *curl, struct curl_slist *headers)
{
    struct reply r = {0};
    struct buf body;
    CURLcode rc;

    buf_init(&body, REPLY_MAX);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &r);
    rc = curl_easy_perform(curl);
    if (rc != CURLE_OK)
        fail_msg("no answer: %s", curl_easy_strerror(rc));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &r.status);
    r.body_len = body.len;
    r.body = body.data ? buf_take(&body) : strdup("");
    r.json = json_loadb(r.body, r.body_len, JSON_ALLOW_NUL, NULL);
    return r;
}

static struct reply
send_request(const char *user, const char *method, const char *path, const void *body, size_t len,
             struct curl_slist *headers)
{
    struct reply r;

    curl_easy_reset(server.curl);
    set_up(server.curl, user, path);
    curl_easy_setopt(server.curl, CURLOPT_CUSTOMREQUEST, method);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(server.curl, CURLOPT_NOBODY, 1L);
    if (body) {
        curl_easy_setopt(server.curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(server.curl, CURLOPT_POSTFIELDSIZE, (long)len);
    }
    headers = curl_slist_append(headers, "Expect:");
    r = client_perform(server.curl, headers);
    curl_slist_free_all(headers);
    return r;
}

struct reply
call(const char *user, const char *method, const char *path, const char *body, ...)
{
    struct curl_slist *headers = NULL;
    const char *header;
    va_list ap;

    if (body)
        headers = curl_slist_append(headers, "Content-Type: application/json");
    va_start(ap, body);
    while ((header = va_arg(ap, const char *)))
        headers = curl_slist_append(headers, header);
    va_end(ap);
    return send_request(user, method, path, body, body ? strlen(body) : 0, headers);
}

struct reply
call_raw(const char *user, const char *method, const char *path, const void *body, size_t len,
         const char *content_type)
{
    char header[128];

    snprintf(header, sizeof(header), "Content-Type:%s%s", content_type ? " " : "",
             content_type ? content_type : "");
    return send_request(user, method, path, body, len, curl_slist_append(NULL, header));
}

void
reply_done(struct reply *r)
{
    free(r->body);
    free(r->head);
    json_decref(r->json);
    *r = (struct reply){0};
}

json_t *
at(const struct reply *r, const char *path)
{
    _cleanup_(freep) char *copy = strdup(path);
    json_t *value = r->json;
    char *rest = NULL;

    assert_non_null(copy);
    for (char *key = strtok_r(copy, ".", &rest); key && value; key = strtok_r(NULL, ".", &rest))
        value = json_is_array(value) ? json_array_get(value, (size_t)strtoul(key, NULL, 10))
                                     : json_object_get(value, key);
    if (!value)
        fail_msg("no '%s' in: %s", path, r->body);
    return value;
}

const char *
text_at(const struct reply *r, const char *path)
{
    json_t *value = at(r, path);

    if (!json_is_string(value))
        fail_msg("'%s' is not a string in: %s", path, r->body);
    return json_string_value(value);
}

long long
int_at(const struct reply *r, const char *path)
{
    json_t *value = at(r, path);

    if (!json_is_integer(value))
        fail_msg("'%s' is not an integer in: %s", path, r->body);
    return json_integer_value(value);
}

double
number_at(const struct reply *r, const char *path)
{
    json_t *value = at(r, path);

    if (!json_is_number(value))
        fail_msg("'%s' is not a number in: %s", path, r->body);
    return json_number_value(value);
}

bool
bool_at(const struct reply *r, const char *path)
{
    json_t *value = at(r, path);

    if (!json_is_boolean(value))
        fail_msg("'%s' is not a boolean in: %s", path, r->body);
    return json_is_true(value);
}

bool
null_at(const struct reply *r, const char *path)
{
    return json_is_null(at(r, path));
}

void
assert_status(const struct reply *r, long status)
{
    if (r->status != status)
        fail_msg("status %ld, not %ld: %s", r->status, status, r->body);
}

void
assert_problem(const struct reply *r, long status, const char *code)
{
    assert_status(r, status);
    assert_string_equal(r->content_type, "application/problem+json");
    assert_string_equal(text_at(r, "type"), "about:blank");
    assert_int_equal(int_at(r, "status"), status);
    assert_true(text_at(r, "title")[0] != '\0');
    assert_true(text_at(r, "detail")[0] != '\0');
    assert_string_equal(text_at(r, "code"), code);
    assert_string_equal(text_at(r, "request_id"), r->request_id);
    assert_true(r->request_id[0] != '\0');
}

struct reply
execute(const char *user, const char *format, ...)
{
    json_auto_t *json = NULL;
    _cleanup_(freep) char *body = NULL;
    va_list ap;

    va_start(ap, format);
    json = json_vpack_ex(NULL, 0, format, ap);
    va_end(ap);
    assert_non_null(json);
    body = json_dumps(json, 0);
    assert_non_null(body);
    return call(user, "POST", "/execute", body, NULL);
}

void
wait_until(bool (*condition)(void *), void *arg, int seconds, const char *what)
{
    const struct timespec pause = {.tv_nsec = 50000000};

    for (int i = 0; i < seconds * 20; i++) {
        if (condition(arg))
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("not within %d s: %s", seconds, what);
}
