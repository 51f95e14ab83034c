/* Answers in pieces: see stream.h. */
#include "tests/test.h"

#include "tests/api/stream.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "backend/buf.h"

enum { PATIENCE_SECONDS = 60, LINE_MAX_BYTES = 1 << 20, BODY_MAX = 128 << 20 };

struct streaming {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held, aborted, ended; /* under the lock, as is the log */
    struct stream_log log;
    struct stream_event next; /* the one that is coming in */
    struct buf line, body;
    struct timespec sent;
    CURL *curl;
    struct curl_slist *headers;
    char *request;
};

static double
seconds_since(const struct timespec *then)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

/* The event that came in is whole. */
static void
take_event(struct streaming *s)
{
    struct stream_event *more;

    if (!s->next.type[0])
        return;
    more = realloc(s->log.events, (s->log.count + 1) * sizeof(*more));
    if (!more)
        return;
    s->log.events = more;
    s->next.at = seconds_since(&s->sent);
    more[s->log.count++] = s->next;
    s->next = (struct stream_event){0};
    pthread_cond_broadcast(&s->changed);
}

static json_t *
parse(const char *text)
{
    return json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
}

/* A line of an event stream (WHATWG HTML, 9.2.6). */
static void
take_field(struct streaming *s, const char *line)
{
    if (line[0] == '\0')
        take_event(s);
    else if (strcmp(line, ": ping") == 0)
        snprintf(s->next.type, sizeof(s->next.type), "ping");
    else if (strncmp(line, "event: ", 7) == 0)
        snprintf(s->next.type, sizeof(s->next.type), "%s", line + 7);
    else if (strncmp(line, "id: ", 4) == 0)
        snprintf(s->next.id, sizeof(s->next.id), "%s", line + 4);
    else if (strncmp(line, "data: ", 6) == 0)
        s->next.data = parse(line + 6);
    else
        snprintf(s->next.type, sizeof(s->next.type), "strange line");
}

/* A line that is an object. */
static void
take_object(struct streaming *s, const char *line)
{
    const char *type;

    s->next.data = parse(line);
    type = json_string_value(json_object_get(s->next.data, "type"));
    snprintf(s->next.type, sizeof(s->next.type), "%s", type ? type : "strange line");
    take_event(s);
}

static size_t
take_bytes(char *data, size_t size, size_t count, void *arg)
{
    struct streaming *s = arg;
    size_t len = size * count;
    char *type = NULL;
    bool events, lines;

    curl_easy_getinfo(s->curl, CURLINFO_CONTENT_TYPE, &type);
    events = type && strcmp(type, EVENTS) == 0;
    lines = type && strcmp(type, LINES) == 0;
    pthread_mutex_lock(&s->lock);
    if (!events && !lines)
        buf_append(&s->body, data, len);
    for (size_t i = 0; (events || lines) && i < len; i++) {
        if (data[i] != '\n') {
            buf_append(&s->line, &data[i], 1);
            continue;
        }
        if (events)
            take_field(s, s->line.data ? s->line.data : "");
        else
            take_object(s, s->line.data ? s->line.data : "");
        buf_done(&s->line);
    }
    while (s->held && !s->aborted)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    return len;
}

static int
on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
    struct streaming *s = arg;
    bool aborted;

    (void)down_all, (void)down, (void)up_all, (void)up;
    pthread_mutex_lock(&s->lock);
    aborted = s->aborted;
    pthread_mutex_unlock(&s->lock);
    return aborted; /* anything but 0 ends the transfer */
}

static void
keep_header(CURL *curl, const char *name, char *out, size_t size)
{
    struct curl_header *header;

    if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
        snprintf(out, size, "%s", header->value);
}

/* The thread: no assertions here. */
static void *
perform(void *arg)
{
    struct streaming *s = arg;
    struct reply *r = &s->log.reply;
    CURLcode rc = curl_easy_perform(s->curl);

    if (rc == CURLE_OK)
        curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &r->status);
    keep_header(s->curl, "Content-Type", r->content_type, sizeof(r->content_type));
    keep_header(s->curl, "X-Request-Id", r->request_id, sizeof(r->request_id));
    r->body_len = s->body.len;
    r->body = s->body.data ? buf_take(&s->body) : strdup("");
    r->json = json_loads(r->body, 0, NULL);
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    s->log.ended_at = seconds_since(&s->sent);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

struct streaming *
streaming_post(const char *user, const char *path, const char *accept, const char *format, ...)
{
    struct streaming *s = calloc(1, sizeof(*s));
    json_auto_t *json = NULL;
    char header[64];
    va_list ap;

    assert_non_null(s);
    va_start(ap, format);
    json = json_vpack_ex(NULL, 0, format, ap);
    va_end(ap);
    s->request = json_dumps(json, 0);
    assert_non_null(s->request);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    buf_init(&s->line, LINE_MAX_BYTES);
    buf_init(&s->body, BODY_MAX);
    snprintf(header, sizeof(header), "Accept: %s", accept);
    s->headers = curl_slist_append(NULL, "Content-Type: application/json");
    s->headers = curl_slist_append(s->headers, header);
    s->curl = client_handle(user, path);
    curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
    curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, s->request);
    curl_easy_setopt(s->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(s->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(s->curl, CURLOPT_XFERINFODATA, s);
    curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
    clock_gettime(CLOCK_MONOTONIC, &s->sent);
    assert_int_equal(pthread_create(&s->thread, NULL, perform, s), 0);
    return s;
}

size_t
stream_count(const struct stream_log *log, const char *type)
{
    size_t n = 0;

    for (size_t i = 0; i < log->count; i++)
        n += strcmp(log->events[i].type, type) == 0;
    return n;
}

size_t
streaming_count(struct streaming *s, const char *type)
{
    size_t n;

    pthread_mutex_lock(&s->lock);
    n = stream_count(&s->log, type);
    pthread_mutex_unlock(&s->lock);
    return n;
}

void
streaming_wait(struct streaming *s, const char *type, size_t count)
{
    struct timespec until;
    bool there;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_SECONDS;
    pthread_mutex_lock(&s->lock);
    while (stream_count(&s->log, type) < count && !s->ended &&
           pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
        ;
    there = stream_count(&s->log, type) >= count;
    pthread_mutex_unlock(&s->lock);
    if (!there)
        fail_msg("fewer than %zu events '%s' (%s)", count, type,
                 s->ended && s->log.reply.body ? s->log.reply.body : "still running");
}

static void
set_held(struct streaming *s, bool held)
{
    pthread_mutex_lock(&s->lock);
    s->held = held;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void
streaming_hold(struct streaming *s)
{
    set_held(s, true);
}

void
streaming_go_on(struct streaming *s)
{
    set_held(s, false);
}

void
streaming_started(struct streaming *s, const char *member, char *out, size_t size)
{
    const char *text;

    streaming_wait(s, "started", 1);
    pthread_mutex_lock(&s->lock);
    text = json_string_value(json_object_get(stream_nth(&s->log, "started", 0)->data, member));
    snprintf(out, size, "%s", text ? text : "");
    pthread_mutex_unlock(&s->lock);
    assert_true(out[0] != '\0');
}

struct stream_log
streaming_land(struct streaming *s)
{
    struct stream_log log;

    pthread_join(s->thread, NULL);
    log = s->log;
    json_decref(s->next.data);
    buf_done(&s->line);
    buf_done(&s->body);
    curl_easy_cleanup(s->curl);
    curl_slist_free_all(s->headers);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->request);
    free(s);
    return log;
}

void
streaming_abort(struct streaming *s)
{
    struct stream_log log;

    pthread_mutex_lock(&s->lock);
    assert_false(s->ended);
    s->aborted = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    log = streaming_land(s);
    stream_log_done(&log);
}

void
stream_log_done(struct stream_log *log)
{
    for (size_t i = 0; i < log->count; i++)
        json_decref(log->events[i].data);
    free(log->events);
    reply_done(&log->reply);
    *log = (struct stream_log){0};
}

const struct stream_event *
stream_nth(const struct stream_log *log, const char *type, size_t n)
{
    for (size_t i = 0; i < log->count; i++)
        if (strcmp(log->events[i].type, type) == 0 && n-- == 0)
            return &log->events[i];
    fail_msg("not as many events '%s'", type);
    return NULL;
}

/* Append the bytes of one event. */
static void
append_bytes(struct buf *b, const json_t *data)
{
    const json_t *text = json_object_get(data, "data");
    const char *encoding = json_string_value(json_object_get(data, "encoding"));
    size_t len = json_string_length(text);
    char *to;

    assert_true(json_is_string(text));
    assert_non_null(encoding);
    if (strcmp(encoding, "utf-8") == 0) {
        assert_int_equal(buf_append(b, json_string_value(text), len), 0);
        return;
    }
    assert_string_equal(encoding, "base64");
    to = buf_reserve(b, len);
    assert_non_null(to);
    assert_int_equal(sodium_base642bin((unsigned char *)to, len, json_string_value(text), len, NULL,
                                       &len, NULL, sodium_base64_VARIANT_ORIGINAL),
                     0);
    buf_commit(b, len);
}

char *
stream_bytes(const struct stream_log *log, const char *type, size_t *ret_len)
{
    struct buf b;

    buf_init(&b, BODY_MAX);
    for (size_t i = 0; i < log->count; i++)
        if (strcmp(log->events[i].type, type) == 0)
            append_bytes(&b, log->events[i].data);
    *ret_len = b.len;
    return b.data ? buf_take(&b) : strdup("");
}

void
assert_streamed(const struct stream_log *log, const char *type, const char *expected)
{
    size_t len;
    char *bytes = stream_bytes(log, type, &len);

    assert_string_equal(bytes, expected);
    assert_int_equal(len, strlen(expected));
    free(bytes);
}

struct reply
stream_last(const struct stream_log *log, const char *type)
{
    static char shown[] = "the last event";
    struct reply r = {.status = log->reply.status, .body = shown};

    if (log->count == 0)
        fail_msg("no events: %ld %s", log->reply.status, log->reply.body);
    assert_string_equal(log->events[log->count - 1].type, type);
    r.json = log->events[log->count - 1].data;
    assert_non_null(r.json);
    return r;
}
