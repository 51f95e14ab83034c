/* Frames to the host: see outbox.h. */
#include "backend/guest/inside/outbox.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ROOM_MIN = 4096, /* less is not worth a read */
    ROOM_KEPT = 128  /* for STARTED and EXIT */
};

static size_t
room(const struct outbox *o)
{
    size_t taken = o->len + sizeof(struct guest_frame) + ROOM_KEPT;
    size_t left = taken < sizeof(o->data) ? sizeof(o->data) - taken : 0;

    return left < GUEST_OUTPUT_MAX ? left : GUEST_OUTPUT_MAX;
}

bool
outbox_pending(const struct outbox *o)
{
    return o->sent < o->len;
}

bool
outbox_roomy(const struct outbox *o)
{
    return room(o) >= ROOM_MIN;
}

/* Write the head of a frame whose payload of @len bytes is in place, and count the frame in. */
static void
seal(struct outbox *o, enum guest_frame_type type, size_t len)
{
    struct guest_frame frame = {.type = type, .len = (uint32_t)len};

    memcpy(o->data + o->len, &frame, sizeof(frame));
    o->len += sizeof(frame) + len;
}

void
outbox_frame(struct outbox *o, enum guest_frame_type type, const void *payload, size_t len)
{
    if (len > 0)
        memcpy(o->data + o->len + sizeof(struct guest_frame), payload, len);
    seal(o, type, len);
}

long
outbox_read(struct outbox *o, enum guest_frame_type type, int pipe)
{
    ssize_t len = read(pipe, o->data + o->len + sizeof(struct guest_frame), room(o));

    if (len > 0)
        seal(o, type, (size_t)len);
    return len;
}

int
outbox_send(struct outbox *o, int fd, int flags)
{
    ssize_t len;

    while (outbox_pending(o)) {
        len = send(fd, o->data + o->sent, o->len - o->sent, flags | MSG_NOSIGNAL);
        if (len >= 0)
            o->sent += (size_t)len;
        else if (errno == EAGAIN)
            return 0;
        else if (errno != EINTR)
            return -1;
    }
    o->sent = o->len = 0;
    return 0;
}
