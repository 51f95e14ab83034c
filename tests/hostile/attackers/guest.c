/*
 * Reaches for the guest: PID 1, and the supervisors, which are the other processes of root. What is
 * tried with PID 1 is printed; of a supervisor only what succeeds.
 */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/hostile/attackers/attacker.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static bool quiet; /* print what succeeds only */

static void
tell(const char *what, long r)
{
    if (!quiet || r >= 0)
        report(what, r);
}

static long
read_link(const char *path)
{
    char target[256];

    return readlink(path, target, sizeof(target));
}

static void
files(int pid)
{
    static const struct {
        const char *name;
        int flags;
    } all[] = {
        {"mem", O_RDWR},
        {"maps", O_RDONLY},
        {"environ", O_RDONLY},
        {"auxv", O_RDONLY},
        {"stack", O_RDONLY},
        {"syscall", O_RDONLY},
        {"pagemap", O_RDONLY},
        {"io", O_RDONLY},
        {"exe", O_RDONLY},
        {"fd", O_DIRECTORY},
        {"cwd", O_DIRECTORY},
        {"root", O_DIRECTORY},
        {"map_files", O_DIRECTORY},
        {"ns/mnt", O_RDONLY},
        {"clear_refs", O_WRONLY},
        {"oom_score_adj", O_WRONLY},
        {"comm", O_WRONLY},
        {"task/%d/mem", O_RDWR},
    };
    char path[128], name[64];

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        snprintf(name, sizeof(name), "%s", all[i].name);
        if (strchr(name, '%'))
            snprintf(name, sizeof(name), "task/%d/mem", pid);
        snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
        tell(name, try_open(path, all[i].flags));
    }
    snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    tell("where exe leads", read_link(path));
}

/* How many signals of 1 to 64 the process took. */
static long
signals(int pid)
{
    for (int sig = 1; sig <= 64; sig++)
        if (kill(pid, sig) == 0 || syscall(SYS_tkill, pid, sig) == 0 ||
            syscall(SYS_tgkill, pid, pid, sig) == 0)
            return sig;
    return -1;
}

static void
calls(int pid)
{
    char buf[16];
    struct iovec local = {buf, sizeof(buf)}, remote = {(void *)0x400000, sizeof(buf)};
    struct rlimit none = {0};
    struct sched_param param = {0};
    cpu_set_t cpus;
    siginfo_t info = {.si_signo = SIGTERM, .si_code = -1};
    int pidfd;

    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    tell("any signal", signals(pid));
    tell("sigqueueinfo", syscall(SYS_rt_sigqueueinfo, pid, SIGTERM, &info));
    tell("ptrace attach", ptrace(PTRACE_ATTACH, pid, 0, 0));
    tell("ptrace seize", ptrace(PTRACE_SEIZE, pid, 0, 0));
    tell("process_vm_readv", process_vm_readv(pid, &local, 1, &remote, 1, 0));
    tell("process_vm_writev", process_vm_writev(pid, &local, 1, &remote, 1, 0));
    tell("prlimit", syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, &none, NULL));
    tell("setpriority", setpriority(PRIO_PROCESS, (id_t)pid, 19));
    tell("sched_setaffinity", syscall(SYS_sched_setaffinity, pid, sizeof(cpus), &cpus));
    tell("sched_setscheduler", syscall(SYS_sched_setscheduler, pid, SCHED_BATCH, &param));
    tell("setpgid", setpgid(pid, 0));
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return;
    tell("pidfd_getfd", syscall(SYS_pidfd_getfd, pidfd, 3, 0));
    tell("pidfd_send_signal", syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0));
}

/* Try it all with every process of root but PID 1. Returns how many there were. */
static int
supervisors(void)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    struct stat st;
    char path[300];
    int pid, count = 0;

    while (proc && (entry = readdir(proc)) != NULL) {
        pid = (int)strtol(entry->d_name, NULL, 10);
        snprintf(path, sizeof(path), "/proc/%s", entry->d_name);
        if (pid <= 1 || stat(path, &st) < 0 || st.st_uid != 0)
            continue;
        files(pid);
        calls(pid);
        count++;
    }
    return count;
}

int
main(void)
{
    files(1);
    calls(1);
    quiet = true;
    printf("supervisors: %s\n", supervisors() >= 1 ? "tried" : "none");
    return 0;
}
