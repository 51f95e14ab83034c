/* fcgi/dispatcher.c and request.c: what is made of the bytes of a connection, good and bad. */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/cleanup.h"
#include "tests/unit/fastcgi_client.h"

/* One after the other on a connection; each leaves it fit for the next. */
static void
test_kept_connection(void **state)
{
    static const struct {
        struct ask ask;
        const char *head, *part;
    } cases[] = {
        {{.user = "ada"}, "Status: 200 OK\r\n", "ETag: \"7\"\r\n"},
        {{.user = "ada"},
         "Status: 200 OK\r\n",
         "Content-Type: application/json; charset=utf-8\r\nContent-Length: 31\r\n"},
        {{.method = "HEAD", .user = "ada"}, "Status: 200 OK\r\n", "Content-Length: 31\r\n"},
        {{.method = "POST",
          .uri = "/api/sandbox/text",
          .user = "ada",
          .type = "application/json",
          .body = "{\"text\":\"abc\"}"},
         "Status: 201 Created\r\n",
         "\r\n\r\n{\"length\":3}"},
        {{.method = "POST", .uri = "/api/sandbox/text", .user = "ada"},
         "Status: 201 Created\r\n",
         "\r\n\r\n{\"length\":-1}"},
        {{.method = "DELETE", .uri = "/api/sandbox/text", .user = "ada"},
         "Status: 204 No Content\r\nX-Request-Id: ",
         "\r\n\r\n"},
        {{.method = "POST",
          .uri = "/api/sandbox/text",
          .user = "ada",
          .type = "application/json",
          .body = "{"},
         "Status: 400 ",
         "\"code\":\"bad_json\""},
        {{.method = "POST",
          .uri = "/api/sandbox/text",
          .user = "ada",
          .type = "application/json",
          .body = "{\"text\":7}"},
         "Status: 422 ",
         "\"errors\":[{\"pointer\":\"/text\""},
        {{.method = "POST",
          .uri = "/api/sandbox/text",
          .user = "ada",
          .type = "application/json",
          .length = "20",
          .body = "{}"},
         "Status: 400 ",
         "2 bytes where 20 were"},
        {{.method = "POST",
          .uri = "/api/sandbox/text",
          .user = "ada",
          .type = "application/json",
          .length = "1",
          .body = "{}"},
         "Status: 400 ",
         "2 bytes where 1 were"},
        {{.method = "POST", .uri = "/api/sandbox/text", .user = "ada", .length = "x", .body = "{}"},
         "Status: 400 ",
         "\"code\":\"bad_query\""},
        {{.user = NULL},
         "Status: 401 Unauthorized\r\n",
         "WWW-Authenticate: Basic realm=\"sandbox\"\r\n"},
        {{.user = "ada", .second_user = "ada"},
         "Status: 401 ",
         "Content-Type: application/problem+json\r\n"},
        {{.user = "eve"}, "Status: 403 ", "\"code\":\"forbidden\""},
        {{.uri = "/", .user = "ada"}, "Status: 404 ", "\"code\":\"not_found\""},
        {{.method = "PUT", .user = "ada"}, "Status: 405 ", "Allow: GET, HEAD\r\n"},
        {{.uri = "/api/sandbox/big", .user = "ada"}, "Status: 200 OK\r\n", "\"0123456789abcdef\"]"},
        {{.user = "ada", .once = true}, "Status: 200 OK\r\n", "ada"},
    };
    _cleanup_(closep) int fd = dial(LANE_CONTROL);
    _cleanup_(buf_done) struct buf out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu\n", i);
        assert_true(exchange(fd, &cases[i].ask, &out));
        assert_answer(&out, cases[i].head, cases[i].part);
        if (cases[i].ask.method && strcmp(cases[i].ask.method, "HEAD") == 0)
            assert_string_equal(out.data + out.len - 4, "\r\n\r\n");
    }
    assert_closed(fd);
}

/* Names and values of 128 bytes and more, lengths in four bytes, records of every size. */
static void
test_param_forms(void **state)
{
    static const struct {
        bool long_form;
        size_t filler, chunk;
    } cases[] = {{false, 1, 32768}, {true, 1, 32768}, {false, 127, 5},
                 {false, 128, 1},   {true, 129, 3},   {false, 20000, 4096}};
    const struct ask ask = {.user = "ada"};
    _cleanup_(closep) int fd = dial(LANE_CONTROL);
    _cleanup_(buf_done) struct buf out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(buf_done) struct buf params, b;
        char *filler = calloc(1, cases[i].filler + 1);

        print_message("case %zu\n", i);
        memset(filler, 'F', cases[i].filler);
        buf_init(&params, 1 << 20);
        buf_init(&b, 1 << 22);
        put_param(&params, filler, filler, cases[i].long_form);
        put_params(&params, &ask, 0, cases[i].long_form);
        put_param(&params, filler, "", cases[i].long_form);
        free(filler);
        put_begin(&b, true);
        put_stream(&b, PARAMS, params.data, params.len, cases[i].chunk);
        put_stream(&b, STDIN, "", 0, 1);
        assert_true(send_all(fd, &b));
        assert_true(read_answer(fd, &out));
        assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
    }
}

/* Each byte in a segment of its own. */
static void
test_byte_by_byte(void **state)
{
    const struct ask ask = {.method = "POST",
                            .uri = "/api/sandbox/text",
                            .user = "ada",
                            .type = "application/json",
                            .body = "{\"text\":\"abc\"}"};
    _cleanup_(closep) int fd = dial(LANE_EXECUTION);
    _cleanup_(buf_done) struct buf b, out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    buf_init(&b, 1 << 16);
    put_request(&b, &ask);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(send(fd, b.data + i, 1, MSG_NOSIGNAL), 1);
    assert_true(read_answer(fd, &out));
    assert_answer(&out, "Status: 201 ", "{\"length\":3}");
}

/* A good request that breaks off after each of its bytes. */
static void
test_unfinished(void **state)
{
    const struct ask ask = {.method = "POST",
                            .uri = "/api/sandbox/text",
                            .user = "ada",
                            .type = "application/json",
                            .body = "{}"};
    _cleanup_(buf_done) struct buf b;
    size_t whole;

    (void)state;
    buf_init(&b, 1 << 16);
    put_request(&b, &ask);
    whole = b.len;
    for (b.len = 0; b.len < whole; b.len += 3) {
        _cleanup_(closep) int fd = dial(LANE_CONTROL);

        assert_true(send_all(fd, &b));
        shutdown(fd, SHUT_WR);
        assert_dropped(fd);
    }
    assert_alive(LANE_CONTROL);
}

static void
test_garbage(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27},
        {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16},
        {"\2\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0", 16},                 /* version 2 */
        {"\1\1\0\0\0\10\0\0\0\1\1\0\0\0\0\0", 16},                 /* request 0 */
        {"\1\1\0\1\0\7\0\0\0\1\1\0\0\0\0", 15},                    /* a begin that is too short */
        {"\1\1\0\1\0\10\0\0\0\11\1\0\0\0\0\0", 16},                /* no such role */
        {"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\5\0\1\0\0\0\0", 24}, /* stdin before params */
        {"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\2\0\1\0\0\0\0", 24}, /* abort */
        {"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\4\0\1\0\4\0\0\xff\xff\xff\xff",
         28}, /* a name of 2 GiB */
        {"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\4\0\1\0\3\0\0\5\5x\1\4\0\1\0\0\0\0",
         35}, /* params cut off */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(closep) int fd = dial(LANE_CONTROL);

        print_message("case %zu\n", i);
        assert_int_equal(send(fd, cases[i].bytes, cases[i].len, MSG_NOSIGNAL), cases[i].len);
        shutdown(fd, SHUT_WR);
        assert_dropped(fd);
    }
    assert_alive(LANE_CONTROL);
}

/* The question that some servers ask before a request. */
static void
test_get_values(void **state)
{
    static const char question[] = "\1\11\0\0\0\21\0\0\17\0FCGI_MPXS_CONNS";
    const struct ask ask = {.user = "ada"};
    _cleanup_(closep) int fd = dial(LANE_CONTROL);
    _cleanup_(buf_done) struct buf out;

    (void)state;
    buf_init(&out, ANSWER_MAX);
    assert_int_equal(send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL), sizeof(question) - 1);
    assert_true(exchange(fd, &ask, &out));
    assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
}

/* Too large is answered, and the connection kept while what came was not endless. */
static void
test_large_body(void **state)
{
    static const struct {
        size_t len;
        const char *length;
        const char *head;
        bool kept;
    } cases[] = {
        {1 << 20, NULL, "Status: 400 ", true},     {(1 << 20) + 1, NULL, "Status: 413 ", true},
        {(1 << 20) + 1, "", "Status: 413 ", true}, {3 << 20, "5", "Status: 413 ", true},
        {20 << 20, NULL, "Status: 413 ", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *body = calloc(1, cases[i].len);
        const struct ask large = {.method = "POST",
                                  .uri = "/api/sandbox/text",
                                  .user = "ada",
                                  .type = "application/json",
                                  .length = cases[i].length,
                                  .body = body,
                                  .body_len = cases[i].len};
        const struct ask next = {.user = "ada"};
        _cleanup_(closep) int fd = dial(LANE_CONTROL);
        _cleanup_(buf_done) struct buf out;

        print_message("case %zu\n", i);
        buf_init(&out, ANSWER_MAX);
        assert_true(exchange(fd, &large, &out));
        assert_answer(&out, cases[i].head, "\"code\":\"");
        free(body);
        if (cases[i].kept) {
            assert_true(exchange(fd, &next, &out));
            assert_answer(&out, "Status: 200 OK\r\n", "\"user\":\"ada\"");
        } else {
            assert_closed(fd);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_connection, worker_setup, worker_teardown),
        cmocka_unit_test_setup_teardown(test_param_forms, worker_setup, worker_teardown),
        cmocka_unit_test_setup_teardown(test_byte_by_byte, worker_setup, worker_teardown),
        cmocka_unit_test_setup_teardown(test_unfinished, worker_setup, worker_teardown),
        cmocka_unit_test_setup_teardown(test_garbage, worker_setup, worker_teardown),
        cmocka_unit_test_setup_teardown(test_get_values, worker_setup, worker_teardown),
        cmocka_unit_test_setup_teardown(test_large_body, worker_setup, worker_teardown),
    };

    return cmocka_run_group_tests_name("fastcgi", tests, NULL, NULL);
}
