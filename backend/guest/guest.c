/* The host's side of an execution, request and result: see guest.h. */
#include "backend/guest/guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/buf.h"
#include "backend/guest/conversation.h"
#include "backend/guest/protocol.h"
#include "backend/guest/result.h"

enum {
    NAME_SHOWN = 80,      /* bytes of a name in a message */
    EXIT_NOT_FOUND = 127, /* what a shell says of a program that is not there, */
    EXIT_CANNOT = 126     /* and of one that is, but cannot be run */
};

static const int64_t timeout_max_ms = INT64_C(1) << 40;

static void
conversation_done(struct conversation *c)
{
    buf_done(&c->request);
}

static int
append_string(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s) + 1);
}

/* Append the strings of @list (may be NULL) and count them. */
static int
append_list(struct buf *b, const char *const *list, uint32_t *ret_count)
{
    uint32_t n;
    int r;

    for (n = 0; list && list[n]; n++) {
        r = append_string(b, list[n]);
        if (r < 0)
            return r;
    }
    *ret_count = n;
    return 0;
}

/* Put the request's bytes, without the input, into @b. @cap is 0 unless it is a detached one. */
static int
build_request(struct buf *b, const struct guest_command *command, size_t cap, struct error *err)
{
    struct guest_request head = {
        .magic = GUEST_REQUEST_MAGIC,
        .flags = cap > 0 ? GUEST_DETACHED : 0,
        .timeout_ms = command->timeout_ms,
        .input_len = command->input ? command->input_len : 0,
        .id = command->id,
        .cap = cap,
    };
    int r;

    buf_init(b, sizeof(struct guest_request) + GUEST_BODY_MAX);
    r = buf_append(b, &head, sizeof(head));
    if (r == 0)
        r = append_string(b, command->cwd ? command->cwd : "");
    if (r == 0)
        r = append_list(b, command->argv, &head.argc);
    if (r == 0)
        r = append_list(b, command->env, &head.envc);
    if (r == -EMSGSIZE)
        return error_set(err, ERR_VALIDATION, "command and environment are larger than 2 MiB");
    if (r < 0)
        return guest_bad_errno(err, -r, "building a request for the guest");
    head.body_len = (uint32_t)(b->len - sizeof(head));
    memcpy(b->data, &head, sizeof(head));
    return 0;
}

/* Check what EXIT says, and pass it on. */
static int
take_exit(const struct conversation *c, struct guest_result *ret, struct error *err)
{
    if (!guest_result_take(&c->payload.exit, ret) || (ret->end == GUEST_CANCELLED && !c->cancelled))
        return guest_bad(err, "the guest reported an impossible end");
    return 0;
}

/* How much of @s fits a message without cutting a character in two. */
static int
clip(const char *s)
{
    size_t len = strnlen(s, NAME_SHOWN);

    while (len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80)
        len--;
    return (int)len;
}

/*
 * The command could not be started: as a shell does, that is a status of 127 or 126 and a word on
 * stderr, @what and the name it is about.
 */
static int
not_started(struct conversation *c, int status, const char *what, const char *name, const char *why,
            struct guest_result *ret, struct error *err)
{
    char text[256];
    int len = snprintf(text, sizeof(text), "%s '%.*s': %s\n", what, clip(name), name, why);
    int r = conversation_output(c, GUEST_STDERR, text, (size_t)len, err);

    if (r < 0)
        return r;
    *ret = (struct guest_result){.end = GUEST_EXITED, .exit_code = status};
    return 0;
}

/* Say why nothing was run. */
static int
take_failure(struct conversation *c, const struct guest_command *command, struct guest_result *ret,
             struct error *err)
{
    const struct guest_failure *f = &c->payload.failure;
    const char *cwd = command->cwd ? command->cwd : "";
    char text[96];
    const char *why;

    if (f->error <= 0)
        return guest_bad(err, "the guest reported an impossible failure");
    why = strerror_r(f->error, text, sizeof(text));
    switch (f->stage) {
    case GUEST_STAGE_FORK:
        if (f->error == EAGAIN)
            return error_set(err, ERR_PROCESS_LIMIT,
                             "the container has reached its limit of processes");
        return error_set(err, ERR_PROCESS_LIMIT, "the container cannot make a process: %s", why);
    case GUEST_STAGE_CWD:
        return not_started(c, EXIT_CANNOT, "cannot enter the working directory", cwd, why, ret,
                           err);
    case GUEST_STAGE_EXEC:
        return not_started(c, f->error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT, "cannot execute",
                           command->argv[0], why, ret, err);
    case GUEST_STAGE_SPOOL:
        return error_set(err, ERR_INTERNAL, "there is no place for the command's output: %s", why);
    case GUEST_STAGE_REQUEST:
    case GUEST_STAGE_IDENTITY:
        return guest_bad_errno(err, f->error, "the guest refused the request");
    default:
        return guest_bad(err, "the guest reported an impossible failure");
    }
}

int
guest_run(int fd, const struct guest_command *command, struct capture *out, struct capture *errout,
          struct guest_result *ret, struct error *err)
{
    _cleanup_(conversation_done) struct conversation c = {
        .fd = fd,
        .cancel_fd = command->cancel_fd,
        .sink = command->sink,
        .timeout_ms = command->timeout_ms < timeout_max_ms ? command->timeout_ms : timeout_max_ms,
        .input = command->input,
        .input_len = command->input ? command->input_len : 0,
        .out = out,
        .errout = errout,
    };
    int r = build_request(&c.request, command, 0, err);

    if (r < 0)
        return r;
    r = conversation_hold(&c, err);
    if (r < 0)
        return r;
    if (c.frame.type == GUEST_FRAME_FAILED)
        return take_failure(&c, command, ret, err);
    return take_exit(&c, ret, err);
}

int
guest_detach(int fd, const struct guest_command *command, size_t cap, struct capture *errout,
             bool *ret_ended, struct guest_result *ret, struct error *err)
{
    _cleanup_(conversation_done) struct conversation c = {
        .fd = fd,
        .cancel_fd = -1,
        .detached = true,
        .input = command->input,
        .input_len = command->input ? command->input_len : 0,
        .errout = errout,
    };
    int r;

    if (command->id == 0 || cap < 2 || cap > GUEST_SPOOL_CAP_MAX)
        return error_errno(err, EINVAL, "guest_detach");
    r = build_request(&c.request, command, cap, err);
    if (r < 0)
        return r;
    r = conversation_hold(&c, err);
    if (r < 0)
        return r;
    if (c.frame.type == GUEST_FRAME_FAILED)
        r = take_failure(&c, command, ret, err);
    if (r == 0)
        *ret_ended = c.frame.type == GUEST_FRAME_FAILED;
    return r;
}
