/* Giving up power: see confine.h. */
#include "backend/guest/inside/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From the kernel's capability.h, which musl does not bring. */
enum {
    CAP_KILL = 5,
    CAP_SETGID = 6,
    CAP_SETUID = 7,
    CAP_LAST = 63,
    CAPABILITY_VERSION_3 = 0x20080522
};

struct cap_header {
    uint32_t version;
    int pid;
};

struct cap_data {
    uint32_t effective;
    uint32_t permitted;
    uint32_t inheritable;
};

enum { LAST_FD_TRIED = 65535 };

/* Leave 0 to 2 open, so that nothing of ours ever gets one of these numbers, and nothing else. */
static void
close_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    /* Not ~0U, as is usual: gVisor reads it as a signed number, and refuses. */
    if (syscall(SYS_close_range, 3, INT_MAX, 0) == 0)
        return;
    for (fd = 3; fd <= LAST_FD_TRIED; fd++)
        close(fd);
}

/* Ignored signals would be inherited by commands, and an ignored SIGCHLD would reap behind our
 * back. */
static void
reset_signals(void)
{
    static const long default_action[4]; /* of the kernel: handler, flags, restorer, mask */
    sigset_t all;
    int sig;

    /* Not sigaction(3), which refuses to touch the signals that libc keeps for itself. */
    for (sig = 1; sig < NSIG; sig++)
        syscall(SYS_rt_sigaction, sig, default_action, NULL, sizeof(default_action[3]));
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

/* Keep of the capabilities those in the mask @keep. */
static int
keep_capabilities(uint32_t keep)
{
    struct cap_header header = {.version = CAPABILITY_VERSION_3};
    struct cap_data data[2];

    if (syscall(SYS_capget, &header, data) < 0)
        return errno;
    data[0].permitted &= keep;
    data[0].effective = data[0].permitted;
    data[0].inheritable = 0;
    data[1] = (struct cap_data){0};
    return syscall(SYS_capset, &header, data) < 0 ? errno : 0;
}

static int
drop_capabilities(void)
{
    int cap;

    for (cap = 0; cap <= CAP_LAST; cap++)
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return errno;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* clearing inheritable does it too */
    return keep_capabilities(1U << CAP_KILL | 1U << CAP_SETGID | 1U << CAP_SETUID);
}

int
confine(void)
{
    const struct rlimit none = {0};

    close_descriptors();
    reset_signals();
    umask(022);
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return errno;
    return drop_capabilities();
}

int
confine_fully(void)
{
    return syscall(SYS_setgroups, 0, NULL) < 0 ? errno : keep_capabilities(0);
}
