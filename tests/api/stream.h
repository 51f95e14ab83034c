/*
 * Answers that come in pieces: a request in a thread of its own, on a connection of its own, whose
 * events are taken apart as they arrive, with the time at which they did.
 */
#ifndef TESTS_API_STREAM_H
#define TESTS_API_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/api/client.h"

#define EVENTS "text/event-stream"
#define LINES "application/x-ndjson"

/* One event, or the comment that is a ping. */
struct stream_event {
    double at; /* seconds since the request was sent */
    char type[16];
    char id[48];  /* "" where there is none */
    json_t *data; /* owned; NULL for a comment */
};

/* All that came. stream_log_done() frees what it owns. */
struct stream_log {
    struct reply reply; /* status and headers; the body where it is no stream */
    struct stream_event *events;
    size_t count;
    double ended_at; /* seconds since the request was sent */
};

struct streaming;

/* POST @path as @user, accepting @accept, with a body made by a jansson format. */
struct streaming *streaming_post(const char *user, const char *path, const char *accept,
                                 const char *format, ...);

/* Wait until there have been @count events of @type; fails the test if it ends without, or after a
 * minute. */
void streaming_wait(struct streaming *s, const char *type, size_t count);

/* How many events of @type there have been. */
size_t streaming_count(struct streaming *s, const char *type);

/* Do not read from the connection any more; and again. */
void streaming_hold(struct streaming *s);
void streaming_go_on(struct streaming *s);

/* A member, a string, of the first `started` event, which has come. */
void streaming_started(struct streaming *s, const char *member, char *out, size_t size);

/* Wait for the end. Frees @s. */
struct stream_log streaming_land(struct streaming *s);

/* Close the connection. Frees @s. */
void streaming_abort(struct streaming *s);

void stream_log_done(struct stream_log *log);

/* The nth (from 0) event of @type; fails the test if there is none. */
const struct stream_event *stream_nth(const struct stream_log *log, const char *type, size_t n);

/* How many events of @type there are. */
size_t stream_count(const struct stream_log *log, const char *type);

/* All bytes of the events of @type joined, *ret_len of them and a NUL; the caller frees. */
char *stream_bytes(const struct stream_log *log, const char *type, size_t *ret_len);

/* Fail the test unless the bytes of the events of @type are the text @expected. */
void assert_streamed(const struct stream_log *log, const char *type, const char *expected);

/* The data of the last event, which has to be of @type, as a reply for text_at() and its like:
 * borrowed from @log. */
struct reply stream_last(const struct stream_log *log, const char *type);

#endif
