/* FastCGI byte by byte, well or badly, as nginx of the worker under test (FastCGI 1.0). */
#ifndef TESTS_UNIT_FASTCGI_CLIENT_H
#define TESTS_UNIT_FASTCGI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/buf.h"
#include "tests/unit/fastcgi_worker.h"

enum { PARAMS = 4, STDIN = 5 }; /* types of records */
enum { ANSWER_MAX = 4 << 20 };

/* What nginx would send; NULLs are left out. */
struct ask {
    const char *method, *uri, *user, *second_user, *type, *length, *body;
    size_t body_len; /* 0: strlen(body) */
    bool once;       /* do not keep the connection */
};

/* A new connection to @lane of the worker; the caller closes it. */
int dial(enum lane lane);

/* Append the record that begins a request. */
void put_begin(struct buf *b, bool keep);

/* Append a parameter, its lengths in four bytes each if @long_form. */
void put_param(struct buf *b, const char *name, const char *value, bool long_form);

/* Append the parameters of @a. */
void put_params(struct buf *b, const struct ask *a, size_t body_len, bool long_form);

/* Append a stream of records of at most @chunk bytes, and its end. */
void put_stream(struct buf *b, int type, const char *data, size_t len, size_t chunk);

/* Append the whole request @a. */
void put_request(struct buf *b, const struct ask *a);

/* Whether all of @b could be sent; a server may close before it has read everything. */
bool send_all(int fd, const struct buf *b);

/* Read one answer's stdout. False if the connection ended before it did. */
bool read_answer(int fd, struct buf *out);

/* Send @a and read its answer. */
bool exchange(int fd, const struct ask *a, struct buf *out);

/* Fail unless @out begins with @head and has @part in it. */
void assert_answer(const struct buf *out, const char *head, const char *part);

/* Fail unless the worker answers on a new connection of @lane. */
void assert_alive(enum lane lane);

/* Fail unless the worker has closed @fd. */
void assert_closed(int fd);

/* Fail unless the worker closes @fd without an answer; it may still say that the request is over.
 */
void assert_dropped(int fd);

#endif
