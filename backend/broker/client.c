/* The domain's line to the engine: each call is one connection to the broker. See engine.h. */
#include "backend/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "backend/broker/protocol.h"

enum { PIECE_WAIT_MS = 200 }; /* until a log function hears that there is nothing new */

/* Lifetime: thread. */
struct engine {
    struct sockaddr_un address;
};

struct engine *
engine_new(const char *state_dir)
{
    struct engine *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    e->address.sun_family = AF_UNIX;
    snprintf(e->address.sun_path, sizeof(e->address.sun_path), "%s/run/broker.sock", state_dir);
    return e;
}

void
engine_free(struct engine *e)
{
    free(e);
}

/* The broker cannot be reached, or did not answer in time. */
static int
unavailable(int errnum, const char *what, struct error *err)
{
    char detail[128];
    char text[64];

    snprintf(detail, sizeof(detail), "broker: %s: %s", what,
             strerror_r(errnum, text, sizeof(text)));
    error_set_detail(err, ERR_DOCKER_DOWN, detail,
                     "containers cannot be managed right now; try again");
    if (err)
        err->retry_after_seconds = 2;
    return -EHOSTDOWN;
}

static int
dial(struct engine *e, int timeout_seconds, int *ret_fd, struct error *err)
{
    const struct timeval timeout = {.tv_sec = timeout_seconds};
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_errno(err, errno, "socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (const struct sockaddr *)&e->address, sizeof(e->address)) < 0)
        return unavailable(errno, "connect", err);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* The reply's payload: at most @max bytes, in units of @unit. */
static int
read_payload(int fd, uint32_t length, size_t unit, size_t max, void **ret, struct error *err)
{
    _cleanup_(freep) void *data = NULL;
    int r;

    if (length > max || (unit > 0 && length % unit != 0))
        return error_set(err, ERR_INTERNAL, "the broker's answer has a wrong size");
    data = malloc(length > 0 ? length : 1);
    if (!data)
        return error_errno(err, ENOMEM, "broker reply");
    r = broker_read(fd, data, length);
    if (r < 0)
        return unavailable(-r, "read", err);
    *ret = TAKE(data);
    return 0;
}

/* What the broker noted, as our own failure. */
static int
refused(const struct broker_reply *reply, struct error *err)
{
    int r = error_set_detail(err, reply->error.code, reply->error.detail, "%s", reply->error.msg);

    if (err)
        err->retry_after_seconds = reply->error.retry_after_seconds;
    return r;
}

/*
 * Ask the broker. On success *ret (may be NULL where no payload is due) is an owned array of
 * *ret_count items of @unit bytes.
 */
static int
call(struct engine *e, enum broker_operation operation, const void *payload, size_t length,
     int timeout_seconds, size_t unit, void **ret, size_t *ret_count, struct error *err)
{
    struct broker_request request = {.operation = operation, .length = (uint32_t)length};
    struct broker_reply reply = {0};
    _cleanup_(freep) void *data = NULL;
    _cleanup_(closep) int fd = -1;
    int r;

    r = dial(e, timeout_seconds, &fd, err);
    if (r < 0)
        return r;
    r = broker_write(fd, &request, sizeof(request));
    if (r == 0)
        r = broker_write(fd, payload, length);
    if (r == 0)
        r = broker_read(fd, &reply, sizeof(reply));
    if (r < 0)
        return unavailable(-r, "call", err);
    if (reply.error.code != ERR_NONE)
        return refused(&reply, err);
    r = read_payload(fd, reply.length, unit, unit > 0 ? BROKER_REPLY_MAX : 0, &data, err);
    if (r == 0 && ret) {
        *ret = TAKE(data);
        *ret_count = reply.length / unit;
    }
    return r;
}

/* As call(), for an answer that is exactly one struct. */
static int
call_one(struct engine *e, enum broker_operation operation, const void *payload, size_t length,
         int timeout_seconds, size_t unit, void *ret, struct error *err)
{
    _cleanup_(freep) void *data = NULL;
    size_t count = 0;
    int r = call(e, operation, payload, length, timeout_seconds, unit, &data, &count, err);

    if (r == 0 && count != 1)
        return error_set(err, ERR_INTERNAL, "the broker's answer has a wrong size");
    if (r == 0)
        memcpy(ret, data, unit);
    return r;
}

/* As call(), with a container id for payload and no answer but success. */
static int
call_id(struct engine *e, enum broker_operation operation, const char *id, int timeout_seconds,
        struct error *err)
{
    char payload[CONTAINER_ID_SIZE] = {0};

    snprintf(payload, sizeof(payload), "%s", id);
    return call(e, operation, payload, sizeof(payload), timeout_seconds, 0, NULL, NULL, err);
}

int
engine_info(struct engine *e, struct engine_info *ret, struct error *err)
{
    return call_one(e, BROKER_INFO, NULL, 0, 10, sizeof(*ret), ret, err);
}

int
engine_create(struct engine *e, const struct engine_spec *spec, struct error *err)
{
    return call(e, BROKER_CREATE, spec, sizeof(*spec), 120, 0, NULL, NULL, err);
}

int
engine_start(struct engine *e, const struct engine_spec *spec, struct error *err)
{
    return call(e, BROKER_START, spec, sizeof(*spec), 120, 0, NULL, NULL, err);
}

int
engine_warm(struct engine *e, const struct engine_spec *spec, struct error *err)
{
    return call(e, BROKER_WARM, spec, sizeof(*spec), 120, 0, NULL, NULL, err);
}

int
engine_adopt(struct engine *e, const struct engine_spec *spec, struct error *err)
{
    return call(e, BROKER_ADOPT, spec, sizeof(*spec), 30, 0, NULL, NULL, err);
}

int
engine_image_id(struct engine *e, const char *image, char ret[ENGINE_IMAGE_ID_SIZE],
                struct error *err)
{
    char payload[IMAGE_SIZE] = {0};
    int r;

    snprintf(payload, sizeof(payload), "%s", image);
    r = call_one(e, BROKER_IMAGE_ID, payload, sizeof(payload), 15, ENGINE_IMAGE_ID_SIZE, ret, err);
    if (r == 0)
        ret[ENGINE_IMAGE_ID_SIZE - 1] = '\0';
    return r;
}

int
engine_stop(struct engine *e, const char *id, struct error *err)
{
    return call_id(e, BROKER_STOP, id, 60, err);
}

int
engine_remove(struct engine *e, const char *id, struct error *err)
{
    return call_id(e, BROKER_REMOVE, id, 120, err);
}

int
engine_list(struct engine *e, bool disk, struct engine_container **ret, size_t *ret_count,
            struct error *err)
{
    void *list = NULL;
    int r = call(e, BROKER_LIST, &disk, sizeof(disk), disk ? 180 : 60,
                 sizeof(struct engine_container), &list, ret_count, err);

    if (r == 0)
        *ret = list;
    return r;
}

int
engine_inspect(struct engine *e, const char *id, struct engine_container *ret, struct error *err)
{
    char payload[CONTAINER_ID_SIZE] = {0};

    snprintf(payload, sizeof(payload), "%s", id);
    return call_one(e, BROKER_INSPECT, payload, sizeof(payload), 60, sizeof(*ret), ret, err);
}

int
engine_disk(struct engine *e, const char *id, int64_t limit_mb, struct engine_disk *ret,
            struct error *err)
{
    struct broker_disk_request request = {.limit_mb = limit_mb};

    snprintf(request.id, sizeof(request.id), "%s", id);
    return call_one(e, BROKER_DISK, &request, sizeof(request), 60, sizeof(*ret), ret, err);
}

int
engine_refit(struct engine *e, const char *id, const char *tier, struct engine_fit *ret,
             struct error *err)
{
    struct broker_refit_request request = {0};

    snprintf(request.id, sizeof(request.id), "%s", id);
    snprintf(request.tier, sizeof(request.tier), "%s", tier);
    return call_one(e, BROKER_REFIT, &request, sizeof(request), 60, sizeof(*ret), ret, err);
}

int
engine_stats(struct engine *e, const char (*ids)[CONTAINER_ID_SIZE], size_t count,
             struct engine_stats *ret, struct error *err)
{
    _cleanup_(freep) void *data = NULL;
    size_t got = 0;
    int r;

    if (count == 0)
        return 0;
    r = call(e, BROKER_STATS, ids, count * sizeof(*ids), 30, sizeof(*ret), &data, &got, err);
    if (r == 0 && got != count)
        return error_set(err, ERR_INTERNAL, "the broker's answer has a wrong size");
    if (r == 0)
        memcpy(ret, data, count * sizeof(*ret));
    return r;
}

int
engine_images(struct engine *e, const char (*references)[IMAGE_SIZE], size_t count,
              struct engine_image *ret, struct error *err)
{
    int r = 0;

    for (size_t done = 0; r == 0 && done < count; done += ENGINE_IMAGES_MAX) {
        size_t some = count - done < ENGINE_IMAGES_MAX ? count - done : ENGINE_IMAGES_MAX;
        _cleanup_(freep) void *data = NULL;
        size_t got = 0;

        r = call(e, BROKER_IMAGES, references[done], some * sizeof(*references), 60, sizeof(*ret),
                 &data, &got, err);
        if (r == 0 && got != some)
            return error_set(err, ERR_INTERNAL, "the broker's answer has a wrong size");
        if (r == 0)
            memcpy(&ret[done], data, some * sizeof(*ret));
    }
    return r;
}

int
engine_image_adopt(struct engine *e, const struct engine_template *t, struct error *err)
{
    return call(e, BROKER_IMAGE_ADOPT, t, sizeof(*t), 60, 0, NULL, NULL, err);
}

int
engine_image_discard(struct engine *e, const struct engine_template *t, struct error *err)
{
    return call(e, BROKER_DISCARD, t, sizeof(*t), 120, 0, NULL, NULL, err);
}

/* Hand the pieces of the log on until the last. -ECANCELED: @log wants no more. */
static int
read_pieces(int fd, engine_log_fn log, void *log_arg)
{
    struct broker_piece piece;
    char text[BROKER_PIECE_MAX];
    int r;

    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};

        if (poll(&ready, 1, PIECE_WAIT_MS) == 0) {
            if (log(log_arg, NULL, 0) < 0)
                return -ECANCELED;
            continue;
        }
        r = broker_read(fd, &piece, sizeof(piece));
        if (r < 0 || piece.length == 0)
            return r;
        if (piece.length > sizeof(text))
            return -EPROTO;
        r = broker_read(fd, text, piece.length);
        if (r < 0)
            return r;
        if (log(log_arg, text, piece.length) < 0)
            return -ECANCELED;
    }
}

/* As call(), for an operation that shows its log; @passed_fd goes along. */
static int
call_logged(struct engine *e, enum broker_operation operation, const struct engine_template *t,
            int passed_fd, engine_log_fn log, void *log_arg, struct error *err)
{
    struct broker_request request = {.operation = operation, .length = sizeof(*t)};
    struct broker_reply reply = {0};
    _cleanup_(closep) int fd = -1;
    int r;

    r = dial(e, 30, &fd, err);
    if (r < 0)
        return r;
    r = broker_write_with_fd(fd, &request, sizeof(request), passed_fd);
    if (r == 0)
        r = broker_write(fd, t, sizeof(*t));
    if (r == 0)
        r = read_pieces(fd, log, log_arg);
    if (r == -ECANCELED)
        return error_set(err, ERR_CONFLICT, "the job was ended");
    if (r == 0)
        r = broker_read(fd, &reply, sizeof(reply));
    if (r < 0)
        return unavailable(-r, "call", err);
    return reply.error.code == ERR_NONE ? 0 : refused(&reply, err);
}

int
engine_image_pull(struct engine *e, const struct engine_template *t, engine_log_fn log,
                  void *log_arg, struct error *err)
{
    return call_logged(e, BROKER_PULL, t, -1, log, log_arg, err);
}

int
engine_image_build(struct engine *e, const char *name, int context_fd, engine_log_fn log,
                   void *log_arg, struct error *err)
{
    struct engine_template t = {0};

    snprintf(t.name, sizeof(t.name), "%s", name);
    return call_logged(e, BROKER_BUILD, &t, context_fd, log, log_arg, err);
}

void
engine_template_reference(const char *instance, const char *name, char out[IMAGE_SIZE])
{
    snprintf(out, IMAGE_SIZE, "sandbox-template-%s:%s", instance, name);
}

int
engine_snapshot_create(struct engine *e, const char *id, const char *snapshot_id,
                       int64_t *ret_size_bytes, struct error *err)
{
    struct broker_snapshot_request request = {0};

    snprintf(request.id, sizeof(request.id), "%s", id);
    snprintf(request.snapshot_id, sizeof(request.snapshot_id), "%s", snapshot_id);
    return call_one(e, BROKER_SNAPSHOT_CREATE, &request, sizeof(request), 360,
                    sizeof(*ret_size_bytes), ret_size_bytes, err);
}

int
engine_snapshot_remove(struct engine *e, const char *snapshot_id, struct error *err)
{
    char payload[SNAPSHOT_ID_SIZE] = {0};

    snprintf(payload, sizeof(payload), "%s", snapshot_id);
    return call(e, BROKER_SNAPSHOT_REMOVE, payload, sizeof(payload), 180, 0, NULL, NULL, err);
}

int
engine_snapshot_list(struct engine *e, char (**ret)[SNAPSHOT_ID_SIZE], size_t *ret_count,
                     struct error *err)
{
    void *list = NULL;
    int r = call(e, BROKER_SNAPSHOT_LIST, NULL, 0, 90, SNAPSHOT_ID_SIZE, &list, ret_count, err);

    if (r == 0)
        *ret = list;
    return r;
}

int
engine_rollback(struct engine *e, const struct engine_spec *spec, const char *snapshot_id,
                struct error *err)
{
    struct broker_rollback_request request = {.spec = *spec};

    snprintf(request.snapshot_id, sizeof(request.snapshot_id), "%s", snapshot_id);
    return call(e, BROKER_ROLLBACK, &request, sizeof(request), 360, 0, NULL, NULL, err);
}
