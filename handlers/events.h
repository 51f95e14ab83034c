/*
 * An execution as the client sees it happen: server-sent events (WHATWG HTML, 9.2) or a JSON object
 * a line (NDJSON). `started`, any number of `stdout` and `stderr`, then `exit`, or `error` with a
 * problem where our side failed; and a ping whenever nothing was said for a while, so that nobody
 * on the way takes the connection for dead. What fails before `started` is an ordinary answer.
 */
#ifndef HANDLERS_EVENTS_H
#define HANDLERS_EVENTS_H

#include "backend/buf.h"
#include "backend/command.h"
#include "backend/utf8.h"
#include "handlers/handler.h"

enum { EVENTS_PING_MS = 15000 };

/* Lifetime: request. */
struct events {
    struct stream *stream; /* NULL: the client did not ask for events */
    enum accept form;
    struct command_observer observer;
    bool over;                       /* `exit` has been told */
    const struct audit_entry *entry; /* borrowed from the execution while it runs */
    struct {
        uint64_t told;       /* bytes in the events so far */
        char held[UTF8_MAX]; /* the beginning of a sequence, for the next piece */
        size_t held_len;
    } output[2];      /* by enum guest_stream */
    struct buf piece; /* held bytes and what follows them */
    struct buf text;  /* of one event */
};

/* Prepare to tell the client of @req what happens, if that is what it accepts. */
void events_init(struct events *e, const struct request *req);

/* Free what @e holds. */
void events_done(struct events *e);

/* Who is to hear of the execution: @e, or NULL if the client did not ask for events. */
const struct command_observer *events_observer(const struct events *e);

/* Our side has failed, as @err says: tell it, if the stream has begun and has not ended. */
void events_error(struct events *e, const struct error *err);

#endif
