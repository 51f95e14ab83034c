/* See bearer.h. */
#include "tests/test.h"

#include "tests/api/bearer.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"

enum { PATIENCE_SECONDS = 30 };

/* What every location passes on. */
static const char params[] = "fastcgi_param REMOTE_ADDR $remote_addr;\n"
                             "fastcgi_param REQUEST_ID $request_id;\n"
                             "fastcgi_param REQUEST_METHOD $request_method;\n"
                             "fastcgi_param DOCUMENT_URI $uri;\n"
                             "fastcgi_param QUERY_STRING $query_string;\n"
                             "fastcgi_param CONTENT_TYPE $content_type;\n"
                             "fastcgi_param CONTENT_LENGTH $content_length;\n"
                             "fastcgi_param HTTP_PROXY \"\";\n";

static struct {
    pid_t pid;
    int ports[BEARER_SERVERS];
    char urls[BEARER_SERVERS][64];
} bearer;

/* A TCP port that nobody listens on now. */
static int
free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    _cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

/* In the child: become nginx, which ends with us however we end. */
static void
become_nginx(void)
{
    char prefix[PATH_MAX], conf[PATH_MAX], log[PATH_MAX];

    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    host_path("bearer", prefix);
    host_path("bearer/nginx.conf", conf);
    host_path("log/bearer-error.log", log);
    execlp("nginx", "nginx", "-p", prefix, "-c", conf, "-e", log, "-g", "daemon off;",
           (char *)NULL);
    _exit(127);
}

static bool
listens(void *arg)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t) * (const int *)arg),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    _cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

int
bearer_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < BEARER_SERVERS; i++) {
        bearer.ports[i] = free_port();
        snprintf(bearer.urls[i], sizeof(bearer.urls[i]), "https://localhost:%d/api/sandbox",
                 bearer.ports[i]);
    }
    assert_int_equal(host_shell("mkdir -p \"$SANDBOX_STATE\"/bearer &&"
                                " sed -e \"s|/var/lib/sandboxd|$SANDBOX_STATE|g\""
                                " -e 's/listen 1 ssl/listen %d ssl/;s/listen 2 ssl/listen %d ssl/'"
                                " tests/api/bearer.conf >\"$SANDBOX_STATE\"/bearer/nginx.conf",
                                bearer.ports[0], bearer.ports[1]),
                     0);
    host_write("bearer/params.conf", params);
    bearer.pid = fork();
    if (bearer.pid == 0)
        become_nginx();
    assert_true(bearer.pid > 0);
    for (size_t i = 0; i < BEARER_SERVERS; i++)
        wait_until(listens, &bearer.ports[i], PATIENCE_SECONDS, "nginx with tokens to listen");
    return 0;
}

int
bearer_close(void **state)
{
    bearer_clean(state);
    if (bearer.pid > 0) {
        kill(bearer.pid, SIGTERM);
        waitpid(bearer.pid, NULL, 0);
    }
    bearer.pid = 0;
    host_shell("rm -rf \"$SANDBOX_STATE\"/bearer");
    return 0;
}

int
bearer_clean(void **state)
{
    struct reply list, r;
    json_t *token;
    size_t i;

    (void)state;
    client_use_door(NULL);
    list = call(ADMIN, "GET", "/tokens?limit=500", NULL, NULL);
    json_array_foreach(at(&list, "tokens"), i, token)
    {
        r = act(ADMIN, "DELETE", "/tokens/%s", json_string_value(json_object_get(token, "id")));
        reply_done(&r);
    }
    reply_done(&list);
    return 0;
}

void
bearer_use(enum bearer_server server)
{
    static struct client_door door = {.prove = client_prove_by_password};

    door.url = bearer.urls[server];
    client_use_door(&door);
}

void
bearer_make(const char *user, char id[SECRET_SIZE], char header[BEARER_SIZE])
{
    char body[256];
    struct reply r;

    client_use_door(NULL);
    snprintf(body, sizeof(body), "{\"user\": \"%s\"}", user);
    r = call(ADMIN, "POST", "/tokens", body, NULL);
    assert_status(&r, 201);
    snprintf(id, SECRET_SIZE, "%s", text_at(&r, "id"));
    snprintf(header, BEARER_SIZE, "Authorization: Bearer %s", text_at(&r, "token"));
    reply_done(&r);
}

void
assert_is(const char *header, const char *user)
{
    struct reply r = call(NULL, "GET", "/whoami", NULL, header, NULL);

    assert_status(&r, 200);
    assert_string_equal(text_at(&r, "user"), user);
    reply_done(&r);
}

void
assert_nobody(const char *header, bool token)
{
    struct reply r = call(NULL, "GET", "/whoami", NULL, header, NULL);

    if (r.status != 401)
        fail_msg("'%.100s' gave %ld %s", header ? header : "", r.status, r.body);
    assert_string_equal(r.authenticate, token ? "Bearer realm=\"sandbox\", error=\"invalid_token\""
                                              : "Bearer realm=\"sandbox\"");
    reply_done(&r);
}
