/* fcgi/worker.c: whom it serves, how many at a time, and how it ends. */
#include "tests/test.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/unit/fastcgi_client.h"

/* More silent connections than threads, new ones and kept ones, on both lanes: nobody waits for
 * them. */
static void
test_silent_peers(void **state)
{
    const struct ask ask = {.user = "ada"};
    int fds[24];
    _cleanup_(buf_done) struct buf out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial(i % 2 ? LANE_EXECUTION : LANE_CONTROL);
        if (i % 3 == 0)
            assert_true(exchange(fds[i], &ask, &out));
    }
    assert_alive(LANE_CONTROL);
    assert_alive(LANE_EXECUTION);
    /* They can still speak. */
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        assert_true(exchange(fds[i], &ask, &out));
        assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
        close(fds[i]);
    }
}

/* Only accounts in allowed_peers are spoken with. It takes root to try as another. */
static void
test_wrong_peer(void **state)
{
    const struct ask ask = {.user = "ada"};
    int status = 0;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    pid = fork();
    if (pid == 0) {
        struct buf out;
        int fd;

        if (setresuid(65534, 65534, 65534) < 0)
            _exit(2);
        fd = dial(LANE_CONTROL);
        buf_init(&out, ANSWER_MAX);
        _exit(exchange(fd, &ask, &out) ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_alive(LANE_CONTROL);
}

/* Every execution thread is busy: the next is told so at once, and quick requests do not notice. */
static void
test_overload(void **state)
{
    const struct ask wait = {.uri = "/api/sandbox/wait", .user = "ada"};
    const struct ask quick = {.user = "ada"};
    _cleanup_(closep) int busy = dial(LANE_EXECUTION);
    _cleanup_(closep) int late = dial(LANE_EXECUTION);
    _cleanup_(buf_done) struct buf b, out;
    char byte;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    buf_init(&b, 1 << 16);
    put_request(&b, &wait);
    assert_true(send_all(busy, &b));
    assert_int_equal(read(server.entered[0], &byte, 1), 1);
    for (int i = 0; i < 3; i++) {
        assert_true(exchange(late, &wait, &out));
        assert_answer(&out, "Status: 503 Service Unavailable\r\n", "Retry-After: 1\r\n");
        assert_answer(&out, "Status: 503 ", "\"code\":\"overloaded\"");
        assert_alive(LANE_CONTROL);
    }
    assert_int_equal(write(server.leave[1], &byte, 1), 1);
    assert_true(read_answer(busy, &out));
    assert_answer(&out, "Status: 200 OK\r\n", "{}");
    /* Who has the answer finds the thread free, and the refused connection is still good. */
    assert_true(exchange(late, &quick, &out));
    assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
}

/* TERM: what runs is answered, kept connections get one more answer, then the worker ends. */
static void
test_drain(void **state)
{
    const struct ask wait = {.uri = "/api/sandbox/wait", .user = "ada"};
    const struct ask quick = {.user = "ada"};
    _cleanup_(closep) int busy = dial(LANE_EXECUTION);
    _cleanup_(closep) int kept = dial(LANE_CONTROL);
    _cleanup_(closep) int idle = dial(LANE_CONTROL);
    _cleanup_(buf_done) struct buf b, out;
    char byte;
    int status;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    buf_init(&b, 1 << 16);
    assert_true(exchange(kept, &quick, &out));
    assert_true(exchange(idle, &quick, &out));
    put_request(&b, &wait);
    assert_true(send_all(busy, &b));
    assert_int_equal(read(server.entered[0], &byte, 1), 1);

    kill(server.pid, SIGTERM);
    /* Until the signal has been taken in, the connection is kept after an answer. */
    while (exchange(kept, &quick, &out))
        assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
    assert_int_equal(waitpid(server.pid, &status, WNOHANG), 0);
    assert_int_equal(write(server.leave[1], &byte, 1), 1);
    assert_true(read_answer(busy, &out));
    assert_answer(&out, "Status: 200 OK\r\n", "{}");
    assert_closed(busy);
    assert_closed(idle);
    assert_int_equal(waitpid(server.pid, &status, 0), server.pid);
    assert_int_equal(status, 0);
    server.pid = 0;
}

/* A client that goes away is seen by the handler, more often than there are threads. */
static void
test_client_gone(void **state)
{
    const struct ask ask = {.uri = "/api/sandbox/until-gone", .user = "ada"};
    _cleanup_(buf_done) struct buf b;
    char byte;

    (void)state;
    buf_init(&b, 1 << 16);
    put_request(&b, &ask);
    for (int i = 0; i < 6; i++) {
        int fd = dial(LANE_CONTROL);

        assert_true(send_all(fd, &b));
        assert_int_equal(read(server.entered[0], &byte, 1), 1);
        close(fd);
        assert_int_equal(read(server.entered[0], &byte, 1), 1);
    }
    assert_alive(LANE_CONTROL);
}

/* HUP: a user who is new in the YAML is let in; a file that is broken changes nothing. */
static void
test_reload(void **state)
{
    const struct ask ask = {.user = "eve"};
    _cleanup_(closep) int fd = dial(LANE_CONTROL);
    _cleanup_(buf_done) struct buf out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    assert_true(exchange(fd, &ask, &out));
    assert_answer(&out, "Status: 403 ", "\"code\":\"forbidden\"");
    worker_write("yaml/access.yaml", "users:\n  eve: {role: viewer}\n");
    kill(server.pid, SIGHUP);
    do {
        assert_true(exchange(fd, &ask, &out));
    } while (strncmp(out.data, "Status: 403 ", 12) == 0);
    assert_answer(&out, "Status: 200 ", "\"user\":\"eve\"");
    worker_write("yaml/access.yaml", "users: [\n");
    kill(server.pid, SIGHUP);
    for (int i = 0; i < 50; i++)
        assert_true(exchange(fd, &ask, &out));
    assert_answer(&out, "Status: 200 ", "\"user\":\"eve\"");
}

/* Whatever else is busy, nginx is told who sends a request. */
static void
test_authentication_waits_for_nobody(void **state)
{
    const struct ask wait = {.uri = "/api/sandbox/wait", .user = "ada"};
    const struct ask unknown = {.uri = "/api/sandbox/wait", .user = "ada", .length = "7"};
    static const enum lane lanes[] = {LANE_CONTROL, LANE_CONTROL, LANE_EXECUTION};
    _cleanup_(closep) int fd = dial(LANE_AUTHENTICATION);
    _cleanup_(buf_done) struct buf b, out;
    int busy[ARRAY_LEN(lanes)];
    char byte;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    buf_init(&b, 1 << 16);
    put_request(&b, &wait);
    for (size_t i = 0; i < ARRAY_LEN(lanes); i++) { /* that is every thread of both */
        busy[i] = dial(lanes[i]);
        assert_true(send_all(busy[i], &b));
        assert_int_equal(read(server.entered[0], &byte, 1), 1);
    }
    for (int i = 0; i < 3; i++) { /* over one connection, and whatever is said of a body */
        assert_true(exchange(fd, &unknown, &out));
        assert_answer(&out, "Status: 401 ", "WWW-Authenticate: Bearer realm=\"sandbox\"\r\n");
        assert_null(strstr(out.data, "X-Sandbox-User"));
    }
    for (size_t i = 0; i < ARRAY_LEN(lanes); i++)
        assert_int_equal(write(server.leave[1], &byte, 1), 1);
    for (size_t i = 0; i < ARRAY_LEN(lanes); i++) {
        assert_true(read_answer(busy[i], &out));
        close(busy[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_silent_peers, worker_setup, worker_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_peer, worker_setup, worker_teardown),
        cmocka_unit_test_setup_teardown(test_overload, worker_setup, worker_teardown),
        cmocka_unit_test_setup_teardown(test_authentication_waits_for_nobody, worker_setup,
                                        worker_teardown),
        cmocka_unit_test_setup_teardown(test_drain, worker_setup, worker_teardown),
        cmocka_unit_test_setup_teardown(test_client_gone, worker_setup, worker_teardown),
        cmocka_unit_test_setup_teardown(test_reload, worker_setup, worker_teardown),
    };

    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
