/*
 * backend/guest/guest.c against guests that break the protocol: every one ends in an error, none in
 * a wait without end.
 */
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/guest/guest.h"
#include "backend/guest/protocol.h"

enum { CAP = 4096 };

static void
write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

enum { FRAMES_MAX = 5 };
enum manner { THEN_CLOSE, THEN_SILENCE, THEN_REPEAT };

struct bad_frame {
    uint32_t type;
    uint32_t len;
    const void *payload;
    size_t payload_len;
};

#define STARTED                                                                                    \
    {                                                                                              \
        GUEST_FRAME_STARTED, 0, NULL, 0                                                            \
    }
#define EXIT(e)                                                                                    \
    {                                                                                              \
        GUEST_FRAME_EXIT, sizeof(e), &(e), sizeof(e)                                               \
    }
#define FAILED(f)                                                                                  \
    {                                                                                              \
        GUEST_FRAME_FAILED, sizeof(f), &(f), sizeof(f)                                             \
    }
#define HELLO                                                                                      \
    {                                                                                              \
        GUEST_FRAME_STDOUT, 5, "hello", 5                                                          \
    }

static const struct guest_exit good_exit = {.value = 3, .duration_us = 1, .max_memory_kib = 1};
static const struct guest_exit exit_end = {.end = 5};
static const struct guest_exit exit_status = {.value = 256};
static const struct guest_exit exit_signal = {.end = GUEST_END_SIGNALED, .value = 65};
static const struct guest_exit exit_no_signal = {.end = GUEST_END_SIGNALED};
static const struct guest_exit exit_term = {.end = GUEST_END_TIMED_OUT, .value = SIGTERM};
static const struct guest_exit exit_cancelled = {.end = GUEST_END_CANCELLED, .value = SIGKILL};
static const struct guest_exit exit_oom = {.oom_killed = 2};
static const struct guest_exit exit_reserved = {.reserved = 1};
static const struct guest_exit exit_duration = {.duration_us = -1};
static const struct guest_exit exit_cpu = {.cpu_us = INT64_MAX};
static const struct guest_exit exit_memory = {.max_memory_kib = INT64_MIN};
static const struct guest_failure busy = {GUEST_STAGE_FORK, EAGAIN};
static const struct guest_failure no_memory = {GUEST_STAGE_FORK, ENOMEM};
static const struct guest_failure refused = {GUEST_STAGE_REQUEST, EINVAL};
static const struct guest_failure no_stage = {9, EINVAL};
static const struct guest_failure no_errno = {GUEST_STAGE_EXEC, 0};

static const struct {
    const char *name;
    struct bad_frame frames[FRAMES_MAX]; /* up to the first of type 0 */
    enum manner manner;
    int r;
} bad_guests[] = {
    {"good after all", {STARTED, HELLO, EXIT(good_exit)}, THEN_CLOSE, 0},
    {"no process left", {FAILED(busy)}, THEN_CLOSE, -EMLINK},
    {"no memory for a process", {FAILED(no_memory)}, THEN_CLOSE, -EMLINK},
    {"hangs up at once", {{0}}, THEN_CLOSE, -EPROTO},
    {"hangs up after the start", {STARTED}, THEN_CLOSE, -EPROTO},
    {"hangs up in a head", {STARTED, {.payload = "\x02", .payload_len = 1}}, THEN_CLOSE, -EPROTO},
    {"hangs up in output", {STARTED, {GUEST_FRAME_STDOUT, 9, "hello", 5}}, THEN_CLOSE, -EPROTO},
    {"hangs up in the exit",
     {STARTED, {GUEST_FRAME_EXIT, sizeof(good_exit), &good_exit, 9}},
     THEN_CLOSE,
     -EPROTO},
    {"type 0",
     {STARTED, {.len = 1, .payload = "\0\0\0\0\1\0\0\0", .payload_len = 8}},
     THEN_CLOSE,
     -EPROTO},
    {"an unknown type", {STARTED, {77, 1, "x", 1}}, THEN_CLOSE, -EPROTO},
    {"output too long",
     {STARTED, {GUEST_FRAME_STDOUT, GUEST_OUTPUT_MAX + 1, "x", 1}},
     THEN_SILENCE,
     -EPROTO},
    {"output of 4 GiB", {STARTED, {GUEST_FRAME_STDERR, UINT32_MAX, "x", 1}}, THEN_SILENCE, -EPROTO},
    {"empty output", {STARTED, {GUEST_FRAME_STDOUT, 0, NULL, 0}}, THEN_CLOSE, -EPROTO},
    {"output before the start", {HELLO}, THEN_CLOSE, -EPROTO},
    {"exit before the start", {EXIT(good_exit)}, THEN_CLOSE, -EPROTO},
    {"two starts", {STARTED, STARTED}, THEN_CLOSE, -EPROTO},
    {"a start with payload", {{GUEST_FRAME_STARTED, 1, "x", 1}}, THEN_CLOSE, -EPROTO},
    {"two exits", {STARTED, EXIT(good_exit), EXIT(good_exit)}, THEN_CLOSE, -EPROTO},
    {"a byte after the exit",
     {STARTED, EXIT(good_exit), {.payload = "x", .payload_len = 1}},
     THEN_CLOSE,
     -EPROTO},
    {"output after the exit", {STARTED, EXIT(good_exit), HELLO}, THEN_CLOSE, -EPROTO},
    {"failure after the start", {STARTED, FAILED(busy)}, THEN_CLOSE, -EPROTO},
    {"a short exit", {STARTED, {GUEST_FRAME_EXIT, 8, &good_exit, 8}}, THEN_CLOSE, -EPROTO},
    {"a long exit",
     {STARTED, {GUEST_FRAME_EXIT, 64, &good_exit, sizeof(good_exit)}},
     THEN_SILENCE,
     -EPROTO},
    {"a short failure", {{GUEST_FRAME_FAILED, 4, &busy, 4}}, THEN_CLOSE, -EPROTO},
    {"an unknown end", {STARTED, EXIT(exit_end)}, THEN_CLOSE, -EPROTO},
    {"status 256", {STARTED, EXIT(exit_status)}, THEN_CLOSE, -EPROTO},
    {"signal 65", {STARTED, EXIT(exit_signal)}, THEN_CLOSE, -EPROTO},
    {"signal 0", {STARTED, EXIT(exit_no_signal)}, THEN_CLOSE, -EPROTO},
    {"a gentle timeout", {STARTED, EXIT(exit_term)}, THEN_CLOSE, -EPROTO},
    {"cancelled by nobody", {STARTED, EXIT(exit_cancelled)}, THEN_CLOSE, -EPROTO},
    {"a third truth", {STARTED, EXIT(exit_oom)}, THEN_CLOSE, -EPROTO},
    {"a reserved field", {STARTED, EXIT(exit_reserved)}, THEN_CLOSE, -EPROTO},
    {"a negative duration", {STARTED, EXIT(exit_duration)}, THEN_CLOSE, -EPROTO},
    {"too much CPU time", {STARTED, EXIT(exit_cpu)}, THEN_CLOSE, -EPROTO},
    {"negative memory", {STARTED, EXIT(exit_memory)}, THEN_CLOSE, -EPROTO},
    {"a refused request", {FAILED(refused)}, THEN_CLOSE, -EPROTO},
    {"an unknown stage", {FAILED(no_stage)}, THEN_CLOSE, -EPROTO},
    {"a failure without error", {FAILED(no_errno)}, THEN_CLOSE, -EPROTO},
    {"silence", {{0}}, THEN_SILENCE, -EPROTO},
    {"silence after the start", {STARTED}, THEN_SILENCE, -EPROTO},
    {"output without end", {STARTED, HELLO}, THEN_REPEAT, -EPROTO},
};

/* Put @frames after one another into @to. Returns their length. */
static size_t
flatten(const struct bad_frame *frames, char *to)
{
    size_t len = 0;
    int i;

    for (i = 0; i < FRAMES_MAX && (frames[i].type || frames[i].payload); i++) {
        const struct guest_frame head = {.type = frames[i].type, .len = frames[i].len};

        if (head.type)
            memcpy(to + len, &head, sizeof(head));
        len += head.type ? sizeof(head) : 0;
        if (frames[i].payload)
            memcpy(to + len, frames[i].payload, frames[i].payload_len);
        len += frames[i].payload_len;
    }
    return len;
}

/* Send @len bytes, and a descriptor along with them that nobody wants. */
static bool
send_with_descriptor(int fd, char *bytes, size_t len)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {bytes, len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
    return sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0;
}

static _Noreturn void
be_bad(int listener, const struct bad_frame *frames, enum manner manner)
{
    char request[4096], answer[1024];
    size_t len = flatten(frames, answer);
    int fd = accept(listener, NULL, NULL);

    if (read(fd, request, sizeof(request)) < 0)
        _exit(1);
    if (len > 0)
        send_with_descriptor(fd, answer, len);
    while (manner == THEN_REPEAT && send_with_descriptor(fd, answer + sizeof(struct guest_frame),
                                                         len - sizeof(struct guest_frame)))
        ;
    while (manner == THEN_SILENCE && read(fd, request, sizeof(request)) > 0)
        ;
    _exit(0);
}

static int
listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static int
count_own_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void
guests_gone_bad(void **state)
{
    const char *const argv[] = {"sh", NULL};
    const struct guest_command command = {.argv = argv, .timeout_ms = 1, .cancel_fd = -1};
    char dir[] = "/tmp/test-guest-XXXXXX";
    char path[64];
    int fds = count_own_fds();
    size_t i;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/%s", dir, GUEST_SOCKET);
    for (i = 0; i < sizeof(bad_guests) / sizeof(bad_guests[0]); i++) {
        int listener = listen_at(path);
        struct capture out, errout;
        struct guest_result result;
        struct error err = {0};
        pid_t pid = fork();
        int fd;

        if (pid == 0)
            be_bad(listener, bad_guests[i].frames, bad_guests[i].manner);
        print_message("  %s\n", bad_guests[i].name);
        capture_init(&out, CAP);
        capture_init(&errout, CAP);
        assert_int_equal(guest_connect(dir, &fd, &err), 0);
        assert_int_equal(guest_run(fd, &command, &out, &errout, &result, &err), bad_guests[i].r);
        if (bad_guests[i].r == -EPROTO)
            assert_int_equal(err.code, ERR_INTERNAL);
        if (bad_guests[i].r == -EMLINK)
            assert_int_equal(err.code, ERR_PROCESS_LIMIT);
        close(fd);
        close(listener);
        capture_done(&out);
        capture_done(&errout);
        waitpid(pid, NULL, 0); /* it ends when we hang up */
        unlink(path);
    }
    rmdir(dir);
    assert_int_equal(count_own_fds(), fds);
}

static void
no_socket(void **state)
{
    char dir[] = "/tmp/test-guest-XXXXXX";
    char path[64], other[64];
    struct error err = {0};
    int fd = -1;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/%s", dir, GUEST_SOCKET);
    snprintf(other, sizeof(other), "%s/other", dir);

    assert_int_equal(guest_connect(dir, &fd, &err), -ENOTCONN);
    assert_int_equal(err.code, ERR_CONTAINER_NOT_RUNNING);
    error_clear(&err);

    close(listen_at(path));
    assert_int_equal(guest_connect(dir, &fd, &err), -ENOTCONN);
    error_clear(&err);
    assert_int_equal(unlink(path), 0);

    close(listen_at(other));
    assert_int_equal(symlink("other", path), 0);
    assert_int_equal(guest_connect(dir, &fd, &err), -EIO);
    assert_int_equal(err.code, ERR_INTERNAL);
    unlink(path);
    unlink(other);

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(guest_connect(dir, &fd, NULL), -EIO);
    unlink(path);
    write_file(path, "no socket");
    assert_int_equal(guest_connect(dir, &fd, NULL), -EIO);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(guest_connect(dir, &fd, NULL), -EIO);
    rmdir(path);
    rmdir(dir);
    assert_int_equal(fd, -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_socket),
        cmocka_unit_test(guests_gone_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
