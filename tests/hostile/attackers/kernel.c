/* Tries what would change or leave the sandbox by way of the kernel. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

#include "tests/hostile/attackers/attacker.h"

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef SYS_fsopen
#define SYS_fsopen 430
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif

static void
clocks(void)
{
    struct timeval tv = {.tv_sec = 1};
    struct timespec ts = {.tv_sec = 1};
    struct timex tx = {.modes = ADJ_FREQUENCY, .freq = 1};

    report("settimeofday", settimeofday(&tv, NULL));
    report("clock_settime", syscall(SYS_clock_settime, CLOCK_REALTIME, &ts));
    report("adjtimex", syscall(SYS_adjtimex, &tx));
    report("sethostname", sethostname("mine", 4));
    report("setdomainname", syscall(SYS_setdomainname, "mine", 4));
}

static void
mounts(void)
{
    report("mount tmpfs", mount("none", "/tmp", "tmpfs", 0, NULL));
    report("mount proc", mount("none", "/tmp", "proc", 0, NULL));
    report("bind mount", mount("/workspace", "/tmp", NULL, MS_BIND, NULL));
    report("remount of the guest",
           mount(NULL, "/.sandbox/guest", NULL, MS_REMOUNT | MS_BIND, NULL));
    report("make the workspace shared", mount(NULL, "/workspace", NULL, MS_SHARED, NULL));
    report("umount", umount2("/workspace", MNT_DETACH));
    report("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/workspace", 1));
    report("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    report("pivot_root", syscall(SYS_pivot_root, "/workspace", "/workspace"));
    report("chroot", chroot("/workspace"));
}

static void
namespaces(void)
{
    static const struct {
        const char *name;
        int flag;
    } all[] = {
        {"user", CLONE_NEWUSER},     {"mount", CLONE_NEWNS}, {"network", CLONE_NEWNET},
        {"pid", CLONE_NEWPID},       {"ipc", CLONE_NEWIPC},  {"uts", CLONE_NEWUTS},
        {"cgroup", CLONE_NEWCGROUP},
    };
    struct {
        uint64_t flags, more[7];
    } args = {.flags = CLONE_NEWUSER};
    char what[64];
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    long pid;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        snprintf(what, sizeof(what), "unshare %s", all[i].name);
        report(what, unshare(all[i].flag));
    }
    pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    report("clone into a user namespace", pid);
    pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        _exit(0);
    report("clone3 into a user namespace", pid);
    report("setns", setns(fd, 0));
}

static void
sockets(void)
{
    report("raw IP socket", socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
    report("raw ICMP socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    report("raw IPv6 socket", socket(AF_INET6, SOCK_RAW, IPPROTO_RAW));
    report("packet socket", socket(AF_PACKET, SOCK_RAW, htons(3)));
    report("packet datagram socket", socket(AF_PACKET, SOCK_DGRAM, htons(3)));
}

/* From the kernel's netlink.h, rtnetlink.h and if_link.h, which musl does not bring. */
struct netlink_head {
    uint32_t len;
    uint16_t type, flags;
    uint32_t seq, pid;
};

struct link_info {
    unsigned char family, pad;
    unsigned short type;
    int index;
    unsigned flags, change;
};

enum { NEW_LINK = 16, REQUEST = 0x1, ACK = 0x4, EXCLUSIVE = 0x200, CREATE = 0x400 };

/* Ask rtnetlink to make an interface. */
static long
make_interface(void)
{
    struct {
        struct netlink_head head;
        struct link_info info;
    } q = {
        .head = {.len = sizeof(q), .type = NEW_LINK, .flags = REQUEST | ACK | CREATE | EXCLUSIVE},
    };
    struct {
        struct netlink_head head;
        int error;
        char more[256];
    } answer = {0};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);

    if (fd < 0 || send(fd, &q, sizeof(q), 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
        return -1;
    errno = -answer.error;
    return answer.error;
}

static void
machine(void)
{
    report("make an interface", make_interface());
    report("reboot", reboot(RB_AUTOBOOT));
    report("swapon", swapon("/tmp/none", 0));
    report("load a module", syscall(SYS_init_module, "", 0, ""));
    report("kexec", syscall(SYS_kexec_load, 0, 0, 0, 0));
    report("kernel log", syscall(SYS_syslog, 3, NULL, 0));
    report("bpf", syscall(SYS_bpf, 0, NULL, 0));
    report("perf", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    report("iopl", syscall(SYS_iopl, 3));
    report("quotactl", syscall(SYS_quotactl, 0, "/", 0, NULL));
    report("acct", acct("/tmp/acct"));
    report("make a device", mknod("/workspace/device", S_IFBLK | 0600, makedev(8, 0)));
    report("make a character device", mknod("/workspace/device", S_IFCHR | 0600, makedev(1, 1)));
    report("open by handle", syscall(SYS_open_by_handle_at, AT_FDCWD, "", 0));
}

int
main(void)
{
    clocks();
    mounts();
    namespaces();
    sockets();
    machine();
    return 0;
}
