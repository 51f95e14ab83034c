/* What the egress proxy lets through and what not: names, addresses, ports, requests. */
#include "tests/unit/egress_world.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int
setup(void **state)
{
    *state = world_new(NULL);
    return 0;
}

static int
teardown(void **state)
{
    if (*state)
        world_free(*state);
    return 0;
}

/* CONNECT @host, as @id. Returns whether a tunnel came to be; the answer is in w->heard. */
static bool
connects(struct egress_world *w, const char *id, const char *host, unsigned port)
{
    int fd = world_come(w, id);
    bool well;

    say(fd, "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n\r\n", host, port, host, port);
    hear_until(w, fd, "\n");
    well = strncmp(w->heard, "HTTP/1.1 200 ", 13) == 0;
    close(fd);
    if (well)
        close(serve(port == w->tls_port ? w->tls : w->plain));
    return well;
}

static void
allowed_names_are_reached_however_they_are_spelled(void **state)
{
    static const char *const hosts[] = {
        "allowed.test",   "ALLOWED.Test",       "allowed.test.",      "a.wild.test",
        "A.b.WILD.test.", "xn--bcher-kva.test", "XN--BCHER-KVA.TEST", HOST_ADDRESS};
    struct egress_world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        print_message("%s\n", hosts[i]);
        assert_true(connects(w, RESTRICTED, hosts[i], w->tls_port));
    }
}

static void
what_the_policy_does_not_name_is_refused(void **state)
{
    static const char *const hosts[] = {"elsewhere.test",     "wild.test",     "blocked.wild.test",
                                        "BLOCKED.wild.test.", "xallowed.test", "a.allowed.test",
                                        "127.9.9.8"};
    struct egress_world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        print_message("%s\n", hosts[i]);
        assert_false(connects(w, RESTRICTED, hosts[i], w->tls_port));
        assert_int_equal(strncmp(w->heard, "HTTP/1.1 403 ", 13), 0);
    }
    assert_false(connects(w, RESTRICTED, "allowed.test", 22));
    assert_int_equal(strncmp(w->heard, "HTTP/1.1 403 ", 13), 0);
}

static void
a_refusal_names_its_rule(void **state)
{
    struct egress_world *w = *state;

    ask(w, RESTRICTED, "GET http://blocked.wild.test/ HTTP/1.1\r\nHost: blocked.wild.test\r\n\r\n");
    assert_refused(w, 403, "network_policy.blocked_domains: blocked.wild.test");
    assert_non_null(strstr(
        w->heard, "\r\n\r\nsandbox egress: network_policy.blocked_domains: blocked.wild.test\n"));
}

/* Names that are allowed, but lead to where nobody may go. */
static void
addresses_that_are_not_the_internet_are_refused(void **state)
{
    static const char *const hosts[] = {"private.test",  "loop.test",   "loop6.test",
                                        "metadata.test", "mapped.test", "10.0.0.2"};
    struct egress_world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        print_message("%s\n", hosts[i]);
        ask(w, RESTRICTED, "CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n", hosts[i], hosts[i]);
        assert_int_equal(strncmp(w->heard, "HTTP/1.1 403 ", 13), 0);
        assert_non_null(strstr(w->heard, " is no address of the internet"));
    }
    for (size_t i = 0; i + 1 < ARRAY_LEN(hosts); i++) {
        ask(w, FULL, "GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i], hosts[i]);
        assert_int_equal(strncmp(w->heard, "HTTP/1.1 403 ", 13), 0);
    }
}

/* To its services, who comes from the machine itself is a neighbour. */
static void
the_machines_own_addresses_are_refused(void **state)
{
    struct egress_world *w = *state;

    ask(w, FULL, "CONNECT own.test:22 HTTP/1.1\r\nHost: own.test:22\r\n\r\n");
    assert_refused(w, 403, "an address of this machine, not in egress.permit_addresses");
}

static void
of_several_addresses_only_the_allowed_are_dialled(void **state)
{
    struct egress_world *w = *state;

    for (int i = 0; i < 4; i++)
        assert_true(connects(w, RESTRICTED, "mixed.test", w->tls_port));
}

static void
spellings_of_an_address_are_that_address(void **state)
{
    static const char *const hosts[] = {"127.1",         "2130706433",         "0x7f000001",
                                        "0177.0.0.1",    "[::ffff:127.0.0.1]", "[::1]",
                                        "[::ffff:a00:2]"};
    struct egress_world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        print_message("%s\n", hosts[i]);
        ask(w, RESTRICTED, "CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n", hosts[i], hosts[i]);
        assert_int_equal(strncmp(w->heard, "HTTP/1.1 403 ", 13), 0);
    }
}

/* A name that answers an allowed address first and a private one then: each request is judged by
 * the one answer that it dials, and asks no second time. */
static void
a_name_that_is_rebound_gains_nothing(void **state)
{
    struct egress_world *w = *state;
    char byte;
    int fd;

    for (int round = 0; round < 2; round++) {
        const char *address = round == 0 ? HOST_ADDRESS : "10.0.0.1";
        int answers = 0;

        fd = world_come(w, RESTRICTED);
        say(fd, "CONNECT rebind.test:%u HTTP/1.1\r\nHost: rebind.test:%u\r\n\r\n", w->tls_port,
            w->tls_port);
        for (int i = 0; i < 2; i++)
            answers += world_answer_dns(w, address) ? 1 : 0;
        assert_int_equal(answers, 1);
        if (round == 0) {
            hear_until(w, fd, "\r\n\r\n");
            assert_int_equal(strncmp(w->heard, "HTTP/1.1 200 ", 13), 0);
            close(serve(w->tls));
        } else {
            hear(w, fd);
            assert_int_equal(strncmp(w->heard, "HTTP/1.1 403 ", 13), 0);
        }
        close(fd);
        assert_true(recv(w->rebinding, &byte, 1, MSG_DONTWAIT) < 0);
    }
}

static void
failures_of_the_host_are_told_apart(void **state)
{
    struct egress_world *w = *state;

    ask(w, RESTRICTED, "CONNECT down.test:443 HTTP/1.1\r\nHost: down.test:443\r\n\r\n");
    assert_refused(w, 502, "upstream: Connection refused");
    ask(w, RESTRICTED, "CONNECT missing.test:443 HTTP/1.1\r\nHost: missing.test:443\r\n\r\n");
    assert_int_equal(strncmp(w->heard, "HTTP/1.1 502 ", 13), 0);
    assert_non_null(strstr(w->heard, "does not resolve"));
}

/* Heads that smuggle (test_egress_head.c has more of them) reach no server. */
static void
odd_requests_are_bad_requests(void **state)
{
    static const char *const requests[] = {
        "GET http://allowed.test/ HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n",
        "GET http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\nHost: allowed.test\r\n\r\n",
        "POST http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: 4\r\n" /* NOLINT:
                                                                                               one
                                                                                             */
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
        "GET https://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
        "CONNECT allowed.test:443 HTTP/1.1\r\nHost: elsewhere.test:443\r\n\r\n",
        "\x16\x03\x01\x02\x01\n",
    };
    struct egress_world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        ask(w, RESTRICTED, "%s", requests[i]);
        assert_int_equal(strncmp(w->heard, "HTTP/1.1 400 ", 13), 0);
    }
}

static void
a_request_is_forwarded_and_ends_with_its_response(void **state)
{
    struct egress_world *w = *state;
    int fd = world_come(w, RESTRICTED);
    int server;

    say(fd,
        "POST http://allowed.test:%u/a?b HTTP/1.1\r\nHost: allowed.test:%u\r\nProxy-X: y\r\n"
        "Content-Length: 5\r\n\r\nhe",
        w->plain_port, w->plain_port);
    server = serve(w->plain);
    say(fd, "lloGET http://allowed.test/smuggled HTTP/1.1\r\n\r\n");
    hear_until(w, server, "\r\n\r\nhello");
    assert_non_null(strstr(w->heard, "POST /a?b HTTP/1.1\r\n"));
    assert_non_null(strstr(w->heard, "Connection: close\r\n"));
    assert_null(strstr(w->heard, "Proxy-X"));
    say(server, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"
                "HTTP/1.1 200 OK\r\n\r\nmore");
    assert_string_equal(hear(w, fd), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
                                     "Content-Length: 3\r\n\r\nyes");
    assert_true(ends(server)); /* and nothing of the second request came */
    close(server);
    close(fd);
}

static void
a_chunked_body_passes_in_a_framing_of_ours(void **state)
{
    struct egress_world *w = *state;
    int fd = world_come(w, RESTRICTED);
    int server;

    say(fd,
        "PUT http://allowed.test:%u/ HTTP/1.1\r\nHost: allowed.test:%u\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
        "3;extension=\"x\"\r\nabc\r\n",
        w->plain_port, w->plain_port);
    server = serve(w->plain);
    hear_until(w, server, "\r\n\r\n3\r\nabc\r\n");
    say(fd, "00A\r\n0123456789\r\n0\r\nTrailer: dropped\r\n\r\nGET http://allowed.test/ HTTP/1.1");
    hear_until(w, server, "0\r\n\r\n");
    assert_string_equal(w->heard, "a\r\n0123456789\r\n0\r\n\r\n");
    say(server, "HTTP/1.1 204 No Content\r\n\r\n");
    assert_string_equal(hear(w, fd), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_true(ends(server));
    close(server);
    close(fd);
}

static void
a_container_without_network_or_row_reaches_nothing(void **state)
{
    struct egress_world *w = *state;
    const char *request = "GET http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n";

    world_container(w, "container_00000000000a", NETWORK_NONE);
    ask(w, "container_00000000000a", "%s", request);
    assert_refused(w, 403, "the container's network is None");
    store_container_delete(w->store, "container_00000000000a", NULL);
    ask(w, "container_00000000000a", "%s", request);
    assert_refused(w, 403, "there is no such container");
    world_container(w, "container_00000000000b", NETWORK_RESTRICTED);
    store_container_status(w->store, "container_00000000000b", CONTAINER_STOPPED, 0, NULL);
    ask(w, "container_00000000000b", "%s", request);
    assert_refused(w, 403, "the container is not running");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allowed_names_are_reached_however_they_are_spelled),
        cmocka_unit_test(what_the_policy_does_not_name_is_refused),
        cmocka_unit_test(a_refusal_names_its_rule),
        cmocka_unit_test(addresses_that_are_not_the_internet_are_refused),
        cmocka_unit_test(the_machines_own_addresses_are_refused),
        cmocka_unit_test(of_several_addresses_only_the_allowed_are_dialled),
        cmocka_unit_test(spellings_of_an_address_are_that_address),
        cmocka_unit_test(a_name_that_is_rebound_gains_nothing),
        cmocka_unit_test(failures_of_the_host_are_told_apart),
        cmocka_unit_test(odd_requests_are_bad_requests),
        cmocka_unit_test(a_request_is_forwarded_and_ends_with_its_response),
        cmocka_unit_test(a_chunked_body_passes_in_a_framing_of_ours),
        cmocka_unit_test(a_container_without_network_or_row_reaches_nothing),
    };

    world_isolate();
    return cmocka_run_group_tests_name("egress proxy", tests, setup, teardown);
}
