/* The broker's operations as they are asked for: see serve.h. */
#include "backend/broker/serve.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/broker/protocol.h"

enum { DISK_MAX_MB = 1 << 30 };

static bool
terminated(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool
check_id(const char *id)
{
    return terminated(id, CONTAINER_ID_SIZE) && id_is_container(id);
}

static bool
check_snapshot_id(const char *id)
{
    return terminated(id, SNAPSHOT_ID_SIZE) && id_is_snapshot(id);
}

/* Whether every string of @spec ends inside its array. */
static bool
spec_terminated(const struct engine_spec *s)
{
    return terminated(s->id, sizeof(s->id)) && terminated(s->owner, sizeof(s->owner)) &&
           terminated(s->workspace, sizeof(s->workspace)) &&
           terminated(s->image, sizeof(s->image)) && terminated(s->runtime, sizeof(s->runtime));
}

static int
refuse(struct error *err)
{
    return error_set(err, ERR_VALIDATION, "the broker does not accept this request");
}

/* Make room for an answer of @length bytes. */
static int
answer_alloc(struct answer *a, size_t length, struct error *err)
{
    a->data = calloc(1, length > 0 ? length : 1);
    if (!a->data)
        return error_errno(err, ENOMEM, "broker answer");
    a->length = length;
    return 0;
}

/*
 * One function an operation: it checks the request's size and every value in it, then acts. Those
 * of one payload share the checks.
 */
typedef int (*serve_fn)(struct server *s, const union payload *p, size_t length, struct answer *a,
                        struct error *err);

static int
check_payload_id(const union payload *p, size_t length, struct error *err)
{
    return length == sizeof(p->id) && check_id(p->id) ? 0 : refuse(err);
}

static int
check_payload_spec(struct server *s, const union payload *p, size_t length, enum spec_use use,
                   struct error *err)
{
    if (length != sizeof(p->spec) || !spec_terminated(&p->spec))
        return refuse(err);
    return broker_check_spec(s->broker, &p->spec, use, err);
}

static int
serve_info(struct server *s, const union payload *p, size_t length, struct answer *a,
           struct error *err)
{
    int r;

    (void)p;
    if (length != 0)
        return refuse(err);
    r = answer_alloc(a, sizeof(struct engine_info), err);
    return r < 0 ? r : broker_info(s->broker, s->docker, a->data, err);
}

static int
serve_create(struct server *s, const union payload *p, size_t length, struct answer *a,
             struct error *err)
{
    _cleanup_(turn_end) struct turn turn = {0};
    int r = check_payload_spec(s, p, length, SPEC_CREATE, err);

    (void)a;
    if (r < 0)
        return r;
    turn_begin(s->broker->turns, p->spec.id, &turn);
    return broker_create(s->broker, s->docker, &p->spec, err);
}

static int
serve_start(struct server *s, const union payload *p, size_t length, struct answer *a,
            struct error *err)
{
    _cleanup_(turn_end) struct turn turn = {0};
    int r = check_payload_spec(s, p, length, SPEC_START, err);

    (void)a;
    if (r < 0)
        return r;
    turn_begin(s->broker->turns, p->spec.id, &turn);
    return broker_start(s->broker, s->docker, &p->spec, err);
}

static int
serve_warm(struct server *s, const union payload *p, size_t length, struct answer *a,
           struct error *err)
{
    _cleanup_(turn_end) struct turn turn = {0};
    int r = check_payload_spec(s, p, length, SPEC_WARM, err);

    (void)a;
    if (r < 0)
        return r;
    turn_begin(s->broker->turns, p->spec.id, &turn);
    return broker_warm(s->broker, s->docker, &p->spec, err);
}

static int
serve_adopt(struct server *s, const union payload *p, size_t length, struct answer *a,
            struct error *err)
{
    _cleanup_(turn_end) struct turn turn = {0};
    int r = check_payload_spec(s, p, length, SPEC_ADOPT, err);

    (void)a;
    if (r < 0)
        return r;
    turn_begin(s->broker->turns, p->spec.id, &turn);
    return broker_adopt(s->broker, s->docker, &p->spec, err);
}

static int
serve_image_id(struct server *s, const union payload *p, size_t length, struct answer *a,
               struct error *err)
{
    int r;

    if (length != sizeof(p->image) || !terminated(p->image, sizeof(p->image)))
        return refuse(err);
    r = answer_alloc(a, ENGINE_IMAGE_ID_SIZE, err);
    return r < 0 ? r : broker_image_id(s->broker, s->docker, p->image, a->data, err);
}

static int
serve_stop(struct server *s, const union payload *p, size_t length, struct answer *a,
           struct error *err)
{
    _cleanup_(turn_end) struct turn turn = {0};
    int r = check_payload_id(p, length, err);

    (void)a;
    if (r < 0)
        return r;
    turn_begin(s->broker->turns, p->id, &turn);
    return broker_stop(s->broker, s->docker, p->id, err);
}

static int
serve_remove(struct server *s, const union payload *p, size_t length, struct answer *a,
             struct error *err)
{
    _cleanup_(turn_end) struct turn turn = {0};
    int r = check_payload_id(p, length, err);

    (void)a;
    if (r < 0)
        return r;
    turn_begin(s->broker->turns, p->id, &turn);
    return broker_remove(s->broker, s->docker, p->id, err);
}

static int
serve_inspect(struct server *s, const union payload *p, size_t length, struct answer *a,
              struct error *err)
{
    int r = check_payload_id(p, length, err);

    if (r == 0)
        r = answer_alloc(a, sizeof(struct engine_container), err);
    return r < 0 ? r : broker_inspect(s->broker, s->docker, p->id, a->data, err);
}

static int
serve_disk(struct server *s, const union payload *p, size_t length, struct answer *a,
           struct error *err)
{
    const struct broker_disk_request *q = &p->limit;
    int r;

    if (length != sizeof(*q) || !check_id(q->id) || q->limit_mb <= 0 || q->limit_mb > DISK_MAX_MB)
        return refuse(err);
    r = answer_alloc(a, sizeof(struct engine_disk), err);
    return r < 0 ? r : broker_disk(s->broker, s->docker, q->id, q->limit_mb, a->data, err);
}

static int
serve_refit(struct server *s, const union payload *p, size_t length, struct answer *a,
            struct error *err)
{
    const struct broker_refit_request *q = &p->refit;
    _cleanup_(turn_end) struct turn turn = {0};
    int r;

    if (length != sizeof(*q) || !check_id(q->id) || !terminated(q->tier, sizeof(q->tier)))
        return refuse(err);
    r = answer_alloc(a, sizeof(struct engine_fit), err);
    if (r < 0)
        return r;
    turn_begin(s->broker->turns, q->id, &turn);
    return broker_refit(s->broker, s->docker, q->id, q->tier, a->data, err);
}

static int
serve_list(struct server *s, const union payload *p, size_t length, struct answer *a,
           struct error *err)
{
    struct engine_container *list = NULL;
    size_t count = 0;
    int r = length == sizeof(p->disk) ? 0 : refuse(err);

    if (r == 0)
        r = broker_list(s->broker, s->docker, p->disk, &list, &count, err);
    if (r < 0)
        return r;
    a->data = list;
    a->length = count * sizeof(*list);
    return 0;
}

static int
serve_stats(struct server *s, const union payload *p, size_t length, struct answer *a,
            struct error *err)
{
    size_t count = length / sizeof(p->ids[0]);
    int r;

    if (count == 0 || length % sizeof(p->ids[0]) != 0)
        return refuse(err);
    for (size_t i = 0; i < count; i++)
        if (!check_id(p->ids[i]))
            return refuse(err);
    r = answer_alloc(a, count * sizeof(struct engine_stats), err);
    if (r < 0)
        return r;
    return usage_read(s->broker->usage, s->docker, p->ids, count, a->data, err);
}

static int
serve_images(struct server *s, const union payload *p, size_t length, struct answer *a,
             struct error *err)
{
    size_t count = length / sizeof(p->references[0]);
    int r;

    if (count == 0 || count > ENGINE_IMAGES_MAX || length % sizeof(p->references[0]) != 0)
        return refuse(err);
    for (size_t i = 0; i < count; i++)
        if (!terminated(p->references[i], sizeof(p->references[i])))
            return refuse(err);
    r = answer_alloc(a, count * sizeof(struct engine_image), err);
    return r < 0 ? r : broker_images(s->docker, p->references, count, a->data, err);
}

static int
check_payload_template(const union payload *p, size_t length, bool needs_name, bool needs_image,
                       struct error *err)
{
    const struct engine_template *t = &p->template;

    if (length != sizeof(*t) || !terminated(t->name, sizeof(t->name)) ||
        !terminated(t->image, sizeof(t->image)))
        return refuse(err);
    return broker_check_template(t, needs_name, needs_image, err);
}

static int
serve_image_adopt(struct server *s, const union payload *p, size_t length, struct answer *a,
                  struct error *err)
{
    int r = check_payload_template(p, length, true, true, err);

    (void)a;
    return r < 0 ? r : broker_image_adopt(s->broker, s->docker, &p->template, err);
}

/* A docker_log_fn: pass a piece on to the peer, and see whether it is still there. */
static int
send_piece(void *arg, const char *text, size_t len)
{
    const struct server *s = arg;
    struct pollfd peer = {.fd = s->peer, .events = POLLRDHUP};
    int r = 0;

    if (poll(&peer, 1, 0) > 0)
        return -EPIPE;
    while (r == 0 && len > 0) {
        struct broker_piece piece = {
            .length = (uint32_t)(len < BROKER_PIECE_MAX ? len : BROKER_PIECE_MAX),
        };

        r = broker_write(s->peer, &piece, sizeof(piece));
        if (r == 0)
            r = broker_write(s->peer, text, piece.length);
        text += piece.length;
        len -= piece.length;
    }
    return r;
}

/* The end of the pieces, whatever became of the operation. */
static void
end_pieces(const struct server *s)
{
    const struct broker_piece last = {.length = 0};

    broker_write(s->peer, &last, sizeof(last));
}

static int
serve_pull(struct server *s, const union payload *p, size_t length, struct answer *a,
           struct error *err)
{
    int r = check_payload_template(p, length, false, true, err);

    (void)a;
    if (r == 0)
        r = broker_pull(s->broker, s->docker, &p->template, send_piece, s, err);
    end_pieces(s);
    return r;
}

static int
serve_build(struct server *s, const union payload *p, size_t length, struct answer *a,
            struct error *err)
{
    int r = check_payload_template(p, length, true, false, err);

    (void)a;
    if (r == 0)
        r = broker_build(s->broker, s->docker, &p->template, s->passed, send_piece, s, err);
    end_pieces(s);
    return r;
}

static int
serve_discard(struct server *s, const union payload *p, size_t length, struct answer *a,
              struct error *err)
{
    int r = check_payload_template(p, length, true, false, err);

    (void)a;
    return r < 0 ? r : broker_discard(s->broker, s->docker, &p->template, err);
}

static int
serve_rollback(struct server *s, const union payload *p, size_t length, struct answer *a,
               struct error *err)
{
    const struct broker_rollback_request *q = &p->rollback;
    _cleanup_(turn_end) struct turn turn = {0};
    int r;

    (void)a;
    if (length != sizeof(*q) || !spec_terminated(&q->spec) || !check_snapshot_id(q->snapshot_id))
        return refuse(err);
    r = broker_check_spec(s->broker, &q->spec, SPEC_ROLLBACK, err);
    if (r < 0)
        return r;
    turn_begin(s->broker->turns, q->spec.id, &turn);
    return broker_rollback(s->broker, s->docker, &q->spec, q->snapshot_id, err);
}

static int
serve_snapshot_create(struct server *s, const union payload *p, size_t length, struct answer *a,
                      struct error *err)
{
    const struct broker_snapshot_request *q = &p->snapshot;
    _cleanup_(turn_end) struct turn turn = {0};
    int r;

    if (length != sizeof(*q) || !check_id(q->id) || !check_snapshot_id(q->snapshot_id))
        return refuse(err);
    r = answer_alloc(a, sizeof(int64_t), err);
    if (r < 0)
        return r;
    turn_begin(s->broker->turns, q->id, &turn);
    return broker_snapshot_create(s->broker, s->docker, q->id, q->snapshot_id, a->data, err);
}

static int
serve_snapshot_remove(struct server *s, const union payload *p, size_t length, struct answer *a,
                      struct error *err)
{
    (void)a;
    if (length != sizeof(p->snapshot_id) || !check_snapshot_id(p->snapshot_id))
        return refuse(err);
    return broker_snapshot_remove(s->broker, s->docker, p->snapshot_id, err);
}

static int
serve_snapshot_list(struct server *s, const union payload *p, size_t length, struct answer *a,
                    struct error *err)
{
    char(*ids)[SNAPSHOT_ID_SIZE] = NULL;
    size_t count = 0;
    int r;

    (void)p;
    if (length != 0)
        return refuse(err);
    r = broker_snapshot_list(s->broker, s->docker, &ids, &count, err);
    if (r < 0)
        return r;
    a->data = ids;
    a->length = count * sizeof(*ids);
    return 0;
}

static const serve_fn operations[] = {
    [BROKER_INFO] = serve_info,
    [BROKER_CREATE] = serve_create,
    [BROKER_START] = serve_start,
    [BROKER_STOP] = serve_stop,
    [BROKER_REMOVE] = serve_remove,
    [BROKER_INSPECT] = serve_inspect,
    [BROKER_IMAGES] = serve_images,
    [BROKER_IMAGE_ADOPT] = serve_image_adopt,
    [BROKER_PULL] = serve_pull,
    [BROKER_BUILD] = serve_build,
    [BROKER_DISCARD] = serve_discard,
    [BROKER_DISK] = serve_disk,
    [BROKER_REFIT] = serve_refit,
    [BROKER_LIST] = serve_list,
    [BROKER_STATS] = serve_stats,
    [BROKER_ROLLBACK] = serve_rollback,
    [BROKER_WARM] = serve_warm,
    [BROKER_ADOPT] = serve_adopt,
    [BROKER_IMAGE_ID] = serve_image_id,
    [BROKER_SNAPSHOT_CREATE] = serve_snapshot_create,
    [BROKER_SNAPSHOT_REMOVE] = serve_snapshot_remove,
    [BROKER_SNAPSHOT_LIST] = serve_snapshot_list,
};

int
broker_serve(struct server *s, uint32_t operation, const union payload *p, size_t length,
             struct answer *a, struct error *err)
{
    if (operation >= ARRAY_LEN(operations) || !operations[operation])
        return refuse(err);
    return operations[operation](s, p, length, a, err);
}
