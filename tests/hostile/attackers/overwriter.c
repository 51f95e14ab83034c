/*
 * Tries to change the guest's program, which is on the host (as CVE-2019-5736 did): by its path, by
 * the /proc/PID/exe of processes that run it, and while others of them are being started.
 */
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/hostile/attackers/attacker.h"

enum { RACE_MS = 1500 };

/* Try to write to what process @pid runs. */
static long
write_exe(int pid)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -1 : write(fd, "#!", 2);
}

/* The same by way of a descriptor that is opened while the program runs, held up by a full pipe,
 * and written to when it has ended. */
static long
write_late(void)
{
    char path[64], noise[4096] = "";
    int fds[2], status, place;
    pid_t pid;

    if (pipe2(fds, O_NONBLOCK) < 0)
        return -1;
    while (write(fds[1], noise, sizeof(noise)) > 0)
        ;
    pid = fork();
    if (pid == 0) {
        fcntl(fds[1], F_SETFL, 0);
        dup2(fds[1], STDERR_FILENO);
        execl("/.sandbox/guest", "/.sandbox/guest", (char *)NULL);
        _exit(0);
    }
    usleep(100000); /* it has got there by now, or the open tells */
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    place = open(path, O_PATH | O_CLOEXEC);
    close(fds[0]);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", place);
    return try_write(path, "#!");
}

static long long
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Whether what process @pid runs is the file @st. */
static int
runs(const char *pid, const struct stat *st)
{
    struct stat exe;
    char path[300];

    snprintf(path, sizeof(path), "/proc/%s/exe", pid);
    return stat(path, &exe) == 0 && exe.st_ino == st->st_ino && exe.st_dev == st->st_dev;
}

/* Look at every process, again and again, for one that runs the guest and lets us at its memory,
 * its directories or its program. */
static int
race(const struct stat *guest)
{
    static const char *const names[] = {"exe", "mem", "root", "cwd", "fd"};
    long long until = now_ms() + RACE_MS;
    const struct dirent *entry;
    char path[300];
    int got = 0;

    while (now_ms() < until) {
        DIR *proc = opendir("/proc");

        while (proc && (entry = readdir(proc)) != NULL) {
            int pid = (int)strtol(entry->d_name, NULL, 10);

            if (pid == 0 || pid == getpid())
                continue;
            for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                snprintf(path, sizeof(path), "/proc/%d/%s", pid, names[i]);
                if (runs(entry->d_name, guest) && try_open(path, O_PATH) >= 0)
                    got++;
            }
        }
        if (proc)
            closedir(proc);
    }
    return got;
}

int
main(void)
{
    struct stat guest;
    int fd = open("/.sandbox/guest", O_RDONLY | O_CLOEXEC);

    if (stat("/.sandbox/guest", &guest) < 0)
        return 1;
    report("open for writing", try_open("/.sandbox/guest", O_WRONLY));
    report("truncate", truncate("/.sandbox/guest", 0));
    report("remove", unlink("/.sandbox/guest"));
    report("replace", rename("/workspace/overwriter", "/.sandbox/guest"));
    report("change its mode", chmod("/.sandbox/guest", 0777));
    report("change its times", utimes("/.sandbox/guest", NULL));
    report("make a link to it", link("/.sandbox/guest", "/workspace/program"));
    report("map it for writing",
           mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
    report("what PID 1 runs", write_exe(1));
    report("what runs it no more", write_late());
    printf("caught while starting: %d\n", race(&guest));
    return 0;
}
