/* Talking to a guest about one execution, from the request's first byte to the last frame. */
#ifndef BACKEND_GUEST_CONVERSATION_H
#define BACKEND_GUEST_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/buf.h"
#include "backend/capture.h"
#include "backend/error.h"
#include "backend/guest/guest.h"
#include "backend/guest/protocol.h"

/* Lifetime: scope. */
struct conversation {
    /* Set by the caller, and borrowed. */
    int fd;
    int cancel_fd; /* -1: none, or it has cancelled */
    bool detached; /* it is over with STARTED */
    const struct guest_sink *sink;
    int64_t timeout_ms;
    struct buf request; /* without the input */
    const char *input;
    size_t input_len;
    struct capture *out;
    struct capture *errout;

    /* How it stands. */
    bool cancelled;
    bool sending; /* the guest still takes the request */
    bool started;
    bool done;                /* the last frame has come: of type frame.type, with payload */
    int64_t limit_ms;         /* when to give the guest up */
    int64_t lent_ms;          /* of it, what the sink has taken */
    int64_t quiet_at_ms;      /* when to say that nothing was heard */
    size_t sent;              /* of request and input together */
    struct guest_frame frame; /* the one that is coming in */
    size_t frame_have;        /* bytes of its head that are here */
    size_t payload_have;      /* and of its payload */
    union {
        struct guest_exit exit;
        struct guest_failure failure;
    } payload; /* of a frame that is not output */
};

/*
 * Send the request and take in what comes until the last frame, which is then in frame and payload.
 * Returns 0, or -EPROTO as guest_run().
 */
int conversation_hold(struct conversation *c, struct error *err);

/* Put @data on the captured stream, and let the sink hear of it. */
int conversation_output(struct conversation *c, enum guest_stream stream, const char *data,
                        size_t len, struct error *err);

/* The guest has gone bad, as @detail says. Returns -EPROTO. */
int guest_bad(struct error *err, const char *detail);

/* The same for a failed call. */
int guest_bad_errno(struct error *err, int errnum, const char *what);

#endif
