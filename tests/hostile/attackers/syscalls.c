/*
 * Makes system calls that a tenant has no business with, past the C library, and prints what each
 * gets: an error's name, "got it", or the signal that it was killed by.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define X32_BIT 0x40000000L

static const struct {
    const char *what;
    long number;
    long args[3];
} calls[] = {
    {"unshare(CLONE_NEWUSER)", SYS_unshare, {0x10000000}},
    {"clone(CLONE_NEWUSER)", SYS_clone, {0x10000000 | 17}},
    {"clone3", SYS_clone3, {0}},
    {"setns", SYS_setns, {0}},
    {"mount", SYS_mount, {0}},
    {"fsopen", SYS_fsopen, {0}},
    {"open_tree", SYS_open_tree, {0}},
    {"pivot_root", SYS_pivot_root, {0}},
    {"io_uring_setup", SYS_io_uring_setup, {1}},
    {"io_setup", SYS_io_setup, {1}},
    {"userfaultfd", SYS_userfaultfd, {1}},
    {"keyctl", SYS_keyctl, {0}},
    {"add_key", SYS_add_key, {0}},
    {"request_key", SYS_request_key, {0}},
    {"bpf", SYS_bpf, {0}},
    {"perf_event_open", SYS_perf_event_open, {0}},
    {"open_by_handle_at", SYS_open_by_handle_at, {0}},
    {"fanotify_init", SYS_fanotify_init, {0}},
    {"process_vm_readv", SYS_process_vm_readv, {1}},
    {"pidfd_getfd", SYS_pidfd_getfd, {0}},
    {"clock_settime", SYS_clock_settime, {0}},
    {"sethostname", SYS_sethostname, {0}},
    {"personality(ADDR_NO_RANDOMIZE)", SYS_personality, {0x0040000}},
    {"socket(AF_ALG)", SYS_socket, {AF_ALG, SOCK_SEQPACKET}},
    {"socket(AF_VSOCK)", SYS_socket, {AF_VSOCK, SOCK_STREAM}},
    {"socket(AF_PACKET)", SYS_socket, {AF_PACKET, SOCK_RAW}},
    {"socket(NETLINK_NETFILTER)", SYS_socket, {AF_NETLINK, SOCK_RAW, 12}},
    {"socket(AF_INET, SOCK_RAW)", SYS_socket, {AF_INET, SOCK_RAW, 1}},
    {"vmsplice", SYS_vmsplice, {0}},
#ifdef __x86_64__
    {"getpid of x32", X32_BIT | SYS_getpid, {0}},
#endif
};

/* Make the call in a child, which it may kill. */
static void
attempt(size_t i)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        const long *a = calls[i].args;
        long r = syscall(calls[i].number, a[0], a[1], a[2], 0L, 0L, 0L);

        printf("%s: %s\n", calls[i].what, r < 0 ? strerror(errno) : "got it");
        fflush(stdout);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
        printf("%s: %s\n", calls[i].what, strsignal(WTERMSIG(status)));
}

int
main(void)
{
    size_t i;

    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        attempt(i);
    return 0;
}
