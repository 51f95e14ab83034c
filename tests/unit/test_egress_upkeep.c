/* The egress proxy over time: limits, changes of the policy, failures, restarts, and what a
 * connection costs. */
#include "tests/unit/egress_world.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/egress/egress.h"
#include "backend/egress/proxy.h"

#define REQUEST "GET http://allowed.test/ HTTP/1.1\r\nHost: allowed.test\r\n\r\n"

enum { IDLE_TUNNELS = 300, TUNNEL_MAX_KIB = 20, MANY_CONNECTIONS = 1000 };

static int
setup(void **state)
{
    *state = world_new("  connections_max: 1000\n");
    return 0;
}

static int
teardown(void **state)
{
    if (*state)
        world_free(*state);
    return 0;
}

/* The answer to @request, asked again until it begins with @status or the patience is over. */
static void
ask_until(struct egress_world *w, const char *id, const char *request, const char *status)
{
    for (int i = 0; i < WORLD_PATIENCE_SECONDS * 50; i++) {
        ask(w, id, "%s", request);
        if (strncmp(w->heard + strlen("HTTP/1.1 "), status, strlen(status)) == 0)
            return;
        poll(NULL, 0, 20);
    }
    fail_msg("expected %s, not '%s'", status, w->heard);
}

static void
a_change_of_the_policy_closes_what_it_forbids(void **state)
{
    static const char *const changes[] = {
        "{\"network_policy\": {\"blocked_domains\": [\"allowed.test\"]}}",
        "{\"network_policy\": {\"allowed_domains\": [\"*.wild.test\"]}}",
        "{\"network_policy\": {\"blocked_domains\": [\"127.9.9.9\"]}}",
        "{\"network_policy\": {\"enabled\": false}}",
    };
    struct egress_world *w = *state;

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        int server, fd = world_open(w, RESTRICTED, &server);

        print_message("%s\n", changes[i]);
        world_override(w, changes[i]);
        assert_true(ends(fd));
        assert_true(ends(server));
        close(fd);
        close(server);
        ask(w, RESTRICTED, REQUEST);
        assert_int_equal(strncmp(w->heard, "HTTP/1.1 403 ", 13), 0);
        world_override(w, "{}");
    }
}

static void
a_change_leaves_what_it_allows(void **state)
{
    struct egress_world *w = *state;
    int server, other, fd = world_open(w, RESTRICTED, &server);
    int forbidden = world_open(w, RESTRICTED, &other);

    (void)forbidden;
    for (int i = 0; i < 20; i++)
        world_override(w,
                       i % 2 ? "{}" : "{\"network_policy\": {\"blocked_domains\": [\"x.test\"]}}");
    say(fd, "on");
    hear_until(w, server, "on");
    close(forbidden);
    close(other);
    close(fd);
    close(server);
}

static void
a_change_reaches_a_request_in_its_dial(void **state)
{
    struct egress_world *w = *state;
    int fd = world_come(w, RESTRICTED);

    say(fd, "CONNECT rebind.test:443 HTTP/1.0\r\n\r\n");
    assert_true(recv(w->rebinding, w->heard, 1, 0) > 0); /* it is asked for, and not answered */
    world_override(w, "{\"network_policy\": {\"blocked_domains\": [\"rebind.test\"]}}");
    hear(w, fd);
    assert_refused(w, 403, "network_policy.blocked_domains: rebind.test");
    close(fd);
    world_override(w, "{}");
    while (recv(w->rebinding, w->heard, 1, MSG_DONTWAIT) > 0)
        ;
}

static void
the_end_of_a_container_closes_its_connections(void **state)
{
    static const char id[] = "container_00000000000c";
    struct egress_world *w = *state;
    char path[160];
    int server, fd;

    world_container(w, id, NETWORK_RESTRICTED);
    fd = world_open(w, id, &server);
    store_container_status(w->store, id, CONTAINER_STOPPED, 0, NULL);
    assert_true(ends(fd));
    close(fd);
    close(server);
    store_container_status(w->store, id, CONTAINER_RUNNING, 1, NULL);
    fd = world_open(w, id, &server);
    store_container_delete(w->store, id, NULL);
    assert_true(ends(fd));
    close(fd);
    close(server);
    world_container(w, "container_00000000000d", NETWORK_FULL);
    fd = world_open(w, "container_00000000000d", &server);
    snprintf(path, sizeof(path), "%s/egress/container_00000000000d/proxy", w->dir);
    unlink(path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
    assert_true(ends(fd));
    close(fd);
    close(server);
}

static void
connections_of_a_container_are_limited(void **state)
{
    struct egress_world *w = *state;
    int server[3], fd[3];

    world_container(w, "container_00000000000f", NETWORK_RESTRICTED);
    world_reload(w, "  connections_max: 2\n");
    fd[0] = world_open(w, "container_00000000000f", &server[0]);
    fd[1] = world_open(w, "container_00000000000f", &server[1]);
    ask_until(w, "container_00000000000f", REQUEST, "429");
    assert_refused(w, 429, "egress.connections_max");
    assert_non_null(strstr(w->heard, "\r\nRetry-After: "));
    fd[2] = world_open(w, FULL, &server[2]); /* which is not its neighbour's */
    for (int i = 0; i < 3; i++) {
        close(fd[i]);
        close(server[i]);
    }
    world_reload(w, "  connections_max: 1000\n");
}

static void
bytes_of_a_container_are_limited(void **state)
{
    static char piece[65536];
    struct egress_world *w = *state;
    int server, fd;
    size_t sum = 0;
    ssize_t n;

    world_container(w, "container_00000000000e", NETWORK_RESTRICTED);
    world_reload(w, "  mb_per_hour: 1\n  connections_max: 1000\n");
    fd = world_open(w, "container_00000000000e", &server);
    while (send(server, piece, sizeof(piece), MSG_NOSIGNAL) > 0 && sum < (4 << 20))
        sum += sizeof(piece) / 2, recv(fd, piece, sizeof(piece) / 2, 0);
    for (sum = 0; (n = recv(fd, piece, sizeof(piece), 0)) > 0; sum += (size_t)n)
        ;
    assert_true(sum <= (1 << 20));
    ask(w, "container_00000000000e", REQUEST);
    assert_refused(w, 429, "egress.mb_per_hour");
    close(fd);
    close(server);
    world_reload(w, "  connections_max: 1000\n");
}

static void
a_proxy_that_was_killed_comes_back(void **state)
{
    struct egress_world *w = *state;
    int server, fd = world_open(w, RESTRICTED, &server);

    kill(w->proxy, SIGKILL);
    waitpid(w->proxy, NULL, 0);
    assert_true(ends(fd));
    close(fd);
    close(server);
    world_start(w);
    fd = world_open(w, RESTRICTED, &server);
    close(fd);
    close(server);
}

/* A socket that somebody put into the directory is replaced by ours, and so is a link, whose end
 * stays as it was. */
static void
what_lies_in_the_sockets_place_is_replaced(void **state)
{
    struct egress_world *w = *state;
    char path[160], canary[96];
    struct stat st;
    int server, fd;

    kill(w->proxy, SIGKILL);
    waitpid(w->proxy, NULL, 0);
    snprintf(path, sizeof(path), "%s/egress/" RESTRICTED "/proxy", w->dir);
    snprintf(canary, sizeof(canary), "%s/canary", w->dir);
    fclose(fopen(canary, "we"));
    chmod(canary, 0600);
    unlink(path);
    assert_int_equal(symlink(canary, path), 0);
    world_start(w);
    fd = world_open(w, RESTRICTED, &server);
    close(fd);
    close(server);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0666);
    assert_int_equal(stat(canary, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void
idle_tunnels_cost_little(void **state)
{
    static int fds[IDLE_TUNNELS], servers[IDLE_TUNNELS];
    struct egress_world *w = *state;
    long before = proxy_private_kib(w), after;

    for (int i = 0; i < IDLE_TUNNELS; i++)
        fds[i] = world_open(w, RESTRICTED, &servers[i]);
    after = proxy_private_kib(w);
    print_message("%d tunnels: %ld KiB, %ld KiB before\n", IDLE_TUNNELS, after, before);
    assert_true(after - before < IDLE_TUNNELS * TUNNEL_MAX_KIB);
    for (int i = 0; i < IDLE_TUNNELS; i++) {
        close(fds[i]);
        close(servers[i]);
    }
}

/* Whether the proxy comes to have at least and at most so many descriptors. */
static bool
has_descriptors(struct egress_world *w, size_t least, size_t most)
{
    for (int i = 0; i < WORLD_PATIENCE_SECONDS * 50; i++) {
        size_t count = proxy_descriptors(w);

        if (count >= least && count <= most)
            return true;
        poll(NULL, 0, 20);
    }
    return false;
}

static void
connections_leave_nothing_behind(void **state)
{
    struct egress_world *w = *state;
    size_t before = 0;

    for (int i = 0; i < MANY_CONNECTIONS + 10; i++) {
        int server, fd;

        if (i == 10)
            before = proxy_descriptors(w);
        if (i % 3 == 0) {
            ask(w, RESTRICTED,
                "GET http://elsewhere.test/ HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n");
            continue;
        }
        fd = i % 3 == 1 ? world_open(w, RESTRICTED, &server) : world_tunnel(w, RESTRICTED, &server);
        close(fd);
        close(server);
    }
    assert_true(before > 0);
    assert_true(has_descriptors(w, 0, before));
}

/* How many doors the proxy has. */
static size_t
count_doors(struct egress_world *w)
{
    char path[128];
    const struct dirent *entry;
    size_t count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/" EGRESS_DIRECTORY, w->dir);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir))) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* Without descriptors, who comes waits, and nothing else breaks. */
static void
connections_wait_where_there_are_no_descriptors(void **state)
{
    struct egress_world *w = *state;
    struct pollfd waits = {.events = POLLIN};
    size_t before, room;
    int fds[24];

    kill(w->proxy, SIGTERM);
    waitpid(w->proxy, NULL, 0);
    w->descriptors_max = 100;
    room = (w->descriptors_max - PROXY_RESERVED_FDS - count_doors(w)) / 2 - 1;
    assert_true(room < ARRAY_LEN(fds));
    world_start(w);
    ask(w, FULL, "GET http://10.0.0.1/ HTTP/1.0\r\n\r\n"); /* the start's own has gone then */
    before = proxy_descriptors(w);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = world_come(w, RESTRICTED);
    assert_true(has_descriptors(w, before + room, SIZE_MAX));
    waits.fd = world_come(w, FULL);
    say(waits.fd, "%s", "GET http://10.0.0.1/ HTTP/1.0\r\n\r\n");
    assert_int_equal(poll(&waits, 1, 500), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    hear(w, waits.fd);
    assert_int_equal(strncmp(w->heard, "HTTP/1.1 403 ", 13), 0);
    close(waits.fd);
    kill(w->proxy, SIGTERM);
    waitpid(w->proxy, NULL, 0);
    w->descriptors_max = 0;
    world_start(w);
}

/* What the audit log says of one container and host. */
struct told {
    int64_t entries, attempts, sent, received;
};

static struct told
told_of(struct egress_world *w, const char *id, const char *command, int status)
{
    const struct audit_filter filter = {
        .container_id = id, .kind = AUDIT_NETWORK, .status = status, .limit = 500};
    struct audit_entry *list = NULL;
    struct told sum = {0};
    size_t count = 0;

    assert_int_equal(store_audit_list(w->store, &filter, &list, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        json_auto_t *details = json_loads(list[i].details, 0, NULL);

        if (strcmp(list[i].command, command) != 0)
            continue;
        assert_string_equal(list[i].owner, "alice");
        sum.entries++;
        sum.attempts += json_integer_value(json_object_get(details, "attempts"));
        sum.sent += json_integer_value(json_object_get(details, "bytes_sent"));
        sum.received += json_integer_value(json_object_get(details, "bytes_received"));
    }
    store_audit_list_free(list, count);
    return sum;
}

static void
every_attempt_is_in_the_audit_log(void **state)
{
    static const char id[] = "container_000000000010";
    struct egress_world *w = *state;
    char command[64];
    struct told told;
    int server, fd, status = -1;

    world_container(w, id, NETWORK_RESTRICTED);
    for (int i = 0; i < 50; i++)
        ask(w, id, "GET http://elsewhere.test/ HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n");
    ask(w, id, "GET http://allowed.test/ HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n");
    fd = world_open(w, id, &server);
    say(server, "0123456789");
    hear_until(w, fd, "0123456789");
    kill(w->proxy, SIGTERM); /* at its end, too, all is written */
    waitpid(w->proxy, &status, 0);
    assert_int_equal(status, 0);
    close(fd);
    close(server);
    told = told_of(w, id, "elsewhere.test:80", AUDIT_REFUSED);
    assert_int_equal(told.attempts, 50);
    assert_true(told.entries <= 3); /* 2, or 3 where a minute ended meanwhile */
    assert_int_equal(told_of(w, id, "allowed.test:80", AUDIT_REFUSED).attempts, 1);
    snprintf(command, sizeof(command), "allowed.test:%u", w->tls_port);
    told = told_of(w, id, command, AUDIT_COMPLETED);
    assert_int_equal(told.attempts, 1);
    assert_true(told.sent > 10);
    assert_int_equal(told.received, 10);
    world_start(w);
}

/* Who writes to the database for long does not keep connections waiting. */
static void
a_busy_database_holds_nobody_up(void **state)
{
    static const char id[] = "container_000000000011";
    struct egress_world *w = *state;
    _cleanup_(shared_unlock) pthread_mutex_t *writer = NULL;
    int server, fd;

    world_container(w, id, NETWORK_RESTRICTED);
    assert_int_equal(shared_lock(w->shared, SHARED_LOCK_WRITER, NULL, 10000, &writer, NULL), 0);
    for (int i = 0; i < 50; i++) {
        ask(w, id, "GET http://h%d.elsewhere.test/ HTTP/1.0\r\n\r\n", i);
        assert_int_equal(strncmp(w->heard, "HTTP/1.1 403 ", 13), 0);
    }
    fd = world_open(w, id, &server);
    say(server, "on");
    hear_until(w, fd, "on");
    assert_int_equal(told_of(w, id, "h0.elsewhere.test:80", AUDIT_REFUSED).entries, 0);
    shared_unlock(&writer);
    for (int i = 0; told_of(w, id, "h49.elsewhere.test:80", AUDIT_REFUSED).attempts == 0; i++) {
        assert_true(i < WORLD_PATIENCE_SECONDS * 50);
        poll(NULL, 0, 20);
    }
    close(fd);
    close(server);
}

static void
without_its_database_nothing_passes(void **state)
{
    struct egress_world *w = *state;
    int server, fd = world_open(w, RESTRICTED, &server);
    char from[96], to[96];

    snprintf(from, sizeof(from), "%s/sandbox.db", w->dir);
    snprintf(to, sizeof(to), "%s/elsewhere.db", w->dir);
    assert_int_equal(rename(from, to), 0);
    assert_true(ends(fd));
    close(fd);
    close(server);
    ask(w, RESTRICTED, REQUEST);
    assert_int_equal(strncmp(w->heard, "HTTP/1.1 503 ", 13), 0);
    assert_int_equal(access(from, F_OK), -1); /* and no empty one is made */
    fclose(fopen(from, "we"));                /* another one in its place is none, either */
    ask(w, RESTRICTED, REQUEST);
    assert_int_equal(strncmp(w->heard, "HTTP/1.1 503 ", 13), 0);
    assert_int_equal(rename(to, from), 0);
    ask_until(w, RESTRICTED, "GET http://elsewhere.test/ HTTP/1.0\r\n\r\n", "403");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_the_policy_closes_what_it_forbids),
        cmocka_unit_test(a_change_leaves_what_it_allows),
        cmocka_unit_test(a_change_reaches_a_request_in_its_dial),
        cmocka_unit_test(the_end_of_a_container_closes_its_connections),
        cmocka_unit_test(connections_of_a_container_are_limited),
        cmocka_unit_test(bytes_of_a_container_are_limited),
        cmocka_unit_test(a_proxy_that_was_killed_comes_back),
        cmocka_unit_test(what_lies_in_the_sockets_place_is_replaced),
        cmocka_unit_test(idle_tunnels_cost_little),
        cmocka_unit_test(connections_leave_nothing_behind),
        cmocka_unit_test(connections_wait_where_there_are_no_descriptors),
        cmocka_unit_test(every_attempt_is_in_the_audit_log),
        cmocka_unit_test(a_busy_database_holds_nobody_up),
        cmocka_unit_test(without_its_database_nothing_passes),
    };

    world_isolate();
    return cmocka_run_group_tests_name("egress upkeep", tests, setup, teardown);
}
