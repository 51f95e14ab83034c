/*
 * Leaves processes that are hard to kill: evader MODE [stay]. With "stay" the command itself goes
 * on for ever, otherwise it ends as soon as the others are there.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/hostile/attackers/attacker.h"

enum { RUNNERS = 4, STOPPED = 8, THREADS = 8, ZOMBIES = 5000, CHAIN = 6, GENERATIONS = 3 };

static void
ignore_signals(void)
{
    for (int sig = 1; sig <= 64; sig++)
        signal(sig, SIG_IGN);
}

static _Noreturn void
sleep_for_ever(void)
{
    for (;;)
        pause();
}

/* Ignores all that can be ignored, and has no ties to whoever started it. */
static void
daemon_mode(void)
{
    if (fork() != 0)
        return;
    setsid();
    if (fork() != 0)
        _exit(0);
    setpgid(0, 0);
    ignore_signals();
    setsid();
    prctl(PR_SET_NAME, "[kworker/0:1]) S 0 (", 0, 0,
          0); /* for who reads /proc/PID/stat carelessly */
    chdir("/");
    sleep_for_ever();
}

/* Is never there: each process only starts the next one. */
static void
runner_mode(void)
{
    for (int i = 0; i < RUNNERS; i++) {
        if (fork() != 0)
            continue;
        ignore_signals();
        for (;;) {
            if (i % 2 == 0)
                setsid();
            if (fork() > 0)
                _exit(0);
        }
    }
}

/* The same by vfork(2), whose parent stands still meanwhile. */
static void
vfork_mode(void)
{
    for (int i = 0; i < RUNNERS; i++) {
        if (fork() != 0)
            continue;
        execl("/workspace/evader", "evader", "vfork-next", (char *)NULL);
        _exit(1);
    }
}

static _Noreturn void
vfork_next(void)
{
    for (;;) {
        pid_t pid = (pid_t)syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);

        if (pid == 0) {
            execl("/workspace/evader", "evader", "vfork-next", (char *)NULL);
            _exit(1);
        }
        if (pid > 0)
            _exit(0);
    }
}

static void
stopped_mode(void)
{
    for (int i = 0; i < STOPPED; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            setsid();
            sleep_for_ever();
        }
        kill(pid, SIGSTOP);
    }
}

/* Children that their parent traces, and stops at every system call, at exit too. */
static void
traced_mode(void)
{
    if (fork() != 0)
        return;
    setsid();
    ignore_signals();
    for (int i = 0; i < STOPPED; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            setsid();
            for (;;)
                getppid();
        }
        ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXIT | PTRACE_O_TRACEFORK);
        ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    }
    sleep_for_ever();
}

static void *
thread(void *arg)
{
    (void)arg;
    sleep_for_ever();
}

/* A process whose first thread has ended: it looks like a zombie, and is none. */
static void
threads_mode(void)
{
    pthread_t id;

    if (fork() != 0)
        return;
    setsid();
    ignore_signals();
    for (int i = 0; i < THREADS; i++)
        pthread_create(&id, NULL, thread, NULL);
    syscall(SYS_exit, 0); /* of this thread alone */
}

/* Orphans that a process of the attacker's adopts, which dies in its turn. */
static void
adopted_mode(void)
{
    pid_t pid = fork();

    if (pid != 0)
        return;
    for (int generation = 0; generation < GENERATIONS; generation++) {
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        if (fork() == 0)
            continue;
        if (generation % 2 == 1)
            _exit(0);
        sleep_for_ever();
    }
    setsid();
    ignore_signals();
    sleep_for_ever();
}

/* Siblings of the command rather than children, with no signal for their parent at their end. */
static void
siblings_mode(void)
{
    for (int i = 0; i < CHAIN; i++) {
        long pid = syscall(SYS_clone, i % 2 == 0 ? CLONE_PARENT : 0, 0, 0, 0, 0);

        if (pid == 0) {
            ignore_signals();
            sleep_for_ever();
        }
    }
}

/* As many dead that nobody buries as there is room for. */
static void
zombies_mode(void)
{
    if (fork() != 0)
        return;
    setsid();
    for (int i = 0; i < ZOMBIES; i++)
        if (fork() == 0)
            _exit(0);
    sleep_for_ever();
}

/* One short process after the other, as many as fit into the time. */
static void
short_mode(void)
{
    for (int i = 0; i < RUNNERS; i++) {
        if (fork() != 0)
            continue;
        for (;;) {
            if (fork() == 0)
                _exit(0);
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
        }
    }
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*start)(void);
    } modes[] = {
        {"daemon", daemon_mode},   {"runner", runner_mode},     {"vfork", vfork_mode},
        {"stopped", stopped_mode}, {"traced", traced_mode},     {"threads", threads_mode},
        {"adopted", adopted_mode}, {"siblings", siblings_mode}, {"zombies", zombies_mode},
        {"short", short_mode},
    };

    if (argc > 1 && strcmp(argv[1], "vfork-next") == 0)
        vfork_next();
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(modes[i].name, argv[1]) == 0)
            modes[i].start();
    usleep(100000); /* they get going */
    puts("evading");
    fflush(stdout);
    if (argc > 2)
        sleep_for_ever();
    return 0;
}
