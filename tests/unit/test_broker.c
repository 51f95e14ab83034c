/* The broker as its callers meet it: requests, logs and descriptors that nobody should send. */
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "backend/broker/protocol.h"
#include "backend/cleanup.h"
#include "tests/unit/broker_world.h"

enum { STRANGER_UID = 65534 };

static void
wrong_sizes_are_refused(void **state)
{
    static char noise[BROKER_REQUEST_MAX + 4096];
    static const struct {
        uint32_t operation;
        size_t length;
        int code;
    } cases[] = {
        {BROKER_INFO, 1, ERR_VALIDATION},
        {BROKER_CREATE, 0, ERR_VALIDATION},
        {BROKER_CREATE, sizeof(struct engine_spec) - 1, ERR_VALIDATION},
        {BROKER_STOP, 3, ERR_VALIDATION},
        {BROKER_REMOVE, CONTAINER_ID_SIZE, ERR_VALIDATION},
        {BROKER_LIST, 0, ERR_VALIDATION},
        {BROKER_STATS, 0, ERR_VALIDATION},
        {BROKER_WARM, 1, ERR_VALIDATION},
        {BROKER_ADOPT, 0, ERR_VALIDATION},
        {BROKER_IMAGE_ID, 9, ERR_VALIDATION},
        {BROKER_IMAGE_ID, IMAGE_SIZE, ERR_VALIDATION},
        {BROKER_STATS, CONTAINER_ID_SIZE + 1, ERR_VALIDATION},
        {BROKER_ROLLBACK, sizeof(struct broker_rollback_request), ERR_VALIDATION},
        {BROKER_ROLLBACK, sizeof(struct engine_spec), ERR_VALIDATION},
        {BROKER_SNAPSHOT_CREATE, sizeof(struct broker_snapshot_request), ERR_VALIDATION},
        {BROKER_SNAPSHOT_CREATE, CONTAINER_ID_SIZE, ERR_VALIDATION},
        {BROKER_SNAPSHOT_REMOVE, SNAPSHOT_ID_SIZE, ERR_VALIDATION},
        {BROKER_SNAPSHOT_REMOVE, 0, ERR_VALIDATION},
        {BROKER_SNAPSHOT_LIST, 1, ERR_VALIDATION},
        {0, 0, ERR_VALIDATION},
        {99, 0, ERR_VALIDATION},
        {BROKER_IMAGES, 0, ERR_VALIDATION},
        {BROKER_IMAGES, IMAGE_SIZE, ERR_VALIDATION},
        {BROKER_IMAGE_ADOPT, 1, ERR_VALIDATION},
        {BROKER_DISCARD, sizeof(struct engine_template), ERR_VALIDATION},
        {BROKER_STATS, sizeof(noise), -1},
    };

    (void)state;
    memset(noise, 'x', sizeof(noise));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu\n", i);
        assert_int_equal(broker_ask(cases[i].operation, noise, cases[i].length), cases[i].code);
    }
}

/* Ask for a pull or build, with @fd along (-1: none); the pieces of its log come first. */
static int
ask_logged(uint32_t operation, const struct engine_template *t, int fd)
{
    struct broker_request request = {.operation = operation, .length = sizeof(*t)};
    struct broker_piece piece = {.length = 1};
    struct broker_reply reply = {0};
    int peer = broker_dial();

    assert_int_equal(broker_write_with_fd(peer, &request, sizeof(request), fd), 0);
    assert_int_equal(broker_write(peer, t, sizeof(*t)), 0);
    assert_int_equal(broker_read(peer, &piece, sizeof(piece)), 0);
    assert_int_equal(piece.length, 0);
    assert_int_equal(broker_read(peer, &reply, sizeof(reply)), 0);
    close(peer);
    return (int)reply.error.code;
}

static void
templates_are_checked_again(void **state)
{
    static const struct {
        uint32_t operation;
        struct engine_template t;
        enum error_code code;
    } cases[] = {
        {BROKER_IMAGE_ADOPT, {"good", "image:1"}, ERR_DOCKER_DOWN},
        {BROKER_IMAGE_ADOPT, {"", "image:1"}, ERR_VALIDATION},
        {BROKER_IMAGE_ADOPT, {"good", ""}, ERR_VALIDATION},
        {BROKER_IMAGE_ADOPT, {"../x", "image:1"}, ERR_VALIDATION},
        {BROKER_IMAGE_ADOPT, {"Good", "image:1"}, ERR_VALIDATION},
        {BROKER_IMAGE_ADOPT, {"good", "a/../b"}, ERR_VALIDATION},
        {BROKER_IMAGE_ADOPT, {"good", "a?b"}, ERR_VALIDATION},
        {BROKER_DISCARD, {"good", ""}, ERR_DOCKER_DOWN},
        {BROKER_DISCARD, {"", "image:1"}, ERR_VALIDATION},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu\n", i);
        assert_int_equal(broker_ask(cases[i].operation, &cases[i].t, sizeof(cases[i].t)),
                         cases[i].code);
    }
    assert_int_equal(ask_logged(BROKER_PULL, &cases[0].t, -1), ERR_DOCKER_DOWN);
    assert_int_equal(ask_logged(BROKER_PULL, &cases[2].t, -1), ERR_VALIDATION);
    assert_int_equal(ask_logged(BROKER_PULL, &cases[3].t, -1), ERR_VALIDATION);
    assert_int_equal(ask_logged(BROKER_BUILD, &cases[1].t, -1), ERR_VALIDATION);
}

static void
a_build_context_must_be_one_that_nobody_can_change(void **state)
{
    static const struct engine_template t = {.name = "good"};
    static const int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
    int open_one = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int half = memfd_create("half", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int large = memfd_create("large", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    int ends[2];

    (void)state;
    assert_true(open_one >= 0 && half >= 0 && sealed >= 0 && large >= 0 && file >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(half, F_ADD_SEALS, F_SEAL_GROW), 0);
    assert_int_equal(fcntl(sealed, F_ADD_SEALS, all), 0);
    assert_int_equal(ftruncate(large, (off_t)64 << 20), 0);
    assert_int_equal(fcntl(large, F_ADD_SEALS, all), 0);
    assert_int_equal(ask_logged(BROKER_BUILD, &t, -1), ERR_VALIDATION);
    assert_int_equal(ask_logged(BROKER_BUILD, &t, file), ERR_VALIDATION);
    assert_int_equal(ask_logged(BROKER_BUILD, &t, ends[0]), ERR_VALIDATION);
    assert_int_equal(ask_logged(BROKER_BUILD, &t, open_one), ERR_VALIDATION);
    assert_int_equal(ask_logged(BROKER_BUILD, &t, half), ERR_VALIDATION);
    assert_int_equal(ask_logged(BROKER_BUILD, &t, large), ERR_VALIDATION);
    assert_int_equal(ask_logged(BROKER_BUILD, &t, sealed), ERR_DOCKER_DOWN);
    for (size_t i = 0; i < 2; i++)
        close(ends[i]);
    close(open_one);
    close(half);
    close(sealed);
    close(large);
    close(file);
}

/* How many descriptors the broker holds. */
static size_t
broker_descriptors(void)
{
    char path[64];
    DIR *dir;
    size_t count = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)broker.pid);
    dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir)) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        count++;
    closedir(dir);
    return count;
}

static void
descriptors_that_nobody_asked_for_are_closed(void **state)
{
    int fds[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC), open("/dev/null", O_RDONLY | O_CLOEXEC)};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(fds))];
    } control = {0};
    struct broker_request request = {.operation = 99};
    struct iovec part = {.iov_base = &request, .iov_len = sizeof(request)};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    struct broker_reply reply;
    size_t before = broker_descriptors();

    (void)state;
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(c), fds, sizeof(fds));
    for (int i = 0; i < 100; i++) {
        int peer = broker_dial();

        assert_int_equal(sendmsg(peer, &m, MSG_NOSIGNAL), sizeof(request));
        assert_int_equal(broker_read(peer, &reply, sizeof(reply)), 0);
        assert_int_equal(reply.error.code, ERR_VALIDATION);
        close(peer);
    }
    assert_true(broker_descriptors() < before + 50);
    close(fds[0]);
    close(fds[1]);
}

static void
a_stranger_gets_no_word(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        if (setresuid(STRANGER_UID, STRANGER_UID, STRANGER_UID) < 0)
            _exit(2);
        _exit(broker_ask(BROKER_INFO, NULL, 0) == -1 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_sizes_are_refused),
        cmocka_unit_test(templates_are_checked_again),
        cmocka_unit_test(a_build_context_must_be_one_that_nobody_can_change),
        cmocka_unit_test(descriptors_that_nobody_asked_for_are_closed),
        cmocka_unit_test(a_stranger_gets_no_word),
    };

    return sodium_init() < 0 ? 1
                             : cmocka_run_group_tests_name("broker", tests, broker_world_open,
                                                           broker_world_close);
}
