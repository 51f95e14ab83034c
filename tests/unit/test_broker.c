/*
 * The broker as its callers meet it: a real broker in a process of its own, without an engine
 * behind it, and requests that a captured worker might make up.
 */
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

/* The shipped YAML, and an access.yaml with a user who has an account. */
static int
make_yaml(void)
{
    static const char *const shipped[] = {"sandbox.yaml", "tiers.yaml", "templates.yaml"};
    char path[100], target[PATH_MAX + 32], cwd[PATH_MAX];
    FILE *f;

    for (size_t i = 0; i < ARRAY_LEN(shipped); i++) {
        snprintf(path, sizeof(path), "%s/yaml/%s", broker.dir, shipped[i]);
        snprintf(target, sizeof(target), "%s/yaml/%s", getcwd(cwd, sizeof(cwd)), shipped[i]);
        if (symlink(target, path) < 0)
            return -1;
    }
    snprintf(path, sizeof(path), "%s/yaml/access.yaml", broker.dir);
    f = fopen(path, "w");
    if (!f)
        return -1;
    fputs("users:\n  alice: {role: user}\n"
          "  carla: {role: user, run_as: {uid: 1234, gid: 1235}}\n",
          f);
    return fclose(f);
}

static int
setup(void **state)
{
    static const char *const directories[] = {"run", "guests", "slots", "workspaces", "yaml"};
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
    snprintf(path, sizeof(path), "%s/yaml", broker.dir);
    if (make_yaml() < 0 || current_new(path, &current, NULL) < 0)
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
    static const char *const left[] = {"run/broker.sock",
                                       "yaml/sandbox.yaml",
                                       "yaml/tiers.yaml",
                                       "yaml/templates.yaml",
                                       "yaml/access.yaml",
                                       "instance",
                                       "run",
                                       "guests",
                                       "slots",
                                       "workspaces",
                                       "yaml"};
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
        .gid = 200000,
        .workspace_access = ACCESS_RW,
        .network = NETWORK_RESTRICTED,
        .limits = {.cpu_cores = 1,
                   .memory_mb = 64,
                   .disk_mb = 64,
                   .max_processes = 8,
                   .timeout_seconds = 10},
    };
}

/* A captured worker asks for limits by the name of a tier, never by figures. */
static void
limits_are_those_of_a_tier_that_there_is(void **state)
{
    static const struct {
        struct broker_refit_request request;
        int code;
    } cases[] = {
        {{"container_0123456789ab", "Standard"}, ERR_DOCKER_DOWN},
        {{"container_0123456789ab", "sTANDARD"}, ERR_DOCKER_DOWN},
        {{"container_0123456789ab", "Gold"}, ERR_VALIDATION},
        {{"container_0123456789ab", ""}, ERR_VALIDATION},
        {{"container_../../etc", "Standard"}, ERR_VALIDATION},
        {{"", "Standard"}, ERR_VALIDATION},
    };
    struct broker_refit_request endless = {.id = "container_0123456789ab"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("%s, %s\n", cases[i].request.id, cases[i].request.tier);
        assert_int_equal(ask(BROKER_REFIT, &cases[i].request, sizeof(cases[i].request)),
                         cases[i].code);
    }
    memset(endless.tier, 'a', sizeof(endless.tier));
    assert_int_equal(ask(BROKER_REFIT, &endless, sizeof(endless)), ERR_VALIDATION);
    assert_int_equal(ask(BROKER_REFIT, &endless, sizeof(endless) - 1), ERR_VALIDATION);
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
spoil_gid(struct engine_spec *s)
{
    s->gid = 200001;
}
static void
spoil_gid_root(struct engine_spec *s)
{
    s->gid = 0;
}
/* As carla's account, whoever the owner is. */
static void
spoil_account(struct engine_spec *s)
{
    s->uid = 1234;
    s->gid = 1235;
}
static void
give_account(struct engine_spec *s)
{
    memcpy(s->owner, "carla", 6);
    spoil_account(s);
}
static void
spoil_account_group(struct engine_spec *s)
{
    give_account(s);
    s->gid = 1234;
}
static void
spoil_account_none(struct engine_spec *s)
{
    memcpy(s->owner, "carla", 6);
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
spoil_network(struct engine_spec *s)
{
    s->network = (enum network)4;
}
static void
spoil_network_unset(struct engine_spec *s)
{
    s->network = NETWORK_UNSET;
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
        {"a network that there is not", spoil_network, ERR_VALIDATION},
        {"no network's name", spoil_network_unset, ERR_VALIDATION},
        {"uid over the range", spoil_uid_far, ERR_VALIDATION},
        {"another gid", spoil_gid, ERR_VALIDATION},
        {"gid 0", spoil_gid_root, ERR_VALIDATION},
        {"another's account", spoil_account, ERR_VALIDATION},
        {"their own account", give_account, ERR_DOCKER_DOWN},
        {"their own account and another group", spoil_account_group, ERR_VALIDATION},
        {"not their own account", spoil_account_none, ERR_VALIDATION},
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
spoil_owner_none(struct engine_spec *s)
{
    s->owner[0] = '\0';
}
static void
spoil_uid_pool(struct engine_spec *s)
{
    s->uid = s->gid = 265535;
}
static void
spoil_access_none(struct engine_spec *s)
{
    s->workspace_access = ACCESS_NONE;
}

/* What the pool has is nobody's, as the uid of nobody; it is given to somebody, as theirs. */
static void
the_pool_has_no_owner_and_others_do(void **state)
{
    static const struct {
        const char *name;
        enum broker_operation operation;
        bool ownerless;
        spoil_fn spoil;
        enum error_code code;
    } cases[] = {
        {"warm", BROKER_WARM, true, spoil_nothing, ERR_DOCKER_DOWN},
        {"warm with an owner", BROKER_WARM, true, spoil_owner, ERR_VALIDATION},
        {"warm with a workspace", BROKER_WARM, true, spoil_workspace, ERR_VALIDATION},
        {"warm as an owner's uid", BROKER_WARM, false, spoil_owner_none, ERR_VALIDATION},
        {"warm of another image", BROKER_WARM, true, spoil_image, ERR_VALIDATION},
        {"warm without a workspace's place", BROKER_WARM, true, spoil_access_none, ERR_VALIDATION},
        {"create as the pool's uid", BROKER_CREATE, false, spoil_uid_pool, ERR_VALIDATION},
        {"create without an owner", BROKER_CREATE, true, spoil_nothing, ERR_VALIDATION},
        {"start as the pool's uid", BROKER_START, false, spoil_uid_pool, ERR_VALIDATION},
        {"start from before the account", BROKER_START, false, spoil_account_none, ERR_DOCKER_DOWN},
        {"start as another's account", BROKER_START, false, spoil_account, ERR_CONFLICT},
        {"adopt as their account", BROKER_ADOPT, false, give_account, ERR_DOCKER_DOWN},
        {"adopt as another's account", BROKER_ADOPT, false, spoil_account, ERR_VALIDATION},
        {"adopt", BROKER_ADOPT, false, spoil_nothing, ERR_DOCKER_DOWN},
        {"adopt without an owner", BROKER_ADOPT, true, spoil_nothing, ERR_VALIDATION},
        {"adopt as the pool's uid", BROKER_ADOPT, false, spoil_uid_pool, ERR_VALIDATION},
        {"adopt into another's path", BROKER_ADOPT, false, spoil_workspace, ERR_VALIDATION},
        {"adopt without a workspace", BROKER_ADOPT, false, spoil_access_none, ERR_VALIDATION},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_spec spec = good_spec();

        print_message("case %s\n", cases[i].name);
        if (cases[i].ownerless) {
            spec.owner[0] = spec.workspace[0] = '\0';
            spec.uid = spec.gid = 265535;
        }
        cases[i].spoil(&spec);
        assert_int_equal(ask(cases[i].operation, &spec, sizeof(spec)), cases[i].code);
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
        assert_int_equal(ask(cases[i].operation, noise, cases[i].length), cases[i].code);
    }
}

/* Ask for a pull or build, with @fd along (-1: none); the pieces of its log come first. */
static int
ask_logged(uint32_t operation, const struct engine_template *t, int fd)
{
    struct broker_request request = {.operation = operation, .length = sizeof(*t)};
    struct broker_piece piece = {.length = 1};
    struct broker_reply reply = {0};
    int peer = dial();

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
        assert_int_equal(ask(cases[i].operation, &cases[i].t, sizeof(cases[i].t)), cases[i].code);
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
        int peer = dial();

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
        cmocka_unit_test(limits_are_those_of_a_tier_that_there_is),
        cmocka_unit_test(specs_are_checked_again),
        cmocka_unit_test(the_pool_has_no_owner_and_others_do),
        cmocka_unit_test(rollbacks_are_checked_as_creations_are),
        cmocka_unit_test(wrong_sizes_are_refused),
        cmocka_unit_test(templates_are_checked_again),
        cmocka_unit_test(a_build_context_must_be_one_that_nobody_can_change),
        cmocka_unit_test(descriptors_that_nobody_asked_for_are_closed),
        cmocka_unit_test(a_stranger_gets_no_word),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests_name("broker", tests, setup, teardown);
}
