/*
 * The HTTP client: see http.h. The engine is a local and trusted peer, but it can be stopped,
 * restarted or stuck at any time, so every call is bounded in time and memory.
 */
#include "backend/docker/http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <curl/curl.h>

enum {
    CONNECT_TIMEOUT_MS = 2000,
    URL_MAX = 8192,
    RETRY_AFTER_SECONDS = 5, /* an engine that is restarted is back within this, more or less */
};

/* Lifetime: thread. */
struct docker_http {
    CURL *curl;
    char base[300];                                          /* "http://host:port" */
    char socket[sizeof(((struct sockaddr_un){0}).sun_path)]; /* "" for TCP */
    char reason[CURL_ERROR_SIZE]; /* of the last failure, in libcurl's words */
};

/* Lifetime: one call. The request's parts that libcurl borrows while it runs. */
struct transfer {
    struct buf url;
    char *json;                 /* owned */
    struct curl_slist *headers; /* owned */
    CURL *curl;
    const struct docker_request *request;
    bool given_up; /* by request->take */
    int tar_fd;
    int read_error; /* errno of read(2) on tar_fd */
    int body_error; /* of buf_append() */
    struct docker_answer *answer;
};

/* The ways in which an engine can be away. All other codes are our fault or a broken answer. */
static const struct {
    CURLcode code;
    const char *sentence;
} outages[] = {
    {CURLE_COULDNT_RESOLVE_HOST, "cannot connect to Docker"},
    {CURLE_COULDNT_CONNECT, "cannot connect to Docker"},
    {CURLE_OPERATION_TIMEDOUT, "Docker did not answer in time"},
    {CURLE_GOT_NOTHING, "Docker closed the connection without an answer"},
    {CURLE_PARTIAL_FILE, "Docker's answer was cut off"},
    {CURLE_RECV_ERROR, "Docker's answer was cut off"},
    {CURLE_SEND_ERROR, "Docker closed the connection during the request"},
};

static bool
host_port_valid(const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t host_len = colon ? (size_t)(colon - text) : 0;
    char *end;
    long port;

    if (host_len == 0 || !isdigit((unsigned char)colon[1]))
        return false;
    errno = 0;
    port = strtol(colon + 1, &end, 10);
    if (errno != 0 || *end != '\0' || port < 1 || port > 65535)
        return false;
    /* A host name, an IPv4 address or a bracketed IPv6 address: nothing that changes the URL's
     * parts. */
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-[:]") ==
           strlen(text);
}

static int
set_host(struct docker_http *h, const char *host, struct error *err)
{
    static const char unix_scheme[] = "unix://", tcp_scheme[] = "tcp://";
    const char *rest;

    if (strncmp(host, unix_scheme, strlen(unix_scheme)) == 0) {
        rest = host + strlen(unix_scheme);
        if (rest[0] == '/' && strlen(rest) < sizeof(h->socket)) {
            snprintf(h->socket, sizeof(h->socket), "%s", rest);
            snprintf(h->base, sizeof(h->base), "http://docker");
            return 0;
        }
    } else if (strncmp(host, tcp_scheme, strlen(tcp_scheme)) == 0) {
        rest = host + strlen(tcp_scheme);
        if (host_port_valid(rest) && strlen(rest) < sizeof(h->base) - strlen("http://")) {
            snprintf(h->base, sizeof(h->base), "http://%s", rest);
            return 0;
        }
    }
    return error_set(err, ERR_VALIDATION,
                     "the Docker host must look like unix:///run/docker.sock or tcp://host:port");
}

int
docker_http_new(const char *host, struct docker_http **ret, struct error *err)
{
    _cleanup_(docker_http_freep) struct docker_http *h = NULL;
    int r;

    h = calloc(1, sizeof(*h));
    if (!h)
        return error_errno(err, ENOMEM, "docker_http_new");
    r = set_host(h, host, err);
    if (r < 0)
        return r;
    h->curl = curl_easy_init();
    if (!h->curl)
        return error_errno(err, ENOMEM, "curl_easy_init");
    *ret = TAKE(h);
    return 0;
}

void
docker_http_free(struct docker_http *h)
{
    if (!h)
        return;
    curl_easy_cleanup(h->curl);
    free(h);
}

/* libcurl's write callback: anything but @n * @size makes it give up with CURLE_WRITE_ERROR. */
static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    long status = 0;

    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->request->take && status < 300) {
        t->given_up = t->request->take(t->request->take_arg, data, size * n) < 0;
        return t->given_up ? 0 : size * n;
    }
    t->body_error = buf_append(&t->answer->body, data, size * n);
    return t->body_error < 0 ? 0 : size * n;
}

/* libcurl's progress callback, also called while nothing comes: anything but 0 ends the transfer.
 */
static int
look_up(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    struct transfer *t = arg;

    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    t->given_up = t->given_up || t->request->take(t->request->take_arg, NULL, 0) < 0;
    return t->given_up;
}

/* libcurl's read callback: the next bytes of the tar, 0 at its end. */
static size_t
give_tar(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    ssize_t got;

    do
        got = read(t->tar_fd, data, size * n);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        t->read_error = errno;
        return CURL_READFUNC_ABORT;
    }
    return (size_t)got;
}

static bool
add_header(struct transfer *t, const char *line)
{
    struct curl_slist *longer = curl_slist_append(t->headers, line);

    if (!longer)
        return false;
    t->headers = longer;
    return true;
}

/* The options that are the same for every call. Returns 0 or what is not a CURLE_OK. */
static unsigned
set_common(struct docker_http *h, long timeout_ms)
{
    unsigned bad = 0;

    bad |= curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(h->curl, CURLOPT_MAXCONNECTS, 1L); /* kept: a thread has one call */
    bad |= curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    bad |= curl_easy_setopt(h->curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    bad |= curl_easy_setopt(h->curl, CURLOPT_PROXY, "");
    bad |= curl_easy_setopt(h->curl, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http");
    bad |= curl_easy_setopt(h->curl, CURLOPT_PATH_AS_IS, 1L);
    bad |= curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->reason);
    if (h->socket[0])
        bad |= curl_easy_setopt(h->curl, CURLOPT_UNIX_SOCKET_PATH, h->socket);
    return bad;
}

static unsigned
set_json_body(struct docker_http *h, struct transfer *t, const json_t *body)
{
    unsigned bad = 0;

    t->json = body ? json_dumps(body, JSON_COMPACT) : strdup("");
    /* Without a body there is no type either; libcurl would say that it is a web form. */
    if (!t->json || !add_header(t, body ? "Content-Type: application/json" : "Content-Type:"))
        return CURLE_OUT_OF_MEMORY;
    bad |= curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(t->json));
    bad |= curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, t->json);
    return bad;
}

static unsigned
set_tar_body(struct docker_http *h, struct transfer *t, int tar_fd)
{
    unsigned bad = 0;

    t->tar_fd = tar_fd;
    if (!add_header(t, "Content-Type: application/x-tar") ||
        !add_header(t, "Transfer-Encoding: chunked"))
        return CURLE_OUT_OF_MEMORY;
    bad |= curl_easy_setopt(h->curl, CURLOPT_POST, 1L);
    bad |= curl_easy_setopt(h->curl, CURLOPT_READFUNCTION, give_tar);
    bad |= curl_easy_setopt(h->curl, CURLOPT_READDATA, t);
    /* A stream cannot be sent twice, so it must not start on a connection that may be dead. */
    bad |= curl_easy_setopt(h->curl, CURLOPT_FRESH_CONNECT, 1L);
    return bad;
}

/* What only a request with an own taker, or with headers of its own, needs. */
static unsigned
set_special(struct docker_http *h, struct transfer *t, const struct docker_request *req)
{
    unsigned bad = 0;

    for (size_t i = 0; req->headers && req->headers[i]; i++)
        if (!add_header(t, req->headers[i]))
            bad |= CURLE_OUT_OF_MEMORY;
    if (!req->take)
        return bad;
    bad |= curl_easy_setopt(h->curl, CURLOPT_NOPROGRESS, 0L);
    bad |= curl_easy_setopt(h->curl, CURLOPT_XFERINFOFUNCTION, look_up);
    bad |= curl_easy_setopt(h->curl, CURLOPT_XFERINFODATA, t);
    return bad;
}

/* Hand the whole request to libcurl. The handle is reset, which keeps its connection. */
static int
prepare(struct docker_http *h, struct transfer *t, const struct docker_request *req,
        struct error *err)
{
    unsigned bad;

    curl_easy_reset(h->curl);
    h->reason[0] = '\0';
    if (buf_printf(&t->url, "%s%s", h->base, req->path) < 0)
        return error_set_detail(err, ERR_INTERNAL, req->path, "a Docker path is too long");
    bad = set_common(h, req->timeout_ms);
    bad |= curl_easy_setopt(h->curl, CURLOPT_URL, t->url.data);
    bad |= curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, take_body);
    bad |= curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, t);
    /* Waiting for "100 Continue" would cost a round trip or, with some peers, a second. */
    if (!add_header(t, "Expect:"))
        bad |= CURLE_OUT_OF_MEMORY;
    if (req->tar_fd)
        bad |= set_tar_body(h, t, *req->tar_fd);
    else if (strcmp(req->method, "POST") == 0)
        bad |= set_json_body(h, t, req->body);
    else
        bad |= curl_easy_setopt(h->curl, CURLOPT_CUSTOMREQUEST, req->method);
    bad |= set_special(h, t, req);
    bad |= curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, t->headers);
    return bad ? error_errno(err, ENOMEM, "curl_easy_setopt") : 0;
}

static void
transfer_done(struct transfer *t)
{
    buf_done(&t->url);
    free(t->json);
    curl_slist_free_all(t->headers);
}

static int
outage(const char *sentence, const char *detail, struct error *err)
{
    if (err && err->code == ERR_NONE)
        err->retry_after_seconds = RETRY_AFTER_SECONDS;
    return error_set_detail(err, ERR_DOCKER_DOWN, detail, "%s", sentence);
}

/* Translate what curl_easy_perform() returned. */
static int
failure(const struct docker_http *h, const struct transfer *t, const struct docker_request *req,
        CURLcode rc, struct error *err)
{
    char detail[320];

    snprintf(detail, sizeof(detail), "%s %s: %s", req->method, req->path,
             h->reason[0] ? h->reason : curl_easy_strerror(rc));
    if (t->given_up)
        return -ECANCELED;
    if (t->read_error)
        return error_errno(err, t->read_error, "reading the tar for Docker");
    if (t->body_error == -ENOMEM)
        return error_errno(err, ENOMEM, "Docker's answer");
    if (t->body_error < 0)
        return error_set_detail(err, ERR_INTERNAL, detail,
                                "Docker's answer is larger than %zu bytes", t->answer->body.max);
    for (size_t i = 0; i < ARRAY_LEN(outages); i++) {
        if (outages[i].code == rc)
            return outage(outages[i].sentence, detail, err);
    }
    return error_set_detail(err, ERR_INTERNAL, detail, "Docker's answer cannot be understood");
}

int
docker_http_call(struct docker_http *h, const struct docker_request *req, struct docker_answer *ret,
                 struct error *err)
{
    _cleanup_(transfer_done) struct transfer t = {
        .curl = h->curl,
        .request = req,
        .tar_fd = -1,
        .answer = ret,
    };
    long status = 0, connects = 0;
    int64_t began_ns;
    CURLcode rc;
    int r;

    buf_init(&t.url, URL_MAX);
    buf_done(&ret->body);
    buf_init(&ret->body, req->answer_max ? req->answer_max : DOCKER_ANSWER_MAX);
    r = prepare(h, &t, req, err);
    if (r < 0)
        return r;
    began_ns = metrics_now_ns();
    rc = curl_easy_perform(h->curl);
    metrics_docker_call(req->call, metrics_now_ns() - began_ns);
    if (rc != CURLE_OK)
        return failure(h, &t, req, rc, err);
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(h->curl, CURLINFO_NUM_CONNECTS, &connects);
    ret->status = (int)status;
    ret->fresh = connects > 0;
    return 0;
}

void
docker_answer_done(struct docker_answer *a)
{
    buf_done(&a->body);
}

int
docker_http_escape(struct buf *b, const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0);
    int r = escaped ? buf_append(b, escaped, strlen(escaped)) : -ENOMEM;

    curl_free(escaped);
    return r;
}
