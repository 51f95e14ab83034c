/*
 * The broker as its callers meet it: a real broker in a process of its own, without an engine
 * behind it, and requests that a captured worker might make up.
 */
#include "tests/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "backend/broker/broker.h"
#include "backend/broker/protocol.h"
#include "backend/cleanup.h"
#include "backend/engine.h"

enum { STRANGER_UID = 65534 };

/* The state directory and the broker's process. */
static struct {
    char dir[64];
    pid_t pid;
} broker;

static int
listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 64) < 0 ||
        chmod(path, 0777) < 0)
        return -1;
    return fd;
}

static int
setup(void **state)
{
    static const char *const directories[] = {"run", "guests", "slots", "workspaces"};
    static struct service_context ctx;
    char path[100];
    struct current *current = NULL;
    int fd;

    (void)state;
    snprintf(broker.dir, sizeof(broker.dir), "/tmp/test-broker.XXXXXX");
    if (!mkdtemp(broker.dir) || chmod(broker.dir, 0755) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
        snprintf(path, sizeof(path), "%s/%s", broker.dir, directories[i]);
        if (mkdir(path, 0755) < 0)
            return -1;
    }
    snprintf(path, sizeof(path), "%s/run/broker.sock", broker.dir);
    fd = listen_at(path);
    if (current_new("yaml", &current, NULL) < 0)
        return -1;
    ctx = (struct service_context){
        .current = current,
        .state_dir = broker.dir,
        .docker_host = "unix:///nonexistent/docker.sock",
        .guest_binary = "/nonexistent/sandbox-guest",
        .uid = getuid(),
        .gid = getgid(),
    };
    if (backend_instance(&ctx, NULL) < 0)
        return -1;
    broker.pid = fork();
    if (broker.pid == 0)
        _exit(broker_main(&ctx, fd));
    close(fd);
    return broker.pid > 0 && fd >= 0 ? 0 : -1;
}

static int
teardown(void **state)
{
    static const char *const left[] = {"run/broker.sock", "instance", "run",
                                       "guests",          "slots",    "workspaces"};
    char path[100];
    int status = 0;

    (void)state;
    kill(broker.pid, SIGTERM);
    waitpid(broker.pid, &status, 0);
    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        snprintf(path, sizeof(path), "%s/%s", broker.dir, left[i]);
        if (remove(path) < 0 && errno != ENOENT)
            print_error("%s: left over\n", path);
    }
    return rmdir(broker.dir) < 0 || status != 0;
}

static int
dial(void)
{
    const struct timeval timeout = {.tv_sec = 20};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/broker.sock", broker.dir);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Ask with these bytes. Returns the reply's code, or -1 where the broker hung up without one. */
static int
ask(uint32_t operation, const void *payload, size_t length)
{
    struct broker_request request = {.operation = operation, .length = (uint32_t)length};
    struct broker_reply reply = {0};
    int fd = dial();
    int r;

    /* It may hang up before it has taken all: what counts is what it says. */
    if (broker_write(fd, &request, sizeof(request)) == 0)
        broker_write(fd, payload, length);
    r = broker_read(fd, &reply, sizeof(reply));
    close(fd);
    return r < 0 ? -1 : (int)reply.error.code;
}

/* A spec that the broker accepts, and then fails for want of an engine. */
static struct engine_spec
good_spec(void)
{
    return (struct engine_spec){
        .id = "container_0123456789ab",
        .owner = "alice",
        .workspace = "agent",
        .image = "sandbox-base:latest",
        .runtime = "runc",
        .uid = 200000,
        .workspace_access = ACCESS_RW,
        .limits = {.cpu_cores = 1,
                   .memory_mb = 64,
                   .disk_mb = 64,
                   .max_processes = 8,
                   .timeout_seconds = 10},
    };
}

static void
without_an_engine_the_answer_says_so(void **state)
{
    struct engine *e = engine_new(broker.dir);
    struct engine_info info;
    struct error err = {0};

    (void)state;
    assert_non_null(e);
    assert_int_equal(engine_info(e, &info, &err), -EHOSTDOWN);
    assert_int_equal(err.code, ERR_DOCKER_DOWN);
    assert_true(err.retry_after_seconds > 0);
    engine_free(e);
}

typedef void (*spoil_fn)(struct engine_spec *);

static void
spoil_nothing(struct engine_spec *s)
{
    (void)s;
}
static void
spoil_id(struct engine_spec *s)
{
    memcpy(s->id, "../../etc", 10);
}
static void
spoil_id_end(struct engine_spec *s)
{
    memset(s->id, 'a', sizeof(s->id));
}
static void
spoil_owner(struct engine_spec *s)
{
    memcpy(s->owner, "..", 3);
}
static void
spoil_owner_end(struct engine_spec *s)
{
    memset(s->owner, 'a', sizeof(s->owner));
}
static void
spoil_workspace(struct engine_spec *s)
{
    memcpy(s->workspace, "a/../../b", 10);
}
static void
spoil_image(struct engine_spec *s)
{
    memcpy(s->image, "evil:latest", 12);
}
static void
spoil_runtime(struct engine_spec *s)
{
    memcpy(s->runtime, "evil", 5);
}
static void
spoil_uid_root(struct engine_spec *s)
{
    s->uid = 0;
}
static void
spoil_uid_far(struct engine_spec *s)
{
    s->uid = INT64_C(1) << 32;
}
static void
spoil_access(struct engine_spec *s)
{
    s->workspace_access = (enum access)9;
}
static void
spoil_memory(struct engine_spec *s)
{
    s->limits.memory_mb = -1;
}
static void
spoil_cpu(struct engine_spec *s)
{
    s->limits.cpu_cores = 0;
}
static void
spoil_pids(struct engine_spec *s)
{
    s->limits.max_processes = 0;
}
static void
spoil_gpus(struct engine_spec *s)
{
    s->gpu_mask = 1;
}

static void
specs_are_checked_again(void **state)
{
    static const struct {
        const char *name;
        spoil_fn spoil;
        enum error_code code;
    } cases[] = {
        {"good", spoil_nothing, ERR_DOCKER_DOWN},
        {"id is a path", spoil_id, ERR_VALIDATION},
        {"id without end", spoil_id_end, ERR_VALIDATION},
        {"owner is a path", spoil_owner, ERR_VALIDATION},
        {"owner without end", spoil_owner_end, ERR_VALIDATION},
        {"workspace is a path", spoil_workspace, ERR_VALIDATION},
        {"image of no template", spoil_image, ERR_VALIDATION},
        {"runtime of no tier", spoil_runtime, ERR_VALIDATION},
        {"uid 0", spoil_uid_root, ERR_VALIDATION},
        {"uid over the range", spoil_uid_far, ERR_VALIDATION},
        {"access unknown", spoil_access, ERR_VALIDATION},
        {"memory negative", spoil_memory, ERR_VALIDATION},
        {"no cpu", spoil_cpu, ERR_VALIDATION},
        {"no processes", spoil_pids, ERR_VALIDATION},
        {"a GPU that no tier gives", spoil_gpus, ERR_VALIDATION},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_spec spec = good_spec();

        print_message("case %s\n", cases[i].name);
        cases[i].spoil(&spec);
        assert_int_equal(ask(BROKER_CREATE, &spec, sizeof(spec)), cases[i].code);
    }
}

static void
rollbacks_are_checked_as_creations_are(void **state)
{
    static const struct {
        const char *name, *snapshot_id;
        spoil_fn spoil;
        enum error_code code;
    } cases[] = {
        {"good", "snapshot_0123456789ab", spoil_nothing, ERR_DOCKER_DOWN},
        {"image of no template", "snapshot_0123456789ab", spoil_image, ERR_DOCKER_DOWN},
        {"runtime of no tier", "snapshot_0123456789ab", spoil_runtime, ERR_VALIDATION},
        {"id is a path", "snapshot_0123456789ab", spoil_id, ERR_VALIDATION},
        {"uid 0", "snapshot_0123456789ab", spoil_uid_root, ERR_VALIDATION},
        {"no processes", "snapshot_0123456789ab", spoil_pids, ERR_VALIDATION},
        {"snapshot is a tag", "latest", spoil_nothing, ERR_VALIDATION},
        {"snapshot is a path", "snapshot_../../6789ab", spoil_nothing, ERR_VALIDATION},
        {"snapshot is a container", "container_0123456789a", spoil_nothing, ERR_VALIDATION},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct broker_rollback_request q = {.spec = good_spec()};

        print_message("case %s\n", cases[i].name);
        cases[i].spoil(&q.spec);
        snprintf(q.snapshot_id, sizeof(q.snapshot_id), "%s", cases[i].snapshot_id);
        assert_int_equal(ask(BROKER_ROLLBACK, &q, sizeof(q)), cases[i].code);
    }
}

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
        {BROKER_STATS, sizeof(noise), -1},
    };

    (void)state;
    memset(noise, 'x', sizeof(noise));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case %zu\n", i);
        assert_int_equal(ask(cases[i].operation, noise, cases[i].length), cases[i].code);
    }
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
        _exit(ask(BROKER_INFO, NULL, 0) == -1 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_engine_the_answer_says_so),
        cmocka_unit_test(specs_are_checked_again),
        cmocka_unit_test(rollbacks_are_checked_as_creations_are),
        cmocka_unit_test(wrong_sizes_are_refused),
        cmocka_unit_test(a_stranger_gets_no_word),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("broker", tests, setup, teardown);
}
