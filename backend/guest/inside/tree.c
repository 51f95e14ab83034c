/* Ending a tree of processes: see tree.h. */
#include "backend/guest/inside/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    DEATH_WAIT_MS = 10,  /* how long to wait for a killed process before looking again */
    STUBBORN_ROUNDS = 50 /* looks at zombies that wait(2) withholds because somebody traces them */
};

/* The numbers of fields, as proc(5) has them. */
enum { STAT_STATE = 3, STAT_PARENT = 4, STAT_THREADS = 20 };

/* What the kernel says of a process. */
struct process {
    pid_t parent;
    bool dead; /* all of it, and only to be reaped */
};

/*
 * Read the fields of /proc/PID/stat that follow the name, at @at. A process whose first thread has
 * ended looks like a zombie as long as others run.
 */
static bool
parse_stat(const char *at, struct process *ret)
{
    char state = '\0';
    long threads = 0;
    int field;

    for (field = STAT_STATE; *at == ' ' && field <= STAT_THREADS; field++) {
        at++;
        if (field == STAT_STATE)
            state = *at;
        else if (field == STAT_PARENT)
            ret->parent = (pid_t)strtol(at, NULL, 10);
        else if (field == STAT_THREADS)
            threads = strtol(at, NULL, 10);
        at += strcspn(at, " ");
    }
    ret->dead = (state == 'Z' || state == 'X') && threads <= 1;
    return field > STAT_THREADS;
}

/* Look @pid up. Returns false if it is gone. */
static bool
process_look(pid_t pid, struct process *ret)
{
    char path[32], text[512];
    const char *after;
    ssize_t len;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    len = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (len <= 0)
        return false;
    text[len] = '\0';
    after = strrchr(text, ')'); /* the name before it may hold anything */
    return after && parse_stat(after + 1, ret);
}

static void
visit(pid_t pid, const struct process *p, bool (*spared)(pid_t pid), struct census *c)
{
    if (spared && spared(pid))
        return;
    c->fingerprint = (c->fingerprint ^ (uint64_t)pid) * UINT64_C(0x100000001b3); /* FNV-1a */
    if (p->dead)
        return;
    kill(pid, SIGKILL);
    c->living++;
}

static void
visit_listed(pid_t pid, bool (*spared)(pid_t pid), struct census *c)
{
    struct process p;

    if (process_look(pid, &p))
        visit(pid, &p, spared, c);
}

/* Children as the kernel lists them: numbers, each with a space behind it. False: it has no list.
 */
static bool
census_of_list(bool (*spared)(pid_t pid), struct census *c)
{
    char text[4096];
    ssize_t len, i;
    pid_t pid = 0;
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    while ((len = read(fd, text, sizeof(text))) > 0) {
        for (i = 0; i < len; i++) {
            if (text[i] != ' ') {
                pid = pid * 10 + (text[i] - '0');
                continue;
            }
            visit_listed(pid, spared, c);
            pid = 0;
        }
    }
    close(fd);
    return true;
}

/* The same where the kernel keeps no list: everybody whose parent we are. */
static void
census_of_all(bool (*spared)(pid_t pid), struct census *c)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    struct process p;
    pid_t pid;

    if (!proc)
        return;
    while ((entry = readdir(proc)) != NULL) {
        pid = (pid_t)strtol(entry->d_name, NULL, 10); /* 0: not a process */
        if (pid > 1 && process_look(pid, &p) && p.parent == getpid())
            visit(pid, &p, spared, c);
    }
    closedir(proc);
}

void
tree_census(bool (*spared)(pid_t pid), struct census *ret)
{
    *ret = (struct census){.fingerprint = UINT64_C(0xcbf29ce484222325)};
    if (!census_of_list(spared, ret))
        census_of_all(spared, ret);
}

static int64_t
timeval_us(struct timeval tv)
{
    return (int64_t)tv.tv_sec * 1000000 + tv.tv_usec;
}

static void
count_usage(struct tree *t, const struct rusage *usage)
{
    t->cpu_us += timeval_us(usage->ru_utime) + timeval_us(usage->ru_stime);
    if (usage->ru_maxrss > t->max_memory_kib)
        t->max_memory_kib = usage->ru_maxrss;
}

bool
tree_reap(struct tree *t)
{
    struct rusage usage;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        count_usage(t, &usage);
        if (pid == t->main) {
            t->main_gone = true;
            t->status = status;
        }
    }
    return pid < 0 && errno == ECHILD;
}

static void
wait_for_death(int signals)
{
    struct pollfd fd = {.fd = signals, .events = POLLIN};
    struct signalfd_siginfo info;

    if (poll(&fd, 1, DEATH_WAIT_MS) > 0 && read(signals, &info, sizeof(info)) < 0)
        return;
}

bool
tree_kill(struct tree *t, int signals)
{
    struct census before = {0}, now;
    int stubborn = 0;

    for (;;) {
        tree_census(NULL, &now);
        if (now.living > 0) {
            wait_for_death(signals);
        } else if (now.fingerprint == before.fingerprint) {
            /* All dead and nobody new: reaping gives no runner its room back. */
            if (tree_reap(t))
                return true;
            if (++stubborn > STUBBORN_ROUNDS)
                return false;
            wait_for_death(signals);
        }
        before = now;
    }
}
