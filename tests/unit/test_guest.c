/*
 * backend/guest/inside/: executions in a real guest (guest_world.h), driven through guest_connect()
 * and guest_run().
 */
#include "tests/unit/guest_world.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <limits.h>
#include <unistd.h>

#include "backend/guest/protocol.h"

enum {
    FDS_MOST = 20, /* of one process of a guest at rest */
    IDLE_MOST = 2  /* supervisors of a guest at rest */
};

static const struct {
    const char *name;
    const char *script;
    enum guest_end end;
    int value;
    const char *out;
    const char *err;
} scripts[] = {
    {"success", "true", GUEST_EXITED, 0, "", ""},
    {"failure", "exit 7", GUEST_EXITED, 7, "", ""},
    {"the highest status", "exit 255", GUEST_EXITED, 255, "", ""},
    {"a signal", "kill -USR1 $$", GUEST_SIGNALED, SIGUSR1, "", ""},
    {"killed by itself", "kill -9 $$", GUEST_SIGNALED, SIGKILL, "", ""},
    {"two streams", "echo out; echo err >&2; echo out2", GUEST_EXITED, 0, "out\nout2\n", "err\n"},
    {"no input", "cat; echo end", GUEST_EXITED, 0, "end\n", ""},
    {"late output", "usleep 20000; echo one; usleep 20000; echo two", GUEST_EXITED, 0, "one\ntwo\n",
     ""},
    {"closed streams", "exec >&- 2>&-; usleep 20000; exit 3", GUEST_EXITED, 3, "", ""},
    {"directory", "pwd", GUEST_EXITED, 0, "/workspace\n", ""},
    {"home", "echo $HOME; stat -c '%a %u %g' $HOME /workspace; touch ~/x /workspace/x",
     GUEST_EXITED, 0, "/home/sandbox\n700 23456 23457\n700 23456 23457\n", ""},
    {"parents as they were", "stat -c '%a %u' / /home", GUEST_EXITED, 0, "755 0\n755 0\n", ""},
    {"user", "id", GUEST_EXITED, 0, "uid=23456(sandbox) gid=23457(sandbox)\n", ""},
    {"passwd", "cat /etc/passwd /etc/group; stat -c %a /etc/passwd", GUEST_EXITED, 0,
     "sandbox:x:23456:23457:sandbox:/home/sandbox:/bin/sh\nsandbox:x:23457:\n644\n", ""},
    {"privileges", "grep -E '^(Groups|Cap|NoNewPrivs|SigBlk)' /proc/self/status", GUEST_EXITED, 0,
     "Groups:\t \nSigBlk:\t0000000000000000\n"
     "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
     "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n",
     ""},
    {"session", "read a b c d pgrp session rest </proc/self/stat; [ $session = $$ ] && echo own",
     GUEST_EXITED, 0, "own\n", ""},
    {"limits", "ulimit -c; ulimit -Hc; umask", GUEST_EXITED, 0, "0\n0\n0022\n", ""},
    {"killed first", "cat /proc/self/oom_score_adj /proc/1/oom_score_adj", GUEST_EXITED, 0,
     "1000\n0\n", ""},
    {"descriptors",
     "for f in $(seq 0 99); do [ -e /proc/$$/fd/$f ] && echo $f; done; cat /proc/1/environ",
     GUEST_EXITED, 1, "0\n1\n2\n", "cat: can't open '/proc/1/environ': Permission denied\n"},
    {"PID 1 is out of reach",
     "for s in 1 2 9 15 19; do kill -$s 1 2>/dev/null && echo $s; done; "
     "cat /run/guest.sock",
     GUEST_EXITED, 1, "", "cat: can't open '/run/guest.sock': Permission denied\n"},
    {"environment", "echo $IMAGE $USER $LOGNAME $PATH", GUEST_EXITED, 0,
     "yes sandbox sandbox /bin:/usr/bin\n", ""},
};

static void
commands(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        struct outcome o;

        print_message("  %s\n", scripts[i].name);
        world_run_shell(scripts[i].script, TIMEOUT_MS, &o);
        assert_int_equal(o.r, 0);
        assert_string_equal(o.stdout_text, scripts[i].out);
        assert_string_equal(o.stderr_text, scripts[i].err);
        assert_int_equal(o.result.end, scripts[i].end);
        assert_int_equal(o.result.end == GUEST_EXITED ? o.result.exit_code : o.result.signal,
                         scripts[i].value);
        assert_false(o.result.oom_killed);
        assert_true(o.result.duration_us > 0);
        assert_true(o.result.max_memory_kib > 0);
        outcome_done(&o);
    }
}

/* A shell ignores signals of its own accord, so this asks without one. */
static void
no_signal_ignored(void **state)
{
    const char *const argv[] = {"grep", "^SigIgn", "/proc/self/status", NULL};
    const struct guest_command command = {.argv = argv, .timeout_ms = TIMEOUT_MS, .cancel_fd = -1};
    struct outcome o;

    (void)state;
    world_run_in(world.run, &command, &o);
    assert_int_equal(o.r, 0);
    assert_string_equal(o.stdout_text, "SigIgn:\t0000000000000000\n");
    outcome_done(&o);
}

static void
environment_and_directory(void **state)
{
    const char *const argv[] = {"sh", "-c", "echo $A:$IMAGE:$HOME; pwd", NULL};
    const char *const env[] = {"A=1=2", "IMAGE=", "HOME=/tmp", NULL};
    const struct guest_command command = {
        .argv = argv,
        .env = env,
        .cwd = "/tmp",
        .timeout_ms = TIMEOUT_MS,
        .cancel_fd = -1,
    };
    struct outcome o;

    (void)state;
    world_run_in(world.run, &command, &o);
    assert_int_equal(o.r, 0);
    assert_string_equal(o.stdout_text, "1=2::/tmp\n/tmp\n");
    outcome_done(&o);
}

/* Programs that cannot be run, and those that execvp(3) would run. */
static const struct {
    const char *program;
    const char *cwd;
    const char *path;
    const char *msg; /* on stderr; NULL: it runs */
    int exit_code;
} programs[] = {
    {"missing", NULL, NULL, "cannot execute 'missing': No such file or directory\n", 127},
    {"/bin/missing", NULL, NULL, "cannot execute '/bin/missing': No such file or directory\n", 127},
    {"", NULL, NULL, "cannot execute '': No such file or directory\n", 127},
    {"/etc/passwd", NULL, NULL, "cannot execute '/etc/passwd': Permission denied\n", 126},
    {"passwd", NULL, "PATH=/nowhere:/etc:/bin/sh", "cannot execute 'passwd': Permission denied\n",
     126},
    {"/tmp", NULL, NULL, "cannot execute '/tmp': Permission denied\n", 126},
    {"true", "/nowhere", NULL,
     "cannot enter the working directory '/nowhere': No such file or directory\n", 126},
    {"true", "/etc/passwd", NULL,
     "cannot enter the working directory '/etc/passwd': Not a directory\n", 126},
    {"true", NULL, "PATH=/bin", NULL, 0},
    {"true", NULL, "PATH=/nowhere:/etc:/bin", NULL, 0},
    {"true", "/bin", "PATH=/nowhere:", NULL, 0},
    {"./true", "/bin", "PATH=", NULL, 0},
    {"/tmp/script", NULL, NULL, NULL, 0},
    {"script", NULL, "PATH=/tmp", NULL, 0},
};

static void
program_lookup(void **state)
{
    struct outcome o;
    size_t i;

    (void)state;
    world_run_shell("echo '[ \"$1\" = argument ]' >/tmp/script; chmod 755 /tmp/script", TIMEOUT_MS,
                    &o);
    assert_int_equal(o.r, 0);
    assert_int_equal(o.result.exit_code, 0);
    outcome_done(&o);
    for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        const char *const argv[] = {programs[i].program, "argument", NULL};
        const char *const env[] = {programs[i].path, NULL};
        const struct guest_command command = {
            .argv = argv,
            .env = env,
            .cwd = programs[i].cwd,
            .timeout_ms = TIMEOUT_MS,
            .cancel_fd = -1,
        };

        print_message("  '%s' in %s\n", programs[i].program, programs[i].cwd);
        world_run_in(world.run, &command, &o);
        assert_int_equal(o.r, 0);
        assert_int_equal(o.result.end, GUEST_EXITED);
        assert_int_equal(o.result.exit_code, programs[i].exit_code);
        if (programs[i].msg)
            assert_string_equal(o.stderr_text, programs[i].msg);
        outcome_done(&o);
    }
}

/* Run @script with @len bytes of input. */
static void
run_with_input(const char *script, const char *input, size_t len, struct outcome *o)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct guest_command command = {
        .argv = argv,
        .timeout_ms = TIMEOUT_MS,
        .input = input,
        .input_len = len,
        .cancel_fd = -1,
    };

    world_run_in(world.run, &command, o);
}

static void
input(void **state)
{
    char *text = malloc(MEBIBYTE);
    struct outcome o;
    size_t i;

    (void)state;
    assert_non_null(text);
    for (i = 0; i < MEBIBYTE; i++)
        text[i] = (char)('a' + i % 23);

    run_with_input("cat", "hello", 5, &o);
    assert_int_equal(o.r, 0);
    assert_string_equal(o.stdout_text, "hello");
    outcome_done(&o);

    run_with_input("cat", text, MEBIBYTE, &o);
    assert_int_equal(o.r, 0);
    assert_int_equal(o.out.total, MEBIBYTE);
    assert_true(capture_truncated(&o.out));
    assert_int_equal(strlen(o.stdout_text), CAP);
    assert_memory_equal(o.stdout_text, text, CAP / 2);
    assert_memory_equal(o.stdout_text + CAP / 2, text + MEBIBYTE - CAP / 2, CAP / 2);
    outcome_done(&o);

    /* The command reads a little of it, nothing of it, or closes it and goes on. */
    run_with_input("head -c 3", text, MEBIBYTE, &o);
    assert_int_equal(o.r, 0);
    assert_string_equal(o.stdout_text, "abc");
    outcome_done(&o);
    run_with_input("true", text, MEBIBYTE, &o);
    assert_int_equal(o.r, 0);
    outcome_done(&o);
    run_with_input("exec <&-; usleep 50000; echo end", text, MEBIBYTE, &o);
    assert_int_equal(o.r, 0);
    assert_string_equal(o.stdout_text, "end\n");
    outcome_done(&o);
    free(text);
}

/* Requests with strings up to the protocol's limit, and beyond it. */
static void
large_requests(void **state)
{
    static const size_t sizes[] = {60 << 10, 100 << 10};
    char *text = calloc(1, GUEST_BODY_MAX + 1);
    struct outcome o;
    size_t i;

    (void)state;
    assert_non_null(text);
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const char *const argv[] = {"sh", "-c", "echo ${#1} ${#2}; cat", "x", text, text, NULL};
        char expected[64];
        const struct guest_command command = {
            .argv = argv,
            .timeout_ms = TIMEOUT_MS,
            .input = "input",
            .input_len = 5,
            .cancel_fd = -1,
        };

        memset(text, 'x', sizes[i]);
        world_run_in(world.run, &command, &o);
        assert_int_equal(o.r, 0);
        snprintf(expected, sizeof(expected), "%zu %zu\ninput", sizes[i], sizes[i]);
        assert_string_equal(o.stdout_text, expected);
        outcome_done(&o);
    }
    memset(text, 'x', GUEST_BODY_MAX);
    world_run_shell(text, TIMEOUT_MS, &o);
    assert_int_equal(o.r, -EINVAL);
    assert_int_equal(o.err.code, ERR_VALIDATION);
    outcome_done(&o);
    free(text);
}

static void
much_output(void **state)
{
    struct outcome o;

    (void)state;
    world_run_shell("seq 200000; seq 100000 >&2; echo end", TIMEOUT_MS, &o);
    assert_int_equal(o.r, 0);
    assert_int_equal(o.out.total, 1288895 + 4);
    assert_int_equal(o.errout.total, 588895);
    assert_int_equal(strlen(o.stdout_text), CAP);
    assert_memory_equal(o.stdout_text, "1\n2\n3\n", 6);
    assert_string_equal(o.stdout_text + CAP - 11, "200000\nend\n");
    assert_string_equal(o.stderr_text + CAP - 7, "100000\n");
    outcome_done(&o);
}

/* Trees that do not want to end: killed at the deadline, or when the command is done. */
static const struct {
    const char *name;
    const char *script;
    int64_t timeout_ms;
    enum guest_end end;
    const char *out;
} trees[] = {
    {"a busy one", "while :; do :; done", 300, GUEST_TIMED_OUT, ""},
    {"output before the deadline", "echo early; sleep 999", 300, GUEST_TIMED_OUT, "early\n"},
    {"endless output", "while :; do echo y; done >&2", 300, GUEST_TIMED_OUT, ""},
    {"deaf and double-forked",
     "trap '' TERM HUP INT; for i in 1 2 3; do (setsid sh -c 'trap \"\" TERM; "
     "(setsid sleep 999 &) ; sleep 999' &) ; done; sleep 999",
     1000, GUEST_TIMED_OUT, ""},
    {"stopped", "sleep 999 & kill -STOP $!; kill -STOP $$", 300, GUEST_TIMED_OUT, ""},
    {"a deep chain", "f() { [ $1 = 0 ] && exec sleep 999; (f $(($1 - 1)); :); }; f 40", 600,
     GUEST_TIMED_OUT, ""},
    {"a background child", "sleep 999 & echo hi", TIMEOUT_MS, GUEST_EXITED, "hi\n"},
    {"a background child that holds no pipe",
     "(setsid sleep 999 >/dev/null 2>&1 </dev/null &); "
     "echo hi",
     TIMEOUT_MS, GUEST_EXITED, "hi\n"},
    {"one that forks and exits", "f() { f & exit; }; f & sleep 0.2; echo hi", TIMEOUT_MS,
     GUEST_EXITED, "hi\n"},
};

static void
trees_end(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
        struct outcome o;

        print_message("  %s\n", trees[i].name);
        world_run_shell(trees[i].script, trees[i].timeout_ms, &o);
        assert_int_equal(o.r, 0);
        assert_int_equal(o.result.end, trees[i].end);
        assert_int_equal(o.result.signal, trees[i].end == GUEST_TIMED_OUT ? SIGKILL : 0);
        assert_string_equal(o.stdout_text, trees[i].out);
        assert_int_equal(world_count_commands(), 0);
        outcome_done(&o);
    }
}

/* An execution for a thread of its own; its outcome is looked at after joining. */
struct job {
    const char *script;
    struct outcome outcome;
};

static void *
run_job(void *p)
{
    struct job *job = p;

    world_run_shell(job->script, TIMEOUT_MS, &job->outcome);
    return NULL;
}

static void
executions_are_apart(void **state)
{
    struct job job = {
        .script = "(setsid sh -c 'while [ ! -e /tmp/go ]; do usleep 10000; done; echo child' &); "
                  "while [ ! -e /tmp/go ]; do usleep 10000; done; usleep 50000; echo done"};
    struct outcome o;
    pthread_t thread;
    int i;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, run_job, &job), 0);
    for (i = 0; i < 5; i++) {
        world_run_shell("(setsid sleep 999 &); sleep 999", 50, &o);
        assert_int_equal(o.r, 0);
        assert_int_equal(o.result.end, GUEST_TIMED_OUT);
        outcome_done(&o);
    }
    world_run_shell("touch /tmp/go", TIMEOUT_MS, &o);
    assert_int_equal(o.r, 0);
    outcome_done(&o);
    pthread_join(thread, NULL);
    assert_int_equal(job.outcome.r, 0);
    assert_string_equal(job.outcome.stdout_text, "child\ndone\n");
    assert_int_equal(job.outcome.result.end, GUEST_EXITED);
    outcome_done(&job.outcome);
}

/* Close the descriptor behind @p once the command runs. */
static void *
hang_up(void *p)
{
    const int *fd = p;
    int tries;

    for (tries = 0; tries < PATIENCE_MS / 5 && world_count_commands() == 0; tries++)
        world_pause_ms(5);
    close(*fd);
    return NULL;
}

static void
peer_goes_away(void **state)
{
    const char *const argv[] = {"sh", "-c",
                                "trap '' TERM; echo on; (setsid sleep 999 &); sleep 999", NULL};
    struct guest_command command = {.argv = argv, .timeout_ms = TIMEOUT_MS};
    int before;

    (void)state;
    for (before = 0; before <= 1; before++) {
        struct outcome o;
        pthread_t thread;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        command.cancel_fd = fds[0];
        if (before)
            close(fds[1]);
        else
            assert_int_equal(pthread_create(&thread, NULL, hang_up, &fds[1]), 0);
        world_run_in(world.run, &command, &o);
        if (!before)
            pthread_join(thread, NULL);
        close(fds[0]);
        assert_int_equal(o.r, 0);
        assert_int_equal(o.result.end, GUEST_CANCELLED);
        assert_int_equal(o.result.signal, SIGKILL);
        assert_int_equal(world_count_commands(), 0);
        outcome_done(&o);
    }
}

/* The host itself dies: nobody tells the guest but the closed socket. */
static void
host_goes_away(void **state)
{
    pid_t pid = fork();
    int tries;

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        struct outcome o;

        world_run_shell("trap '' TERM; (setsid sleep 999 &); sleep 999", TIMEOUT_MS, &o);
        _exit(0);
    }
    for (tries = 0; tries < PATIENCE_MS / 5 && world_count_commands() < 2; tries++)
        world_pause_ms(5);
    assert_true(world_count_commands() >= 2);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (tries = 0; tries < PATIENCE_MS / 5 && world_count_commands() > 0; tries++)
        world_pause_ms(5);
    assert_int_equal(world_count_commands(), 0);
    assert_world_works();
}

static void
nothing_accumulates(void **state)
{
    int children = 0, fds = 0, tries, i;

    (void)state;
    for (i = 0; i < 300; i++) {
        struct outcome o;

        world_run_shell(i % 3 ? "echo $PPID" : "(true &); (setsid true &); exit 4", TIMEOUT_MS, &o);
        assert_int_equal(o.r, 0);
        assert_int_equal(o.result.exit_code, i % 3 ? 0 : 4);
        outcome_done(&o);
    }
    assert_int_equal(world_count_commands(), 0);
    for (tries = 0; tries < PATIENCE_MS / 5; tries++) {
        children = world_count_children(&fds);
        if (children <= IDLE_MOST && fds <= FDS_MOST)
            break;
        world_pause_ms(5);
    }
    assert_in_range(children, 1, IDLE_MOST);
    assert_in_range(fds, 1, FDS_MOST);
}

/* A supervisor dies as by the kernel's killer: what it ran must not stay. */
static void
supervisor_dies(void **state)
{
    struct job job = {.script =
                          "trap '' TERM; (setsid sleep 999 &); (setsid sleep 999 &); sleep 999"};
    pthread_t thread;
    pid_t supervisor = -1;
    int tries;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, run_job, &job), 0);
    for (tries = 0; tries < PATIENCE_MS / 5 && world_find_commands(&supervisor) < 4; tries++)
        world_pause_ms(5);
    assert_true(supervisor > 0);
    assert_int_not_equal(supervisor, world.pid);
    assert_int_equal(kill(supervisor, SIGKILL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(job.outcome.r, -EPROTO);
    assert_int_equal(job.outcome.err.code, ERR_INTERNAL);
    outcome_done(&job.outcome);
    for (tries = 0; tries < PATIENCE_MS / 5 && world_count_commands() > 0; tries++)
        world_pause_ms(5);
    assert_int_equal(world_count_commands(), 0);
    assert_world_works();
}

/* Requests that no host of ours sends. */
static void
bad_requests(void **state)
{
    static const struct guest_request requests[] = {
        {.magic = 1, .body_len = 4, .argc = 1, .timeout_ms = 1},
        {.magic = GUEST_REQUEST_MAGIC, .body_len = 4, .timeout_ms = 1},
        {.magic = GUEST_REQUEST_MAGIC, .body_len = 4, .argc = 3, .timeout_ms = 1},
        {.magic = GUEST_REQUEST_MAGIC, .body_len = 4, .argc = 1, .timeout_ms = 0},
        {.magic = GUEST_REQUEST_MAGIC, .body_len = GUEST_BODY_MAX + 1, .argc = 1, .timeout_ms = 1},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct {
            struct guest_frame frame;
            struct guest_failure failure;
        } answer;
        char bytes[sizeof(requests[i]) + 4] = {0};
        int fd;

        memcpy(bytes, &requests[i], sizeof(requests[i]));
        bytes[sizeof(requests[i]) + 1] = 'a'; /* the body: "", "a" and one string too many */
        assert_int_equal(guest_connect(world.run, &fd, NULL), 0);
        assert_int_equal(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
        assert_int_equal(recv(fd, &answer, sizeof(answer), MSG_WAITALL), sizeof(answer));
        assert_int_equal(answer.frame.type, GUEST_FRAME_FAILED);
        assert_int_equal(answer.failure.stage, GUEST_STAGE_REQUEST);
        close(fd);
    }
    assert_world_works();
}

/* The socket is the directory's group's, and nobody else's. */
static void
socket_mode(void **state)
{
    char path[PATH_MAX];
    struct stat st;

    (void)state;
    snprintf(path, sizeof(path), "%s/%s", world.run, GUEST_SOCKET);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(st.st_gid, TEST_GID + 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(socket_mode),
        cmocka_unit_test(no_signal_ignored),
        cmocka_unit_test(commands),
        cmocka_unit_test(environment_and_directory),
        cmocka_unit_test(program_lookup),
        cmocka_unit_test(input),
        cmocka_unit_test(large_requests),
        cmocka_unit_test(much_output),
        cmocka_unit_test(trees_end),
        cmocka_unit_test(executions_are_apart),
        cmocka_unit_test(peer_goes_away),
        cmocka_unit_test(host_goes_away),
        cmocka_unit_test(nothing_accumulates),
        cmocka_unit_test(supervisor_dies),
        cmocka_unit_test(bad_requests),
    };

    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
