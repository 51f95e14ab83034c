/* A registry of the test's own: see registry.h. */
#include "tests/test.h"

#include "tests/api/registry.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"

enum { START_SECONDS = 60, FILE_SIZE = 4096 };

/* A port that nobody listens on at the moment. */
static int
free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void
write_config(const struct registry *r, bool closed)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/config.yml", r->dir);
    f = fopen(path, "we");
    assert_non_null(f);
    fprintf(f,
            "version: 0.1\nlog: {level: error}\n"
            "storage: {filesystem: {rootdirectory: %s/data}}\nhttp: {addr: '%s'}\n",
            r->dir, r->host);
    if (closed)
        fprintf(f, "auth: {htpasswd: {realm: test, path: %s/htpasswd}}\n", r->dir);
    assert_int_equal(fclose(f), 0);
}

static bool
answers(void *arg)
{
    const struct registry *r = arg;

    return host_shell("curl -s -o /dev/null http://%s/v2/", r->host) == 0;
}

void
registry_start(struct registry *r, const char *user, const char *password)
{
    *r = (struct registry){.port = free_port()};
    snprintf(r->host, sizeof(r->host), "127.0.0.1:%d", r->port);
    snprintf(r->dir, sizeof(r->dir), "/tmp/test-registry.XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    if (user)
        assert_int_equal(host_shell("htpasswd -Bbn %s %s >%s/htpasswd", user, password, r->dir), 0);
    write_config(r, user != NULL);
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0) {
        char config[128];
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        snprintf(config, sizeof(config), "%s/config.yml", r->dir);
        execlp("docker-registry", "docker-registry", "serve", config, (char *)NULL);
        _exit(127);
    }
    wait_until(answers, r, START_SECONDS, "the registry to answer");
}

void
registry_stop(struct registry *r)
{
    if (r->pid <= 0)
        return;
    kill(r->pid, SIGTERM);
    waitpid(r->pid, NULL, 0);
    host_shell("rm -rf %s", r->dir);
    r->pid = 0;
}

/* X-Registry-Auth of a login, in the form that the engine reads. */
static void
login_header(const char *user, const char *password, char out[512])
{
    char json[256];

    snprintf(json, sizeof(json), "{\"username\":\"%s\",\"password\":\"%s\"}", user ? user : "",
             password ? password : "");
    sodium_bin2base64(out, 512, (const unsigned char *)json, strlen(json),
                      sodium_base64_VARIANT_URLSAFE);
}

void
registry_push(const struct registry *r, const char *name, const char *dockerfile, const char *user,
              const char *password)
{
    char path[128], login[512];
    int repository = (int)strcspn(name, ":");
    const char *tag = name + repository + 1;
    FILE *f;

    snprintf(path, sizeof(path), "%s/Dockerfile", r->dir);
    f = fopen(path, "we");
    assert_non_null(f);
    fputs(dockerfile, f);
    assert_int_equal(fclose(f), 0);
    login_header(user, password, login);
    assert_int_equal(
        host_shell(
            "e() { curl -sS --fail --unix-socket \"$SANDBOX_STATE/docker/docker.sock\" \"$@\"; }\n"
            "tar -C %s -c Dockerfile | e -o %s/out --data-binary @- -H 'Content-Type: "
            "application/x-tar' 'http://d/build?networkmode=none&t=%s/%s' || exit 1\n"
            "e -X POST -H 'X-Registry-Auth: %s' 'http://d/images/%s/%.*s/push?tag=%s' >%s/out"
            " || exit 2\n"
            "if grep -q errorDetail %s/out; then cat %s/out; exit 3; fi\n"
            "e -o /dev/null -X DELETE 'http://d/images/%s/%s' || exit 4\n",
            r->dir, r->dir, r->host, name, login, r->host, repository, name, tag, r->dir, r->dir,
            r->dir, r->host, name),
        0);
}
