/* The relay to the egress proxy, in a real guest: its clients come from the guest's network, and
 * the test is the proxy. */
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/guest/protocol.h"
#include "tests/unit/guest_world.h"

enum {
    LINES_MAX = 256, /* of relay.c */
    CROWD = LINES_MAX + 40,
    STREAM_BYTES = 8 * MEBIBYTE, /* more than both sides' buffers take */
    BRIEF_MS = 200               /* for what must not happen */
};

/* Listen as the proxy; what was there before is replaced. */
static int
proxy_listen(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    unlink(world.proxy);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", world.proxy);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, CROWD), 0);
    return fd;
}

/* A socket in the guest's network, and in nobody else's. */
static int
socket_inside(void)
{
    char path[64];
    _cleanup_(closep) int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    _cleanup_(closep) int there = -1;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/ns/net", world.pid);
    there = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(setns(there, CLONE_NEWNET), 0);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setns(home, CLONE_NEWNET), 0);
    assert_true(fd >= 0);
    return fd;
}

static int
dial(void)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(GUEST_RELAY_PORT),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    int fd = socket_inside();

    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static bool
readable_within(int fd, int ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    return poll(&ready, 1, ms) == 1;
}

static int
take(int listener)
{
    int fd;

    assert_true(readable_within(listener, PATIENCE_MS));
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void
say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Fail unless the next bytes are @expected; "" is the end. */
static void
assert_hears(int fd, const char *expected)
{
    char text[64] = "";
    size_t have = 0;
    ssize_t n;

    do {
        assert_true(readable_within(fd, PATIENCE_MS));
        n = recv(fd, text + have, sizeof(text) - 1 - have, 0);
        assert_true(n >= 0);
        have += (size_t)n;
    } while (n > 0 && have < strlen(expected));
    assert_string_equal(text, expected);
}

/* The child of PID 1 that has no capability at all; 0 if there is none. */
static pid_t
find_relay(void)
{
    char path[64], text[2048];
    pid_t found = 0;
    FILE *f;
    int pid;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", world.pid, world.pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (fscanf(f, "%d", &pid) == 1) {
        FILE *status;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        status = fopen(path, "re");
        text[status ? fread(text, 1, sizeof(text) - 1, status) : 0] = '\0';
        if (status)
            fclose(status);
        if (strstr(text, "\nCapPrm:\t0000000000000000\n"))
            found = pid;
    }
    fclose(f);
    return found;
}

/* What /proc/PID/status says of the relay behind @key, as text. */
static void
relay_status(const char *key, char out[64])
{
    char path[64], line[256];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", find_relay());
    f = fopen(path, "re");
    assert_non_null(f);
    out[0] = '\0';
    while (fgets(line, sizeof(line), f))
        if (strncmp(line, key, strlen(key)) == 0)
            snprintf(out, 64, "%.*s", (int)strcspn(line + strlen(key), "\n"), line + strlen(key));
    fclose(f);
}

static void
what_is_said_goes_both_ways_and_so_does_each_end(void **state)
{
    _cleanup_(closep) int listener = proxy_listen();
    _cleanup_(closep) int client = dial();
    _cleanup_(closep) int proxy = take(listener);

    (void)state;
    say(client, "question");
    assert_hears(proxy, "question");
    say(proxy, "answer");
    assert_hears(client, "answer");
    shutdown(client, SHUT_WR);
    assert_hears(proxy, "");
    say(proxy, "last words");
    assert_hears(client, "last words");
    shutdown(proxy, SHUT_WR);
    assert_hears(client, "");
}

static void
the_last_words_of_a_proxy_that_hangs_up_arrive_while_the_client_talks(void **state)
{
    static char flood[MEBIBYTE];
    _cleanup_(closep) int listener = proxy_listen();
    _cleanup_(closep) int client = dial();
    int proxy = take(listener);
    ssize_t sent = 0;

    (void)state;
    say(client, "GET");
    assert_hears(proxy, "GET");
    say(proxy, "403");
    close(proxy);
    while (sent < STREAM_BYTES) {
        ssize_t n = send(client, flood, sizeof(flood), MSG_NOSIGNAL);

        assert_true(n > 0);
        sent += n;
    }
    assert_hears(client, "403");
    assert_hears(client, "");
}

static void
a_client_that_is_gone_is_gone_for_the_proxy(void **state)
{
    const struct linger reset = {.l_onoff = 1};
    _cleanup_(closep) int listener = proxy_listen();
    int client = dial();
    _cleanup_(closep) int proxy = take(listener);

    (void)state;
    say(client, "x");
    assert_hears(proxy, "x");
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(client);
    assert_hears(proxy, "");
}

static void
a_slow_side_stops_the_other_and_loses_nothing(void **state)
{
    (void)state;
    for (int from_client = 0; from_client < 2; from_client++) {
        static unsigned char data[STREAM_BYTES], got[STREAM_BYTES];
        _cleanup_(closep) int listener = proxy_listen();
        _cleanup_(closep) int client = dial();
        _cleanup_(closep) int proxy = take(listener);
        int from = from_client ? client : proxy, to = from_client ? proxy : client;
        struct pollfd writable = {.fd = from, .events = POLLOUT};
        size_t sent = 0, have = 0;

        for (size_t i = 0; i < sizeof(data); i++)
            data[i] = (unsigned char)(i * 2654435761U >> 24);
        /* Nobody reads: it stops before all is gone. */
        while (sent < sizeof(data) && poll(&writable, 1, BRIEF_MS) == 1) {
            ssize_t n = send(from, data + sent, sizeof(data) - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

            assert_true(n > 0 || errno == EAGAIN);
            sent += n > 0 ? (size_t)n : 0;
        }
        assert_true(sent < sizeof(data));
        while (have < sizeof(data)) {
            ssize_t n = sent < sizeof(data) ? send(from, data + sent, sizeof(data) - sent,
                                                   MSG_DONTWAIT | MSG_NOSIGNAL)
                                            : 0;

            sent += n > 0 ? (size_t)n : 0;
            assert_true(readable_within(to, PATIENCE_MS));
            n = recv(to, got + have, sizeof(got) - have, MSG_DONTWAIT);
            assert_true(n > 0);
            have += (size_t)n;
        }
        assert_memory_equal(got, data, sizeof(data));
    }
}

static void
without_a_proxy_a_client_is_closed(void **state)
{
    _cleanup_(closep) int first = -1;
    _cleanup_(closep) int second = -1;

    (void)state;
    unlink(world.proxy);
    first = dial();
    assert_hears(first, "");
    close(proxy_listen()); /* the socket is there, but nobody listens */
    second = dial();
    assert_hears(second, "");
}

static void
a_link_in_the_sockets_place_leads_nowhere(void **state)
{
    _cleanup_(closep) int client = -1;

    (void)state;
    unlink(world.proxy);
    assert_int_equal(symlink("/run/guest.sock", world.proxy), 0);
    client = dial();
    assert_hears(client, "");
    unlink(world.proxy);
}

static void
a_proxy_that_comes_back_is_used(void **state)
{
    int listener = proxy_listen();
    _cleanup_(closep) int again = -1;

    (void)state;
    for (int i = 0; i < 2; i++) {
        _cleanup_(closep) int client = dial();
        _cleanup_(closep) int proxy = take(listener);

        say(client, "hello");
        assert_hears(proxy, "hello");
        close(listener);
        listener = proxy_listen();
    }
    close(listener);
}

static void
a_proxy_without_room_is_tried_again(void **state)
{
    enum { CLIENTS = 8 };
    _cleanup_(closep) int listener = proxy_listen();
    int clients[CLIENTS];

    (void)state;
    assert_int_equal(listen(listener, 1), 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = dial();
        say(clients[i], "here");
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        _cleanup_(closep) int proxy = take(listener);

        assert_hears(proxy, "here");
        say(proxy, "and here");
        assert_hears(clients[i], "and here");
        close(clients[i]);
    }
}

static void
of_a_crowd_as_many_are_served_as_there_is_room_for_and_the_others_wait(void **state)
{
    _cleanup_(closep) int listener = proxy_listen();
    int clients[CROWD], proxies[CROWD];
    char rss[64];
    size_t i;

    (void)state;
    for (i = 0; i < CROWD; i++) {
        clients[i] = dial();
        say(clients[i], "here");
    }
    for (i = 0; i < LINES_MAX; i++)
        proxies[i] = take(listener);
    assert_false(readable_within(listener, BRIEF_MS));
    /* Each that leaves makes room for one. */
    for (i = LINES_MAX; i < CROWD; i++) {
        size_t leaver = i - LINES_MAX;

        assert_hears(proxies[leaver], "here");
        close(proxies[leaver]);
        assert_hears(clients[leaver], "");
        close(clients[leaver]);
        proxies[i] = take(listener);
        assert_hears(proxies[i], "here");
    }
    for (i = CROWD - LINES_MAX; i < CROWD; i++) {
        close(proxies[i]);
        close(clients[i]);
    }
    relay_status("RssAnon:", rss);
    assert_true(strtol(rss, NULL, 10) <= 256); /* kB */
}

static void
slow_lines_give_their_memory_back(void **state)
{
    static char flood[MEBIBYTE];
    _cleanup_(closep) int listener = proxy_listen();
    int clients[LINES_MAX], proxies[LINES_MAX];
    char busy[64], after[64];
    size_t i;

    (void)state;
    for (i = 0; i < LINES_MAX; i++) {
        struct pollfd writable = {.events = POLLOUT};

        clients[i] = dial();
        proxies[i] = take(listener);
        writable.fd = proxies[i];
        while (poll(&writable, 1, 10) == 1)
            send(proxies[i], flood, sizeof(flood), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    relay_status("RssAnon:", busy);
    for (i = 0; i < LINES_MAX; i++) {
        close(proxies[i]);
        close(clients[i]);
    }
    proxies[0] = -1;
    clients[0] = dial(); /* the relay has then seen all that came before */
    proxies[0] = take(listener);
    relay_status("RssAnon:", after);
    close(clients[0]);
    close(proxies[0]);
    assert_true(strtol(busy, NULL, 10) >= LINES_MAX * 4);
    assert_true(strtol(after, NULL, 10) <= 256);
}

static int
count_relay_fds(void)
{
    pid_t relay = find_relay();
    char path[64];
    int fds = 0;

    for (int fd = 0; fd < 1024; fd++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", relay, fd);
        fds += faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    }
    return fds;
}

static void
the_relay_has_no_power_and_no_descriptors_of_the_guests(void **state)
{
    char value[64];
    int tries = PATIENCE_MS / 20;

    (void)state;
    assert_true(find_relay() > 0);
    relay_status("CapEff:", value);
    assert_string_equal(value, "\t0000000000000000");
    relay_status("CapBnd:", value);
    assert_string_equal(value, "\t0000000000000000");
    relay_status("NoNewPrivs:", value);
    assert_string_equal(value, "\t1");
    relay_status("Groups:", value);
    assert_string_equal(value, "\t ");
    /* 0 to 2, its listener, epoll; once it has let go of the lines of earlier tests. */
    while (count_relay_fds() != 5 && tries-- > 0)
        world_pause_ms(20);
    assert_int_equal(count_relay_fds(), 5);
}

static void
commands_cannot_end_the_relay(void **state)
{
    char value[64], script[128];
    struct outcome o;
    pid_t before = find_relay();

    (void)state;
    relay_status("NSpid:", value);
    snprintf(script, sizeof(script), "kill -9 %s; kill -STOP -1; echo $?",
             strrchr(value, '\t') + 1);
    world_run_shell(script, TIMEOUT_MS, &o);
    assert_non_null(strstr(o.stderr_text, "Operation not permitted"));
    outcome_done(&o);
    assert_int_equal(find_relay(), before);
}

static void
a_dead_relay_is_replaced_and_its_waiting_clients_are_served(void **state)
{
    _cleanup_(closep) int listener = proxy_listen();
    _cleanup_(closep) int open_client = dial();
    _cleanup_(closep) int open_proxy = take(listener);
    _cleanup_(closep) int client = -1;
    _cleanup_(closep) int proxy = -1;
    pid_t before = find_relay();

    (void)state;
    kill(before, SIGKILL);
    assert_hears(open_proxy, ""); /* it is dead */
    client = dial();
    say(client, "patience");
    proxy = take(listener);
    assert_hears(proxy, "patience");
    assert_int_not_equal(find_relay(), before);
    assert_world_works();
}

static bool
supervisor_killed(void)
{
    pid_t supervisor = 0;

    if (world_find_commands(&supervisor) == 0 || supervisor == 0)
        return false;
    kill(supervisor, SIGKILL);
    return true;
}

static void
the_relay_outlives_what_dead_supervisors_leave_to_be_cleared_up(void **state)
{
    pid_t before = find_relay();
    pid_t runner = fork();

    (void)state;
    if (runner == 0) {
        struct outcome o;

        world_run_shell("sleep 1000", TIMEOUT_MS, &o);
        _exit(0);
    }
    while (!supervisor_killed())
        world_pause_ms(5);
    while (world_count_commands() > 0)
        world_pause_ms(5);
    kill(runner, SIGKILL);
    waitpid(runner, NULL, 0);
    assert_int_equal(find_relay(), before);
    assert_world_works();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_goes_both_ways_and_so_does_each_end),
        cmocka_unit_test(the_last_words_of_a_proxy_that_hangs_up_arrive_while_the_client_talks),
        cmocka_unit_test(a_client_that_is_gone_is_gone_for_the_proxy),
        cmocka_unit_test(a_slow_side_stops_the_other_and_loses_nothing),
        cmocka_unit_test(without_a_proxy_a_client_is_closed),
        cmocka_unit_test(a_link_in_the_sockets_place_leads_nowhere),
        cmocka_unit_test(a_proxy_that_comes_back_is_used),
        cmocka_unit_test(a_proxy_without_room_is_tried_again),
        cmocka_unit_test(of_a_crowd_as_many_are_served_as_there_is_room_for_and_the_others_wait),
        cmocka_unit_test(slow_lines_give_their_memory_back),
        cmocka_unit_test(the_relay_has_no_power_and_no_descriptors_of_the_guests),
        cmocka_unit_test(commands_cannot_end_the_relay),
        cmocka_unit_test(a_dead_relay_is_replaced_and_its_waiting_clients_are_served),
        cmocka_unit_test(the_relay_outlives_what_dead_supervisors_leave_to_be_cleared_up),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("guest relay", tests, world_setup_proxied, world_teardown);
}
