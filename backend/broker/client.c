/* The domain's line to the engine: each call is one connection to the broker. See engine.h. */
#include "backend/engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "backend/broker/protocol.h"

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
    if (reply.error.code != ERR_NONE) {
        r = error_set_detail(err, reply.error.code, reply.error.detail, "%s", reply.error.msg);
        if (err)
            err->retry_after_seconds = reply.error.retry_after_seconds;
        return r;
    }
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
