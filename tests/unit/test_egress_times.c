/* The egress proxy's patience: who keeps it waiting, client, nameserver or host, is answered or cut
 * off when the time for it is over. Which times those are is in the settings, but for the head's.
 */
#include "tests/unit/egress_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SHORT "  connect_timeout_seconds: 1\n  idle_timeout_seconds: 1\n"

enum { MORE_THAN_A_BACKLOG = 8 };

/* What begins with the group, because it takes ten seconds, and is looked at in the end. */
static int silent, unfinished, trickling;

static int
setup(void **state)
{
    struct egress_world *w = world_new(SHORT);

    *state = w;
    silent = world_come(w, RESTRICTED);
    unfinished = world_come(w, RESTRICTED);
    say(unfinished, "GET http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n");
    trickling = world_come(w, RESTRICTED);
    say(trickling, "GET http://allowed.test/ HTTP/1.1\r\nX: ");
    return 0;
}

/* Before each test: one more byte of a head, which stretches nothing. */
static int
trickle(void **state)
{
    (void)state;
    send(trickling, "x", 1, MSG_NOSIGNAL);
    return 0;
}

static int
teardown(void **state)
{
    if (*state)
        world_free(*state);
    return 0;
}

/* A socket that listens at HOST_ADDRESS, and accepts nothing any more: the kernel drops who comes.
 * *ret_others are those for whom there was room. */
static int
listen_in_vain(unsigned *ret_port, int others[MORE_THAN_A_BACKLOG])
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, HOST_ADDRESS, &in.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    for (int i = 0; i < MORE_THAN_A_BACKLOG; i++) {
        others[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(connect(others[i], (struct sockaddr *)&in, len) == 0 || errno == EINPROGRESS);
    }
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static void
assert_too_late(const struct egress_world *w, int status, const char *rule)
{
    char line[64];

    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    if (strncmp(w->heard, line, strlen(line)) != 0 || !strstr(w->heard, rule))
        fail_msg("expected %s and %s, not '%s'", line, rule, w->heard);
}

static void
a_host_that_accepts_nobody_is_a_504(void **state)
{
    struct egress_world *w = *state;
    int others[MORE_THAN_A_BACKLOG], fd;
    unsigned port;

    fd = listen_in_vain(&port, others);
    ask(w, FULL, "CONNECT allowed.test:%u HTTP/1.1\r\nHost: allowed.test:%u\r\n\r\n", port, port);
    assert_too_late(w, 504, "\r\nX-Sandbox-Rule: upstream: ");
    ask(w, FULL, "GET http://allowed.test:%u/ HTTP/1.1\r\nHost: allowed.test:%u\r\n\r\n", port,
        port);
    assert_too_late(w, 504, "\r\nX-Sandbox-Rule: upstream: ");
    for (int i = 0; i < MORE_THAN_A_BACKLOG; i++)
        close(others[i]);
    close(fd);
}

static void
a_nameserver_that_does_not_answer_is_a_504(void **state)
{
    struct egress_world *w = *state;

    ask(w, RESTRICTED, "CONNECT rebind.test:443 HTTP/1.1\r\nHost: rebind.test:443\r\n\r\n");
    assert_refused(w, 504, "upstream: its name does not resolve in time");
    while (recv(w->rebinding, w->heard, 1, MSG_DONTWAIT) > 0) /* it was asked */
        ;
}

static void
a_host_that_does_not_respond_is_a_504(void **state)
{
    struct egress_world *w = *state;
    int fd = world_come(w, RESTRICTED), server;

    say(fd, "GET http://allowed.test:%u/ HTTP/1.1\r\nHost: allowed.test:%u\r\n\r\n", w->plain_port,
        w->plain_port);
    server = serve(w->plain);
    hear_until(w, server, "\r\n\r\n");
    hear(w, fd);
    assert_refused(w, 504, "the server did not answer in time");
    assert_true(ends(server));
    close(fd);
    close(server);
}

/* What has come of it has come: nothing of ours is put behind it. */
static void
a_response_that_stops_is_cut_off(void **state)
{
    static const char begun[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    struct egress_world *w = *state;
    int fd = world_come(w, RESTRICTED), server;

    say(fd, "GET http://allowed.test:%u/ HTTP/1.1\r\nHost: allowed.test:%u\r\n\r\n", w->plain_port,
        w->plain_port);
    server = serve(w->plain);
    say(server, "%s", begun);
    assert_string_equal(hear(w, fd), begun);
    hear_until(w, server, "\r\n\r\n");
    assert_true(ends(server));
    close(fd);
    close(server);
}

static void
a_tunnel_without_a_hello_is_closed(void **state)
{
    struct egress_world *w = *state;
    int server, fd = world_tunnel(w, RESTRICTED, &server);

    assert_true(ends(fd));
    assert_true(ends(server));
    close(fd);
    close(server);
}

static void
an_idle_tunnel_is_closed(void **state)
{
    struct egress_world *w = *state;
    int server, fd = world_open(w, RESTRICTED, &server);

    say(server, "on");
    hear_until(w, fd, "on");
    assert_true(ends(fd));
    assert_true(ends(server));
    close(fd);
    close(server);
}

static void
an_idle_tunnel_of_anything_is_closed(void **state)
{
    struct egress_world *w = *state;
    int fd = world_come(w, RESTRICTED), server;

    say(fd, "CONNECT allowed.test:%u HTTP/1.1\r\nHost: allowed.test:%u\r\n\r\n", w->plain_port,
        w->plain_port);
    hear_until(w, fd, "\r\n\r\n");
    server = serve(w->plain);
    say(fd, "on");
    hear_until(w, server, "on");
    assert_true(ends(fd));
    assert_true(ends(server));
    close(fd);
    close(server);
}

static void
a_head_that_does_not_come_is_a_408(void **state)
{
    struct egress_world *w = *state;

    const int fds[] = {silent, unfinished, trickling};

    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        hear(w, fds[i]);
        assert_refused(w, 408, "no request in time");
        close(fds[i]);
    }
}

#define times_test(f) cmocka_unit_test_setup(f, trickle)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        times_test(a_host_that_accepts_nobody_is_a_504),
        times_test(a_nameserver_that_does_not_answer_is_a_504),
        times_test(a_host_that_does_not_respond_is_a_504),
        times_test(a_response_that_stops_is_cut_off),
        times_test(a_tunnel_without_a_hello_is_closed),
        times_test(an_idle_tunnel_is_closed),
        times_test(an_idle_tunnel_of_anything_is_closed),
        times_test(a_head_that_does_not_come_is_a_408),
    };

    world_isolate();
    return cmocka_run_group_tests_name("egress times", tests, setup, teardown);
}
