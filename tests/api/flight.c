/* Requests on their way: see flight.h. */
#include "tests/test.h"

#include "tests/api/flight.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flight {
    pthread_t thread;
    atomic_bool aborted;
    atomic_bool over;
    CURL *curl;
    struct curl_slist *headers;
    char *request; /* owned */
    struct reply reply;
};

static int
on_progress(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
    struct flight *f = arg;

    (void)down_all, (void)down, (void)up_all, (void)up;
    return atomic_load(&f->aborted); /* anything but 0 ends the transfer */
}

static void
keep_header(CURL *curl, const char *name, char *out, size_t size)
{
    struct curl_header *header;

    if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
        snprintf(out, size, "%s", header->value);
}

/* The thread: no assertions here. */
static void
fly(struct flight *f)
{
    struct reply *r = &f->reply;
    FILE *body = open_memstream(&r->body, &r->body_len);
    CURLcode rc;

    if (!body)
        return;
    curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, body);
    rc = curl_easy_perform(f->curl);
    fclose(body);
    if (rc != CURLE_OK)
        return;
    curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &r->status);
    keep_header(f->curl, "Content-Type", r->content_type, sizeof(r->content_type));
    keep_header(f->curl, "X-Request-Id", r->request_id, sizeof(r->request_id));
    keep_header(f->curl, "Retry-After", r->retry_after, sizeof(r->retry_after));
    r->json = json_loadb(r->body, r->body_len, JSON_ALLOW_NUL, NULL);
}

static void *
perform(void *arg)
{
    struct flight *f = arg;

    fly(f);
    atomic_store(&f->over, true);
    return NULL;
}

bool
flight_is_over(const struct flight *f)
{
    return atomic_load(&f->over);
}

struct flight *
flight_post(const char *user, const char *path, const char *format, ...)
{
    struct flight *f = calloc(1, sizeof(*f));
    json_t *json;
    va_list ap;

    assert_non_null(f);
    va_start(ap, format);
    json = json_vpack_ex(NULL, 0, format, ap);
    va_end(ap);
    f->request = json_dumps(json, 0);
    json_decref(json);
    assert_non_null(f->request);
    f->headers = curl_slist_append(NULL, "Content-Type: application/json");
    f->curl = client_handle(user, path);
    curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, f->headers);
    curl_easy_setopt(f->curl, CURLOPT_POSTFIELDS, f->request);
    curl_easy_setopt(f->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(f->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(f->curl, CURLOPT_XFERINFODATA, f);
    assert_int_equal(pthread_create(&f->thread, NULL, perform, f), 0);
    return f;
}

struct reply
flight_land(struct flight *f)
{
    struct reply r;

    pthread_join(f->thread, NULL);
    r = f->reply;
    curl_easy_cleanup(f->curl);
    curl_slist_free_all(f->headers);
    free(f->request);
    free(f);
    return r;
}

void
flight_abort(struct flight *f)
{
    struct reply r;

    atomic_store(&f->aborted, true);
    r = flight_land(f);
    if (r.status != 0)
        fail_msg("answered before it was aborted: %ld %s", r.status, r.body);
    reply_done(&r);
}
