/*
 * The broker's process: a fixed number of threads accept on one listening socket, check who calls
 * and what is asked, and run the operation. See broker.h.
 */
#include "backend/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <curl/curl.h>

#include "backend/broker/operations.h"
#include "backend/broker/protocol.h"
#include "backend/log.h"

enum {
    THREADS = 32, /* operations at one time: up to 16 long ones, the builder's, and others */
    THREAD_STACK = 256 << 10,
    IO_TIMEOUT_SECONDS = 10 /* for a caller to send its request and take its reply */
};

/* Lifetime: thread. */
struct server {
    struct broker *broker;
    int listen_fd;
    struct docker *docker; /* opened on first use */
    int peer;              /* the connection of the request in hand */
    int passed;            /* the descriptor that came with it, -1 if none */
};

/* A request's payload: as many bytes as the operation's struct has. */
union payload {
    struct engine_spec spec;
    char id[CONTAINER_ID_SIZE];
    char image[IMAGE_SIZE];
    bool disk;
    char ids[ENGINE_STATS_MAX][CONTAINER_ID_SIZE];
    char references[ENGINE_IMAGES_MAX][IMAGE_SIZE];
    struct engine_template template;
    struct broker_rollback_request rollback;
    struct broker_snapshot_request snapshot;
    char snapshot_id[SNAPSHOT_ID_SIZE];
};

/* What goes back: owned bytes, or none. */
struct answer {
    void *data;
    size_t length;
};

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
check_payload_spec(struct server *s, const union payload *p, size_t length,
                   enum spec_use use, struct error *err)
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
    [BROKER_INFO] = serve_info, [BROKER_CREATE] = serve_create, [BROKER_START] = serve_start,
    [BROKER_STOP] = serve_stop, [BROKER_REMOVE] = serve_remove, [BROKER_INSPECT] = serve_inspect,
    [BROKER_IMAGES] = serve_images, [BROKER_IMAGE_ADOPT] = serve_image_adopt, [BROKER_PULL] = serve_pull,
    [BROKER_BUILD] = serve_build, [BROKER_DISCARD] = serve_discard,
    [BROKER_LIST] = serve_list, [BROKER_STATS] = serve_stats, [BROKER_ROLLBACK] = serve_rollback,
    [BROKER_WARM] = serve_warm, [BROKER_ADOPT] = serve_adopt, [BROKER_IMAGE_ID] = serve_image_id,
    [BROKER_SNAPSHOT_CREATE] = serve_snapshot_create,
    [BROKER_SNAPSHOT_REMOVE] = serve_snapshot_remove,
    [BROKER_SNAPSHOT_LIST] = serve_snapshot_list,
};

static int
serve(struct server *s, uint32_t operation, const union payload *p, size_t length, struct answer *a,
      struct error *err)
{
    if (operation >= ARRAY_LEN(operations) || !operations[operation])
        return refuse(err);
    return operations[operation](s, p, length, a, err);
}

/* Only the service's own account may ask. */
static bool
peer_allowed(const struct server *s, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    if (peer.uid == s->broker->context->uid)
        return true;
    log_warn("broker: refused a caller with uid %u, pid %d", peer.uid, peer.pid);
    return false;
}

static int
open_docker(struct server *s, struct error *err)
{
    return s->docker ? 0 : docker_new(s->broker->context->docker_host, &s->docker, err);
}

/* One request, one reply. */
static void
handle(struct server *s, int fd)
{
    const struct timeval timeout = {.tv_sec = IO_TIMEOUT_SECONDS};
    _cleanup_(freep) union payload *payload = NULL;
    struct broker_request request;
    struct broker_reply reply = {0};
    struct answer answer = {0};
    _cleanup_(closep) int passed = -1;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (!peer_allowed(s, fd) || broker_read_with_fd(fd, &request, sizeof(request), &passed) < 0 ||
        request.length > sizeof(*payload))
        return;
    payload = calloc(1, sizeof(*payload));
    if (!payload || broker_read(fd, payload, request.length) < 0)
        return;
    s->peer = fd;
    s->passed = passed;
    if (open_docker(s, &reply.error) == 0 &&
        serve(s, request.operation, payload, request.length, &answer, &reply.error) == 0)
        reply.length = (uint32_t)answer.length;
    if (reply.error.code == ERR_VALIDATION)
        log_warn("broker: refused operation %u: %s", request.operation, reply.error.msg);
    if (broker_write(fd, &reply, sizeof(reply)) == 0)
        broker_write(fd, answer.data, reply.length);
    free(answer.data);
}

static void *
thread_main(void *arg)
{
    struct server *s = arg;

    for (;;) {
        _cleanup_(closep) int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0)
            handle(s, fd);
        else if (errno != EINTR && errno != ECONNABORTED && errno != EMFILE && errno != ENOMEM)
            return NULL;
    }
}

static int
start_threads(struct broker *b, int listen_fd, struct error *err)
{
    pthread_attr_t attr;
    int rc;

    if (fcntl(listen_fd, F_SETFL, fcntl(listen_fd, F_GETFL) & ~O_NONBLOCK) < 0)
        return error_errno(err, errno, "fcntl of the broker's socket");
    rc = pthread_attr_init(&attr);
    if (rc == 0)
        rc = pthread_attr_setstacksize(&attr, THREAD_STACK);
    for (int i = 0; rc == 0 && i < THREADS; i++) {
        struct server *s = calloc(1, sizeof(*s));
        pthread_t thread;

        if (!s)
            return error_errno(err, ENOMEM, "broker thread");
        *s = (struct server){.broker = b, .listen_fd = listen_fd};
        rc = pthread_create(&thread, &attr, thread_main, s);
        if (rc == 0)
            pthread_detach(thread);
        else
            free(s);
    }
    pthread_attr_destroy(&attr);
    return rc == 0 ? 0 : error_errno(err, rc, "pthread_create");
}

/* Wait for signals: HUP reads the YAML again, TERM ends. */
static void
wait_for_end(struct broker *b)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    for (;;) {
        struct error err = {0};
        int sig = sigwaitinfo(&set, NULL);

        if (sig == SIGTERM)
            return;
        if (sig == SIGHUP && current_reload(b->context->current, &err) < 0)
            log_error("settings stay as they were: %s", err.msg);
        else
            log_info("settings reloaded");
    }
}

int
broker_main(struct service_context *ctx, int listen_fd)
{
    struct error err = {0};
    struct broker broker;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    json_object_seed(0);
    if (broker_init(&broker, ctx, &err) < 0 || start_threads(&broker, listen_fd, &err) < 0) {
        log_error("broker: %s (%s)", err.msg, err.detail);
        return EXIT_FAILURE;
    }
    wait_for_end(&broker);
    return EXIT_SUCCESS;
}
