/* backend/guest/control.c with a real guest (guest_world.h), and with ones that answer badly. */
#include "tests/unit/guest_world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/guest/connect.h"
#include "backend/guest/control.h"
#include "backend/guest/protocol.h"

enum { MANY = 600, OTHER_UID = 34567, SILENT = 9 };

/* An execution for a thread of its own; its outcome is looked at after joining. */
struct job {
    uint64_t id;
    const char *script;
    struct outcome outcome;
    pthread_t thread;
};

static void *
run_job(void *p)
{
    struct job *job = p;
    const char *const argv[] = {"sh", "-c", job->script, NULL};
    const struct guest_command command = {
        .id = job->id,
        .argv = argv,
        .timeout_ms = TIMEOUT_MS,
        .cancel_fd = -1,
    };

    world_run_in(world.run, &command, &job->outcome);
    return NULL;
}

static void
start_job(struct job *job)
{
    assert_int_equal(pthread_create(&job->thread, NULL, run_job, job), 0);
}

static void
wait_for_commands(int count)
{
    int tries;

    for (tries = 0; tries < PATIENCE_MS / 5 && world_count_commands() < count; tries++)
        world_pause_ms(5);
    assert_true(world_count_commands() >= count);
}

static void
a_running_command_is_killed_with_all_it_started(void **state)
{
    struct job job = {
        .id = UINT64_C(0xfedcba9876543210),
        .script = "trap '' TERM; echo on; (setsid sh -c 'sleep 999 & sleep 999' &); sleep 999",
    };

    (void)state;
    start_job(&job);
    wait_for_commands(3); /* the main one has forked: the guest has long noted its id */
    assert_int_equal(guest_kill(world.run, job.id, NULL), 0);
    pthread_join(job.thread, NULL);
    assert_int_equal(job.outcome.r, 0);
    assert_int_equal(job.outcome.result.end, GUEST_KILLED);
    assert_int_equal(job.outcome.result.signal, SIGKILL);
    assert_false(job.outcome.result.oom_killed);
    assert_string_equal(job.outcome.stdout_text, "on\n");
    assert_int_equal(world_count_commands(), 0);
    outcome_done(&job.outcome);
    assert_int_equal(guest_kill(world.run, job.id, NULL), -ENOENT);
    assert_world_works();
}

static void
the_kill_of_one_leaves_the_others_alone(void **state)
{
    struct job killed = {.id = 7, .script = "sleep 999 & wait"};
    struct job other = {.id = 8,
                        .script = "while [ ! -e /tmp/go ]; do usleep 10000; done; echo done"};
    struct outcome o;

    (void)state;
    start_job(&killed);
    wait_for_commands(2);
    start_job(&other);
    wait_for_commands(3);
    assert_int_equal(guest_kill(world.run, killed.id, NULL), 0);
    pthread_join(killed.thread, NULL);
    assert_int_equal(killed.outcome.result.end, GUEST_KILLED);
    world_run_shell("touch /tmp/go", TIMEOUT_MS, &o);
    outcome_done(&o);
    pthread_join(other.thread, NULL);
    assert_int_equal(other.outcome.r, 0);
    assert_string_equal(other.outcome.stdout_text, "done\n");
    outcome_done(&killed.outcome);
    outcome_done(&other.outcome);
}

static void
what_does_not_run_is_not_found(void **state)
{
    const uint64_t ids[] = {0, 1, UINT64_MAX};
    struct job unnamed = {.script = "while [ ! -e /tmp/unnamed ]; do usleep 10000; done; echo end"};
    struct error err = {0};
    struct outcome o;
    size_t i;

    (void)state;
    start_job(&unnamed); /* its id is 0, which nobody can ask for */
    wait_for_commands(1);
    for (i = 0; i < ARRAY_LEN(ids); i++) {
        error_clear(&err);
        assert_int_equal(guest_kill(world.run, ids[i], &err), -ENOENT);
        assert_int_equal(err.code, ERR_NOT_FOUND);
    }
    world_run_shell("touch /tmp/unnamed", TIMEOUT_MS, &o);
    outcome_done(&o);
    pthread_join(unnamed.thread, NULL);
    assert_string_equal(unnamed.outcome.stdout_text, "end\n");
    outcome_done(&unnamed.outcome);
    assert_int_equal(guest_kill("/nowhere", 1, &err), -ENOTCONN);
}

/* Start detached executions until the guest has no room for another. Returns how many. */
static uint64_t
fill_guest(void)
{
    static const char *const argv[] = {"sleep", "999", NULL};
    struct guest_command command = {.argv = argv, .timeout_ms = 100 * TIMEOUT_MS};
    struct guest_result result;
    struct capture errout;
    bool ended = false;
    int r = 0, fd;

    capture_init(&errout, CAP);
    while (r == 0 && command.id < MANY) {
        command.id++;
        assert_int_equal(guest_connect(world.run, &fd, NULL), 0);
        r = guest_detach(fd, &command, CAP, &errout, &ended, &result, NULL);
        close(fd);
        assert_false(ended);
    }
    capture_done(&errout);
    assert_int_equal(r, -EMLINK);
    return command.id - 1;
}

static void
a_kill_needs_no_process(void **state)
{
    uint64_t count = fill_guest(), id;
    int tries;

    (void)state;
    assert_in_range(count, 100, MANY - 1);
    for (id = 1; id <= count; id++)
        assert_int_equal(guest_kill(world.run, id, NULL), 0);
    for (tries = 0; tries < PATIENCE_MS / 5 && world_count_commands() > 0; tries++)
        world_pause_ms(5);
    assert_int_equal(world_count_commands(), 0);
    for (id = 1; id <= count; id++)
        assert_int_equal(guest_forget(world.run, id, NULL), 0);
    assert_world_works();
}

static int
connect_control(void)
{
    int fd;

    assert_int_equal(guest_connect_to(world.run, GUEST_CONTROL_SOCKET, SOCK_SEQPACKET, &fd, NULL),
                     0);
    return fd;
}

/* Peers that say nothing, more of them than the guest holds: others are served all the same. */
static void
silent_peers_do_not_matter(void **state)
{
    int fds[SILENT], i;

    (void)state;
    for (i = 0; i < SILENT; i++)
        fds[i] = connect_control();
    assert_world_works();
    assert_int_equal(guest_kill(world.run, 1, NULL), -ENOENT);
    for (i = 0; i < SILENT; i++)
        close(fds[i]);
    assert_int_equal(guest_kill(world.run, 1, NULL), -ENOENT);
}

static void
bad_packets_are_refused(void **state)
{
    static const struct {
        struct guest_control request;
        size_t len;
    } packets[] = {
        {{.magic = 1, .type = GUEST_CONTROL_FORGET, .value = 1}, sizeof(struct guest_control)},
        {{.magic = GUEST_REQUEST_MAGIC, .value = 1}, sizeof(struct guest_control)},
        {{.magic = GUEST_REQUEST_MAGIC, .type = 4, .value = 1}, sizeof(struct guest_control)},
        {{.magic = GUEST_REQUEST_MAGIC, .type = GUEST_CONTROL_FORGET, .value = 1}, 8},
        {{.magic = GUEST_REQUEST_MAGIC, .type = GUEST_CONTROL_FORGET, .value = 1},
         sizeof(struct guest_control) + 1},
        {{.magic = GUEST_REQUEST_MAGIC, .type = GUEST_CONTROL_ADOPT, .value = 0},
         sizeof(struct guest_control)},
        {{.magic = GUEST_REQUEST_MAGIC, .type = GUEST_CONTROL_ADOPT, .value = UINT32_MAX},
         sizeof(struct guest_control)},
        {{.magic = GUEST_REQUEST_MAGIC, .type = GUEST_CONTROL_ADOPT, .value = UINT64_C(1) << 32},
         sizeof(struct guest_control)},
    };
    size_t i;

    (void)state;
    for (i = 0; i < ARRAY_LEN(packets); i++) {
        char bytes[sizeof(struct guest_control) + 1] = {0};
        int32_t answer = -1;
        int fd = connect_control();

        memcpy(bytes, &packets[i].request, sizeof(struct guest_control));
        assert_int_equal(send(fd, bytes, packets[i].len, 0), packets[i].len);
        assert_int_equal(recv(fd, &answer, sizeof(answer), 0), sizeof(answer));
        assert_int_equal(answer, EINVAL);
        close(fd);
    }
    assert_world_works();
}

/* What a container's user finds. */
static void
assert_user(unsigned uid, unsigned gid)
{
    const char *const argv[] = {
        "sh", "-c",
        "id; whoami; stat -c '%a %u %g %n' ~ /workspace; touch ~/x && ls ~; rm ~/x; "
        "grep -c sandbox /etc/passwd; stat -c '%a %u' / /home /etc/passwd",
        NULL};
    const struct guest_command command = {.argv = argv, .timeout_ms = TIMEOUT_MS, .cancel_fd = -1};
    char expected[512];
    struct outcome o;

    world_run_in(world.run, &command, &o);
    assert_int_equal(o.r, 0);
    snprintf(expected, sizeof(expected),
             "uid=%u(sandbox) gid=%u(sandbox)\nsandbox\n700 %u %u /home/sandbox\n"
             "700 %u %u /workspace\nx\n1\n755 0\n755 0\n644 0\n",
             uid, gid, uid, gid, uid, gid);
    assert_string_equal(o.stdout_text, expected);
    assert_string_equal(o.stderr_text, "");
    outcome_done(&o);
}

static void
an_adopted_container_is_its_users(void **state)
{
    (void)state;
    assert_int_equal(guest_adopt(world.run, OTHER_UID, OTHER_UID, NULL), 0);
    assert_user(OTHER_UID, OTHER_UID);
    assert_int_equal(guest_adopt(world.run, OTHER_UID, OTHER_UID, NULL), 0);
    assert_user(OTHER_UID, OTHER_UID);
    assert_int_equal(guest_adopt(world.run, OTHER_UID + 1, OTHER_UID + 2, NULL), 0);
    assert_user(OTHER_UID + 1, OTHER_UID + 2);
    assert_int_equal(guest_adopt(world.run, 0, OTHER_UID, NULL), -EIO);
    assert_int_equal(guest_adopt(world.run, OTHER_UID, 0, NULL), -EIO);
    assert_user(OTHER_UID + 1, OTHER_UID + 2);
}

/* Mount something over the workspace, in the world's namespace. */
static void
mount_workspace(void)
{
    char path[64];
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        int ns, root;

        snprintf(path, sizeof(path), "/proc/%d/ns/mnt", world.pid);
        ns = open(path, O_RDONLY);
        snprintf(path, sizeof(path), "/proc/%d/root", world.pid);
        root = open(path, O_RDONLY | O_DIRECTORY);
        _exit(ns >= 0 && root >= 0 && setns(ns, CLONE_NEWNS) == 0 && fchdir(root) == 0 &&
                      mount("none", "workspace", "tmpfs", 0, "mode=750") == 0
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void
a_mounted_workspace_is_left_alone(void **state)
{
    struct outcome o;

    (void)state;
    mount_workspace();
    assert_int_equal(guest_adopt(world.run, TEST_UID, TEST_UID, NULL), 0);
    world_run_shell("stat -c '%a %u' /workspace ~", TIMEOUT_MS, &o);
    assert_int_equal(o.r, 0);
    assert_string_equal(o.stdout_text, "750 0\n700 23456\n");
    outcome_done(&o);
}

/* Answers that no guest of ours gives. */
static const struct {
    const char *name;
    const char *bytes;
    size_t len;
} answers[] = {
    {"none", NULL, 0},
    {"a short one", "\0\0", 2},
    {"a long one", "\0\0\0\0\0", 5},
    {"a negative one", "\xff\xff\xff\xff", 4},
    {"no errno", "\0\0\0\1", 4},
};

static void
bad_answers_are_errors(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/test-guest-XXXXXX";
    size_t i;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, GUEST_CONTROL_SOCKET);
    for (i = 0; i < ARRAY_LEN(answers); i++) {
        int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        struct error err = {0};
        pid_t pid;

        print_message("  %s\n", answers[i].name);
        assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(listener, 1), 0);
        pid = fork();
        if (pid == 0) {
            char request[64];
            int fd = accept(listener, NULL, NULL);

            if (recv(fd, request, sizeof(request), 0) > 0 && answers[i].bytes)
                send(fd, answers[i].bytes, answers[i].len, MSG_NOSIGNAL);
            _exit(0);
        }
        assert_int_equal(guest_forget(dir, 1, &err), -EIO);
        assert_int_equal(err.code, ERR_INTERNAL);
        close(listener);
        waitpid(pid, NULL, 0);
        unlink(address.sun_path);
    }
    rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_answers_are_errors),
        cmocka_unit_test(a_running_command_is_killed_with_all_it_started),
        cmocka_unit_test(the_kill_of_one_leaves_the_others_alone),
        cmocka_unit_test(what_does_not_run_is_not_found),
        cmocka_unit_test(a_kill_needs_no_process),
        cmocka_unit_test(silent_peers_do_not_matter),
        cmocka_unit_test(bad_packets_are_refused),
        cmocka_unit_test(an_adopted_container_is_its_users),
        cmocka_unit_test(a_mounted_workspace_is_left_alone),
    };

    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
