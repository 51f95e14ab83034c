/* Output from given bytes on: see output.h. */
#include "backend/output.h"

#include <errno.h>
#include <string.h>

#include "backend/audit.h"
#include "backend/container.h"
#include "backend/guest/spool.h"
#include "backend/store/store.h"
#include "backend/utf8.h"

enum { PATH_SIZE = 4096, ATTEMPTS = 2 };

void
output_done(struct output *o)
{
    audit_entry_done(&o->entry);
    audit_output_done(&o->kept);
}

/*
 * Cut @text, of *@len bytes with a head of @head and a tail up to the stream's end @total, to what
 * there is from @from on. Returns the offset of its first byte.
 */
static uint64_t
cut(char *text, size_t *len, size_t head, uint64_t total, uint64_t from)
{
    uint64_t tail_at = total - (*len - head);
    size_t skip;

    if (from > total)
        from = total;
    if (from >= head && from < tail_at)
        from = tail_at;
    skip = from < head ? (size_t)from : head + (size_t)(from - tail_at);
    *len -= skip;
    memmove(text, text + skip, *len);
    return from;
}

/* What is kept of one that has ended. */
static int
read_stored(struct backend *b, const uint64_t from[2], struct output *o, struct error *err)
{
    struct audit_output *k = &o->kept;
    int r = store_audit_output(b->store, o->entry.seq, k, err);

    if (r < 0)
        return r;
    o->next[GUEST_STDOUT] = o->entry.stdout_bytes;
    o->next[GUEST_STDERR] = o->entry.stderr_bytes;
    memcpy(o->from, o->next, sizeof(o->from));
    if (!k->out)
        return 0;
    o->from[GUEST_STDOUT] =
        cut(k->out, &k->out_len, k->out_head, o->next[GUEST_STDOUT], from[GUEST_STDOUT]);
    o->from[GUEST_STDERR] =
        cut(k->errout, &k->errout_len, k->errout_head, o->next[GUEST_STDERR], from[GUEST_STDERR]);
    return 0;
}

/* What the spool has of one stream. */
static int
read_stream(struct guest_spool *spool, enum guest_stream stream, uint64_t from, struct output *o,
            char **ret, size_t *ret_len, struct error *err)
{
    uint64_t total = 0;
    size_t head = 0, whole;
    int r = guest_spool_read(spool, stream, from, ret, ret_len, &head, &total, err);

    if (r < 0)
        return r;
    if (from > total)
        from = total;
    whole = utf8_trim_end(*ret, *ret_len);
    o->next[stream] = total - (*ret_len - whole);
    *ret_len = whole;
    if (head > whole)
        head = whole;
    if (o->next[stream] - from > *ret_len)
        utf8_mend(*ret, ret_len, &head);
    o->from[stream] = head > 0 ? from : o->next[stream] - *ret_len;
    return 0;
}

/* What there is of one that runs. -ENOENT: it has no spool (any more). */
static int
read_spool(struct backend *b, const uint64_t from[2], struct output *o, struct error *err)
{
    char directory[PATH_SIZE];
    _cleanup_(guest_spool_freep) struct guest_spool *spool = NULL;
    struct guest_spool_state state = {0};
    int r;

    container_guest_directory(b, o->entry.container_id, directory, sizeof(directory));
    r = guest_spool_open(directory, id_audit_number(o->entry.id), &spool, err);
    if (r == 0)
        r = read_stream(spool, GUEST_STDOUT, from[GUEST_STDOUT], o, &o->kept.out, &o->kept.out_len,
                        err);
    if (r == 0)
        r = read_stream(spool, GUEST_STDERR, from[GUEST_STDERR], o, &o->kept.errout,
                        &o->kept.errout_len, err);
    if (r == 0)
        r = guest_spool_state(spool, &state, err);
    if (r < 0)
        return r;
    o->entry.stdout_bytes = state.bytes[GUEST_STDOUT];
    o->entry.stderr_bytes = state.bytes[GUEST_STDERR];
    o->kept.out_truncated = o->entry.stdout_bytes > (uint64_t)o->entry.output_cap;
    o->kept.errout_truncated = o->entry.stderr_bytes > (uint64_t)o->entry.output_cap;
    return 0;
}

/* Read @o->entry's output from where it is now. */
static int
read_any(struct backend *b, const uint64_t from[2], struct output *o, struct error *err)
{
    if (o->entry.status != AUDIT_RUNNING)
        return read_stored(b, from, o, err);
    return o->entry.background ? read_spool(b, from, o, err) : 0; /* its client has it */
}

int
output_read(struct backend *b, const struct caller *caller, const char *id, const uint64_t from[2],
            struct output *ret, struct error *err)
{
    struct output o = {0};
    int r;

    for (int attempt = 1;; attempt++) {
        r = audit_get(b, caller, id, &o.entry, err);
        if (r < 0)
            return r;
        r = read_any(b, from, &o, err);
        if (r != -ENOENT)
            break;
        error_clear(err); /* no spool: the result was stored meanwhile, or it is being started */
        r = 0;
        if (attempt == ATTEMPTS)
            break;
        output_done(&o);
        o = (struct output){0};
    }
    if (r < 0)
        output_done(&o);
    else
        *ret = o;
    return r;
}
