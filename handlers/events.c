/* An execution as events: see events.h. */
#include "handlers/events.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "handlers/json.h"

enum {
    PIECE_MAX = 64 << 10,           /* bytes of output in one event */
    TEXT_MAX = 6 * PIECE_MAX + 4096 /* "\u0000" is the longest that JSON makes of a byte */
};

static const char *const stream_names[] = {[GUEST_STDOUT] = "stdout", [GUEST_STDERR] = "stderr"};

/* Send the event @type with @data, whose reference is taken; NULL: out of memory. */
static int
say(struct events *e, const char *type, json_t *data)
{
    json_auto_t *object = data;
    json_auto_t *typed = json_pack("{s:s}", "type", type);
    _cleanup_(freep) char *text = NULL;
    int r;

    if (!object || !typed || json_object_update(typed, object) < 0)
        return -ENOMEM;
    text = json_print(e->form == ACCEPT_LINES ? typed : object);
    if (!text)
        return -ENOMEM;
    buf_clear(&e->text);
    if (e->form == ACCEPT_LINES)
        r = buf_printf(&e->text, "%s\n", text);
    else
        r = buf_printf(&e->text, "event: %s\nid: %" PRIu64 ":%" PRIu64 "\ndata: %s\n\n", type,
                       e->output[GUEST_STDOUT].told, e->output[GUEST_STDERR].told, text);
    return r < 0 ? r : e->stream->write(e->stream, e->text.data, e->text.len);
}

/* Begin the answer. */
static int
start(struct events *e)
{
    const struct audit_entry *entry = e->entry;
    int r = e->stream->begin(e->stream, e->form == ACCEPT_LINES ? LINES_TYPE : EVENTS_TYPE);

    return r < 0
               ? r
               : say(e, "started",
                     json_pack("{s:s, s:s, s:o}", "id", entry->id, "container_id",
                               entry->container_id, "started_at", json_time(entry->started_at_ms)));
}

/* Tell @len bytes of @stream. */
static int
tell(struct events *e, enum guest_stream stream, const char *data, size_t len)
{
    const char *encoding;
    json_t *text = json_bytes(data, len, &encoding);

    e->output[stream].told += len;
    return say(e, stream_names[stream],
               json_pack("{s:o, s:s}", "data", text, "encoding", encoding));
}

/* Tell a piece of at most PIECE_MAX bytes, but hold back a sequence that it cuts. */
static int
tell_piece(struct events *e, enum guest_stream stream, const char *data, size_t len)
{
    char *held = e->output[stream].held;
    size_t *held_len = &e->output[stream].held_len;
    size_t whole;
    int r;

    buf_clear(&e->piece);
    r = buf_append(&e->piece, held, *held_len);
    if (r == 0)
        r = buf_append(&e->piece, data, len);
    if (r < 0)
        return r;
    whole = utf8_trim_end(e->piece.data, e->piece.len);
    *held_len = e->piece.len - whole;
    memcpy(held, e->piece.data + whole, *held_len);
    return whole > 0 ? tell(e, stream, e->piece.data, whole) : 0;
}

static int
tell_all(struct events *e, enum guest_stream stream, const char *data, size_t len)
{
    int r = 0;

    for (size_t at = 0; r == 0 && at < len; at += PIECE_MAX)
        r = tell_piece(e, stream, data + at, len - at < PIECE_MAX ? len - at : PIECE_MAX);
    return r;
}

/* Tell what was held back: nothing follows that could complete it. */
static int
flush(struct events *e)
{
    int r = 0;

    for (int i = GUEST_STDOUT; r == 0 && i <= GUEST_STDERR; i++) {
        size_t len = e->output[i].held_len;

        e->output[i].held_len = 0;
        if (len > 0)
            r = tell(e, (enum guest_stream)i, e->output[i].held, len);
    }
    return r;
}

static void
on_announced(void *arg, const struct audit_entry *entry)
{
    struct events *e = arg;

    e->entry = entry;
}

static int
on_started(void *arg)
{
    return start(arg);
}

static int
on_output(void *arg, enum guest_stream stream, const char *data, size_t len)
{
    struct events *e = arg;
    int r = e->stream->begun ? 0 : start(e);

    return r < 0 ? r : tell_all(e, stream, data, len);
}

static int
on_quiet(void *arg)
{
    static const char comment[] = ": ping\n\n";
    struct events *e = arg;

    if (!e->stream->begun)
        return 0;
    if (e->form == ACCEPT_LINES)
        return say(e, "ping", json_object());
    return e->stream->write(e->stream, comment, sizeof(comment) - 1);
}

/* Tell what has not been told: all of it, if it never started. Who has left needs none of it. */
static void
on_ended(void *arg, const struct audit_entry *entry, const struct audit_output *output)
{
    struct events *e = arg;
    int r = 0;

    if (!e->stream->begun) {
        r = start(e);
        if (r == 0)
            r = tell_all(e, GUEST_STDOUT, output->out, output->out_len);
        if (r == 0)
            r = tell_all(e, GUEST_STDERR, output->errout, output->errout_len);
    }
    if (r == 0)
        r = flush(e);
    if (r == 0)
        say(e, "exit", json_execution(entry, output));
    e->over = true;
}

void
events_init(struct events *e, const struct request *req)
{
    *e = (struct events){
        .stream = req->accept == ACCEPT_JSON ? NULL : req->stream,
        .form = req->accept,
        .observer = {.sink = {.arg = e,
                              .started = on_started,
                              .output = on_output,
                              .quiet = on_quiet,
                              .quiet_ms = EVENTS_PING_MS},
                     .announced = on_announced,
                     .ended = on_ended},
    };
    buf_init(&e->piece, PIECE_MAX + UTF8_MAX);
    buf_init(&e->text, TEXT_MAX);
}

void
events_done(struct events *e)
{
    buf_done(&e->piece);
    buf_done(&e->text);
}

const struct command_observer *
events_observer(const struct events *e)
{
    return e->stream ? &e->observer : NULL;
}

void
events_error(struct events *e, const struct error *err)
{
    if (e->stream && e->stream->begun && !e->over && flush(e) == 0)
        say(e, "error", e->stream->problem(e->stream, err));
}
