/* What passes through a tunnel of the egress proxy: TLS for its host, both ways, as fast as the
 * slower side takes it. */
#include "tests/unit/egress_world.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/egress/hello.h"

enum { PIECE_SIZE = 65536, FULL_MS = 500, ENDLESS = 256 << 20 };

static int
setup(void **state)
{
    *state = world_new("  connect_timeout_seconds: 2\n");
    return 0;
}

static int
teardown(void **state)
{
    if (*state)
        world_free(*state);
    return 0;
}

/* Whether a tunnel for allowed.test that begins with @len bytes @first is cut, with nothing of it
 * at the server. */
static bool
is_cut(struct egress_world *w, const void *first, size_t len)
{
    int server, fd = world_tunnel(w, RESTRICTED, &server);
    bool cut;

    say_bytes(fd, first, len);
    cut = ends(fd) && ends(server);
    close(fd);
    close(server);
    return cut;
}

static void
the_server_name_has_to_be_the_host(void **state)
{
    static const char *const names[] = {"elsewhere.test", "a.allowed.test", "allowed.test.evil",
                                        "blocked.wild.test", NULL};
    struct egress_world *w = *state;
    unsigned char hello[1024];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        print_message("%s\n", names[i] ? names[i] : "none");
        assert_true(is_cut(w, hello, client_hello(names[i], hello)));
    }
}

static void
it_may_be_spelled_otherwise(void **state)
{
    struct egress_world *w = *state;
    unsigned char hello[1024], heard[1024];
    size_t len = client_hello("ALLOWED.Test", hello);
    int server, fd = world_tunnel(w, RESTRICTED, &server);

    say_bytes(fd, hello, len);
    assert_int_equal(recv(server, heard, len, MSG_WAITALL), len);
    assert_memory_equal(heard, hello, len);
    close(fd);
    assert_true(ends(server));
    close(server);
}

/* However it is cut: a byte at a time, and with the request itself. */
static void
a_hello_may_come_in_pieces(void **state)
{
    struct egress_world *w = *state;
    unsigned char hello[1024], heard[1024];
    size_t len = client_hello("allowed.test", hello);
    int server, fd = world_come(w, RESTRICTED);
    char request[2048];
    int n = snprintf(request, sizeof(request),
                     "CONNECT allowed.test:%u HTTP/1.1\r\nHost: allowed.test\r\n\r\n", w->tls_port);

    memcpy(request + n, hello, 3);
    say_bytes(fd, request, (size_t)n + 3);
    hear_until(w, fd, "\r\n\r\n");
    server = serve(w->tls);
    for (size_t i = 3; i < len; i++) {
        say_bytes(fd, hello + i, 1);
        assert_true(recv(server, heard, 1, MSG_DONTWAIT) < 0 || i == len - 1);
    }
    assert_int_equal(recv(server, heard, len, MSG_WAITALL), len);
    assert_memory_equal(heard, hello, len);
    say(server, "answer");
    hear_until(w, fd, "answer");
    close(fd);
    close(server);
}

static void
what_is_not_tls_is_cut(void **state)
{
    static unsigned char endless[EGRESS_HELLO_MAX] = {0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xf0, 3, 3};
    struct egress_world *w = *state;

    assert_true(is_cut(w, "GET / HTTP/1.1\r\n\r\n", 18));
    assert_true(is_cut(w, "SSH-2.0-x\r\n", 11));
    assert_true(is_cut(w, "\x80\x2e\x01\x03\x01", 5)); /* a ClientHello of SSLv2's form */
    assert_true(is_cut(w, endless, sizeof(endless)));
    assert_true(is_cut(w, "\x16\x03\x01", 3)); /* and no more: cut when its time is over */
}

static void
an_address_has_no_server_name(void **state)
{
    struct egress_world *w = *state;
    unsigned char hello[1024], heard[1024];
    size_t len;

    for (int named = 0; named < 2; named++) {
        int server, fd = world_come(w, RESTRICTED);

        len = client_hello(named ? "allowed.test" : NULL, hello);
        say(fd, "CONNECT " HOST_ADDRESS ":%u HTTP/1.0\r\n\r\n", w->tls_port);
        hear_until(w, fd, "\r\n\r\n");
        server = serve(w->tls);
        say_bytes(fd, hello, len);
        if (named)
            assert_true(ends(server));
        else
            assert_int_equal(recv(server, heard, len, MSG_WAITALL), len);
        close(fd);
        close(server);
    }
}

/* On a plain port all but TLS is free, and the server may speak first; TLS names its host there,
 * too. */
static void
a_plain_port_carries_what_it_likes(void **state)
{
    struct egress_world *w = *state;
    unsigned char hello[1024];

    for (int tls = 0; tls < 2; tls++) {
        int server, fd = world_come(w, RESTRICTED);

        say(fd, "CONNECT allowed.test:%u HTTP/1.0\r\n\r\n", w->plain_port);
        server = serve(w->plain);
        say(server, "220 hello\r\n");
        hear_until(w, fd, "220 hello\r\n");
        if (tls)
            say_bytes(fd, hello, client_hello("elsewhere.test", hello));
        else
            say(fd, "HELO\r\n");
        if (tls)
            assert_true(ends(server));
        else
            assert_string_equal(hear_until(w, server, "\r\n"), "HELO\r\n");
        close(fd);
        close(server);
    }
}

static void
each_side_may_end_before_the_other(void **state)
{
    struct egress_world *w = *state;
    int server, fd;

    fd = world_open(w, RESTRICTED, &server);
    say(fd, "last");
    shutdown(fd, SHUT_WR);
    assert_string_equal(hear(w, server), "last");
    say(server, "still here");
    close(server);
    assert_string_equal(hear(w, fd), "still here");
    close(fd);

    fd = world_open(w, RESTRICTED, &server);
    say(server, "last");
    shutdown(server, SHUT_WR);
    assert_string_equal(hear(w, fd), "last");
    say(fd, "still here");
    close(fd);
    assert_string_equal(hear(w, server), "still here");
    close(server);
}

static void
a_client_that_goes_takes_the_connection_along(void **state)
{
    struct egress_world *w = *state;
    int server, fd = world_open(w, RESTRICTED, &server);

    close(fd);
    assert_true(ends(server));
    close(server);
}

/* Send until nothing more is taken. Returns how much was. */
static size_t
fill(int fd)
{
    static char piece[PIECE_SIZE];
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    size_t sum = 0;

    while (sum < ENDLESS && poll(&p, 1, FULL_MS) > 0) {
        ssize_t n = send(fd, piece, sizeof(piece), MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0)
            sum += (size_t)n;
    }
    return sum;
}

static size_t
drain(int fd, size_t wanted)
{
    static char piece[PIECE_SIZE];
    size_t sum = 0;
    ssize_t n = 1;

    while (sum < wanted && (n = recv(fd, piece, sizeof(piece), 0)) > 0)
        sum += (size_t)n;
    return sum;
}

/* Neither way does a reader that does not read cost memory, and nothing is lost by it. */
static void
a_slow_reader_stops_the_writer(void **state)
{
    struct egress_world *w = *state;
    int server, fd = world_open(w, RESTRICTED, &server);
    long before = proxy_private_kib(w);
    size_t down = fill(server), up = fill(fd);

    print_message("%zu down and %zu up were taken; %ld KiB, %ld before\n", down, up,
                  proxy_private_kib(w), before);
    assert_true(proxy_private_kib(w) < before + 512);
    assert_true(down > 0 && down < (64 << 20) && up < (64 << 20));
    assert_int_equal(drain(fd, down), down);
    assert_int_equal(drain(server, up), up);
    say(server, "and on");
    hear_until(w, fd, "and on");
    close(fd);
    close(server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_server_name_has_to_be_the_host),
        cmocka_unit_test(it_may_be_spelled_otherwise),
        cmocka_unit_test(a_hello_may_come_in_pieces),
        cmocka_unit_test(what_is_not_tls_is_cut),
        cmocka_unit_test(an_address_has_no_server_name),
        cmocka_unit_test(a_plain_port_carries_what_it_likes),
        cmocka_unit_test(each_side_may_end_before_the_other),
        cmocka_unit_test(a_client_that_goes_takes_the_connection_along),
        cmocka_unit_test(a_slow_reader_stops_the_writer),
    };

    world_isolate();
    return cmocka_run_group_tests_name("egress tunnel", tests, setup, teardown);
}
