/* A FastCGI client: see fastcgi.h. */
#include "tests/test.h"

#include "tests/api/fastcgi.h"

#include <errno.h>
#include <fastcgi.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "backend/buf.h"
#include "backend/cleanup.h"
#include "tests/api/steps.h"

enum { REQUEST_MAX = 32 << 20, ANSWER_MAX = 16 << 20, RECORD_MAX = 32 << 10, SILENCE_SECONDS = 60 };

void
fastcgi_params(struct fastcgi_param list[8], const char *user, const char *method, const char *path)
{
    static char uri[1024];
    size_t n = 0;

    snprintf(uri, sizeof(uri), "/api/sandbox%s", path);
    list[n++] = (struct fastcgi_param){"REQUEST_METHOD", method};
    list[n++] = (struct fastcgi_param){"DOCUMENT_URI", uri};
    list[n++] = (struct fastcgi_param){"QUERY_STRING", ""};
    list[n++] = (struct fastcgi_param){"CONTENT_TYPE", "application/json"};
    if (user)
        list[n++] = (struct fastcgi_param){"REMOTE_USER", user};
    list[n] = (struct fastcgi_param){0};
}

static void
put_record(struct buf *b, int type, const void *content, size_t len)
{
    FCGI_Header h = {
        .version = FCGI_VERSION_1,
        .type = (unsigned char)type,
        .requestIdB0 = 1,
        .contentLengthB1 = (unsigned char)(len >> 8),
        .contentLengthB0 = (unsigned char)len,
    };

    assert_int_equal(buf_append(b, &h, sizeof(h)), 0);
    assert_int_equal(buf_append(b, content, len), 0);
}

/* A stream of records, which an empty one ends. */
static void
put_stream(struct buf *b, int type, const char *content, size_t len)
{
    while (len > 0) {
        size_t n = len < RECORD_MAX ? len : RECORD_MAX;

        put_record(b, type, content, n);
        content += n;
        len -= n;
    }
    put_record(b, type, "", 0);
}

static void
put_length(struct buf *b, size_t len)
{
    const unsigned char wide[4] = {(unsigned char)(len >> 24 | 0x80), (unsigned char)(len >> 16),
                                   (unsigned char)(len >> 8), (unsigned char)len};

    if (len < 128)
        assert_int_equal(buf_append(b, &wide[3], 1), 0);
    else
        assert_int_equal(buf_append(b, wide, sizeof(wide)), 0);
}

static void
put_request(struct buf *b, const struct fastcgi_param *params, const char *body, size_t len)
{
    const FCGI_BeginRequestBody begin = {.roleB0 = FCGI_RESPONDER};
    _cleanup_(buf_done) struct buf pairs;

    buf_init(&pairs, REQUEST_MAX);
    for (; params->name; params++) {
        put_length(&pairs, strlen(params->name));
        put_length(&pairs, strlen(params->value));
        assert_int_equal(buf_printf(&pairs, "%s%s", params->name, params->value), 0);
    }
    put_record(b, FCGI_BEGIN_REQUEST, &begin, sizeof(begin));
    put_stream(b, FCGI_PARAMS, pairs.data ? pairs.data : "", pairs.len);
    put_stream(b, FCGI_STDIN, body, len);
}

/* Connect to run/@socket_name as @uid and @gid; with @must, the socket's mode has to allow it. The
 * kernel shows a peer the effective uid at this moment. */
static int
connect_as(uid_t uid, gid_t gid, bool must, const char *socket_name)
{
    const struct timeval silence = {.tv_sec = SILENCE_SECONDS};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64], path[STEP_PATH_SIZE];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc;

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    snprintf(name, sizeof(name), "run/%s", socket_name);
    state_path(name, path);
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(setegid(gid), 0);
    assert_int_equal(seteuid(uid), 0);
    rc = connect(fd, (struct sockaddr *)&address, sizeof(address));
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
    assert_true(rc == 0 || !must);
    if (rc == 0)
        return fd;
    close(fd);
    return -1;
}

/* Connect as the account "USER" or "USER:GROUP". */
static int
connect_account(const char *account, const char *socket_name)
{
    size_t len = strcspn(account, ":");
    _cleanup_(freep) char *user = strndup(account, len);
    const struct passwd *who;
    const struct group *group = NULL;

    assert_non_null(user);
    who = getpwnam(user); /* NOLINT(concurrency-mt-unsafe): one thread */
    assert_non_null(who);
    if (account[len] == ':') {
        group = getgrnam(account + len + 1); /* NOLINT(concurrency-mt-unsafe): one thread */
        assert_non_null(group);
    }
    return connect_as(who->pw_uid, group ? group->gr_gid : who->pw_gid, group != NULL, socket_name);
}

/* Send it, up to where the service closes; what that answered before can still be read. */
static void
send_all(int fd, const struct buf *b)
{
    size_t sent = 0;

    while (b->data && sent < b->len) {
        ssize_t n = send(fd, b->data + sent, b->len - sent, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        sent += (size_t)n;
    }
}

/* Read @len bytes. Returns whether they came. */
static bool
receive(int fd, void *to, size_t len)
{
    char *at = to;

    while (len > 0) {
        ssize_t n = recv(fd, at, len, 0);

        if (n < 0 && errno == EAGAIN)
            fail_msg("the service is silent");
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* Collect the answer's stream. Returns whether it was ended in due form. */
static bool
receive_answer(int fd, struct buf *out)
{
    char content[UINT16_MAX + UINT8_MAX];
    FCGI_Header h;
    size_t len;

    while (receive(fd, &h, sizeof(h))) {
        len = (size_t)(h.contentLengthB1 << 8 | h.contentLengthB0);
        if (!receive(fd, content, len + h.paddingLength))
            return false;
        if (h.type == FCGI_END_REQUEST)
            return true;
        if (h.type == FCGI_STDOUT)
            assert_int_equal(buf_append(out, content, len), 0);
    }
    return false;
}

/* Keep the value of the header line @name of @head in @out. */
static void
keep_header(const char *head, const char *name, char *out, size_t size)
{
    char line[64];
    const char *found;

    snprintf(line, sizeof(line), "\r\n%s: ", name);
    found = strcasestr(head, line);
    if (!found)
        return;
    found += strlen(line);
    snprintf(out, size, "%.*s", (int)strcspn(found, "\r\n"), found);
}

static struct reply
parse(const struct buf *answer)
{
    _cleanup_(freep) char *head = NULL;
    struct reply r = {0};
    const char *blank = answer->data ? strstr(answer->data, "\r\n\r\n") : NULL;
    char status[16] = "";

    if (!blank) {
        fail_msg("not a CGI answer: '%s'", answer->data ? answer->data : "");
        return r;
    }
    assert_true(asprintf(&head, "\r\n%.*s", (int)(blank - answer->data), answer->data) > 0);
    keep_header(head, "Status", status, sizeof(status));
    keep_header(head, "X-Request-Id", r.request_id, sizeof(r.request_id));
    keep_header(head, "Content-Type", r.content_type, sizeof(r.content_type));
    keep_header(head, "WWW-Authenticate", r.authenticate, sizeof(r.authenticate));
    keep_header(head, "X-Sandbox-User", r.sandbox_user, sizeof(r.sandbox_user));
    keep_header(head, "Allow", r.allow, sizeof(r.allow));
    r.status = strtol(status, NULL, 10);
    r.body = strdup(blank + 4);
    assert_non_null(r.body);
    r.body_len = strlen(r.body);
    r.json = json_loads(r.body, 0, NULL);
    return r;
}

struct reply
fastcgi_call(const char *account, const char *socket_name, const struct fastcgi_param *params,
             const void *body, size_t len)
{
    _cleanup_(closep) int fd = connect_account(account, socket_name);
    _cleanup_(buf_done) struct buf request;
    _cleanup_(buf_done) struct buf answer;

    buf_init(&request, REQUEST_MAX);
    buf_init(&answer, ANSWER_MAX);
    put_request(&request, params, body ? body : "", len);
    if (fd >= 0)
        send_all(fd, &request);
    return fd >= 0 && receive_answer(fd, &answer) ? parse(&answer) : (struct reply){0};
}
