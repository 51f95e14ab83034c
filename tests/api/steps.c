/* What several groups of API tests do and check: see steps.h. */
#include "tests/test.h"

#include "tests/api/steps.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/buf.h"
#include "backend/cleanup.h"

enum { BODY_MAX = 16 << 20, PARALLEL_MAX = 64, LOOKS = 16, RELOAD_SECONDS = 30, OPEN_DIRS = 8 };

void
assert_violation(const struct reply *r, const char *pointer)
{
    json_t *item;
    size_t i;

    assert_problem(r, 422, "validation_failed");
    json_array_foreach(at(r, "errors"), i, item)
    {
        assert_members(item, "pointer detail");
        if (strcmp(json_string_value(json_object_get(item, "pointer")), pointer) == 0)
            return;
    }
    fail_msg("no error points to '%s': %s", pointer, r->body);
}

void
assert_members(const json_t *object, const char *names)
{
    _cleanup_(freep) char *copy = strdup(names);
    size_t count = 0;
    char *rest = NULL;

    assert_non_null(copy);
    assert_true(json_is_object(object));
    for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        if (!json_object_get(object, name))
            fail_msg("there is no member '%s'", name);
        count++;
    }
    if (json_object_size(object) != count)
        fail_msg("there are %zu members, not only: %s", json_object_size(object), names);
}

void
assert_time(const char *text)
{
    static const char shape[] = "0000-00-00T00:00:00Z";

    assert_int_equal(strlen(text), strlen(shape));
    for (size_t i = 0; shape[i]; i++)
        if (shape[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
            fail_msg("'%s' is not a time", text);
}

void
assert_same_problem(const struct reply *a, const struct reply *b)
{
    json_auto_t *of_a = json_copy(a->json);
    json_auto_t *of_b = json_copy(b->json);

    assert_problem(a, b->status, text_at(b, "code"));
    assert_int_equal(a->body_len + strlen(b->request_id), b->body_len + strlen(a->request_id));
    json_object_del(of_a, "request_id");
    json_object_del(of_b, "request_id");
    assert_true(json_equal(of_a, of_b));
    assert_string_equal(a->allow, b->allow);
}

struct reply
fetch(const char *user, const char *format, ...)
{
    _cleanup_(freep) char *path = NULL;
    struct reply r;
    va_list ap;

    va_start(ap, format);
    assert_true(vasprintf(&path, format, ap) > 0);
    va_end(ap);
    r = call(user, "GET", path, NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(r.content_type, "application/json; charset=utf-8");
    return r;
}

struct reply
act(const char *user, const char *method, const char *format, ...)
{
    _cleanup_(freep) char *path = NULL;
    va_list ap;

    va_start(ap, format);
    assert_true(vasprintf(&path, format, ap) > 0);
    va_end(ap);
    return call(user, method, path, NULL, NULL);
}

void
run_in(const char *user, const char *agent, const char *session, const char *command)
{
    struct reply r = execute(user, "{s:s, s:s, s:s}", "agent_id", agent, "session_id", session,
                             "command", command);

    assert_status(&r, 200);
    if (null_at(&r, "exit_code") || int_at(&r, "exit_code") != 0)
        fail_msg("'%s' failed: %s", command, r.body);
    reply_done(&r);
}

void
make_container(const char *user, const char *body, char ret_id[STEP_ID_SIZE])
{
    struct reply r = call(user, "POST", "/containers", body, NULL);

    assert_status(&r, 201);
    snprintf(ret_id, STEP_ID_SIZE, "%s", text_at(&r, "id"));
    reply_done(&r);
}

int
remove_containers(void **state)
{
    struct reply list = call(ADMIN, "GET", "/containers?limit=500", NULL, NULL);
    json_t *item;
    size_t i;

    (void)state;
    json_array_foreach(json_object_get(list.json, "containers"), i, item)
    {
        struct reply r =
            act(ADMIN, "DELETE", "/containers/%s", json_string_value(json_object_get(item, "id")));

        reply_done(&r);
    }
    reply_done(&list);
    return 0;
}

void
state_path(const char *name, char ret_path[STEP_PATH_SIZE])
{
    const char *state = getenv("SANDBOX_STATE"); /* NOLINT(concurrency-mt-unsafe): one thread */

    assert_non_null(state);
    snprintf(ret_path, STEP_PATH_SIZE, "%s/%s", state, name);
}

/* nftw() hands nothing through. */
static size_t files_seen;

static int
count_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path;
    (void)st;
    (void)type;
    (void)at;
    files_seen++;
    return 0;
}

size_t
count_files(const char *name)
{
    char path[STEP_PATH_SIZE];

    state_path(name, path);
    files_seen = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    assert_int_equal(nftw(path, count_one, OPEN_DIRS, FTW_PHYS), 0);
    return files_seen;
}

/* What reload_until() waits for. */
struct expectation {
    const char *path, *member;
    json_t *value;
};

static bool
shown_everywhere(void *arg)
{
    const struct expectation *e = arg;
    struct parallel looks[LOOKS];
    bool shown = true;

    for (size_t i = 0; i < LOOKS; i++)
        looks[i] = (struct parallel){.user = ADMIN, .method = "GET", .path = e->path};
    call_parallel(looks, LOOKS);
    for (size_t i = 0; i < LOOKS; i++) {
        shown = shown && json_equal(at(&looks[i].reply, e->member), e->value);
        reply_done(&looks[i].reply);
    }
    return shown;
}

void
noticed_until(const char *path, const char *member, const char *expected)
{
    json_auto_t *value = json_loads(expected, JSON_DECODE_ANY, NULL);
    struct expectation e = {.path = path, .member = member, .value = value};

    assert_non_null(value);
    wait_until(shown_everywhere, &e, RELOAD_SECONDS, "the reloaded YAML in force");
}

void
reload_until(const char *path, const char *member, const char *expected)
{
    _cleanup_(freep) char *pid = state_file("run/sandboxd.pid");

    assert_non_null(pid);
    assert_int_equal(kill((pid_t)strtol(pid, NULL, 10), SIGHUP), 0);
    noticed_until(path, member, expected);
}

/* Lifetime: from pending_start() to pending_finish(). */
struct pending {
    struct parallel *call;
    CURLM *multi;
    CURL *curl;
    struct curl_slist *headers;
    struct buf body;
};

static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
    return buf_append(arg, data, size * count) < 0 ? 0 : size * count;
}

struct pending *
pending_start(struct parallel *call)
{
    struct pending *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->call = call;
    p->multi = curl_multi_init();
    p->curl = client_handle(call->user, call->path);
    buf_init(&p->body, BODY_MAX);
    p->headers = curl_slist_append(NULL, "Expect:");
    if (call->body)
        p->headers = curl_slist_append(p->headers, "Content-Type: application/json");
    if (call->header)
        p->headers = curl_slist_append(p->headers, call->header);
    curl_easy_setopt(p->curl, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, p->headers);
    if (call->body)
        curl_easy_setopt(p->curl, CURLOPT_POSTFIELDS, call->body);
    curl_easy_setopt(p->curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(p->curl, CURLOPT_WRITEDATA, &p->body);
    assert_int_equal(curl_multi_add_handle(p->multi, p->curl), CURLM_OK);
    pending_poll(p);
    return p;
}

bool
pending_poll(struct pending *p)
{
    int running = 0;

    assert_int_equal(curl_multi_perform(p->multi, &running), CURLM_OK);
    return running == 0;
}

void
pending_finish(struct pending *p)
{
    struct reply *r = &p->call->reply;

    while (!pending_poll(p))
        assert_int_equal(curl_multi_poll(p->multi, NULL, 0, 1000, NULL), CURLM_OK);
    *r = (struct reply){0};
    curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &r->status);
    r->body_len = p->body.len;
    r->body = p->body.data ? buf_take(&p->body) : strdup("");
    r->json = json_loadb(r->body, r->body_len, 0, NULL);
    curl_multi_remove_handle(p->multi, p->curl);
    curl_easy_cleanup(p->curl);
    curl_multi_cleanup(p->multi);
    curl_slist_free_all(p->headers);
    free(p);
}

void
call_parallel(struct parallel *calls, size_t count)
{
    struct pending *pending[PARALLEL_MAX];
    bool waiting = true;

    assert_true(count <= PARALLEL_MAX);
    for (size_t i = 0; i < count; i++)
        pending[i] = pending_start(&calls[i]);
    /* All have to be driven until each has sent its request. */
    while (waiting) {
        waiting = false;
        for (size_t i = 0; i < count; i++)
            waiting = !pending_poll(pending[i]) || waiting;
        if (waiting)
            curl_multi_poll(pending[0]->multi, NULL, 0, 5, NULL);
    }
    for (size_t i = 0; i < count; i++)
        pending_finish(pending[i]);
}
