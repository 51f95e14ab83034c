/* A real guest to test with: see guest_world.h. */
#include "tests/unit/guest_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backend/guest/protocol.h"

struct world world;

void
world_pause_ms(long ms)
{
    const struct timespec ts = {.tv_nsec = ms * 1000000};

    nanosleep(&ts, NULL);
}

/* The root is made by the namespace's first process, which then becomes the guest. */
static void
must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        _exit(99);
    }
}

static void
make_directories(void)
{
    static const char *const names[] = {"bin", "etc", "proc", "dev", "tmp", "run"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        must(mkdir(names[i], 0755) == 0, names[i]);
    must(chmod("tmp", 01777) == 0, "tmp");
}

static void
make_programs(void)
{
    static const char *const names[] = {"sh",    "cat",   "sleep",  "setsid", "head", "id",
                                        "seq",   "grep",  "true",   "stat",   "echo", "ls",
                                        "chmod", "touch", "usleep", "whoami", "yes",  "rm"};
    char path[32];
    size_t i;

    must(close(open("bin/busybox", O_CREAT | O_WRONLY, 0755)) == 0, "busybox");
    must(mount("/bin/busybox", "bin/busybox", NULL, MS_BIND, NULL) == 0, "bind busybox");
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "bin/%s", names[i]);
        must(symlink("busybox", path) == 0, path);
    }
}

/* The loopback interface of a new network is down. */
static void
raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    must(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "lo");
    close(fd);
}

static void
bind_egress(const struct world *w)
{
    char path[PATH_MAX];

    raise_loopback();
    snprintf(path, sizeof(path), "%s/egress", w->dir);
    must(mkdir("egress", 0755) == 0 && mount(path, "egress", NULL, MS_BIND, NULL) == 0, "egress");
}

static _Noreturn void
become_guest(const struct world *w, const char *binary)
{
    static const char *const env[] = {"PATH=/bin:/usr/bin", "IMAGE=yes", "HOME=/root", NULL};
    const gid_t groups[] = {27, TEST_GID + 2};
    char uid[16], gid[16];
    const char *const argv[] = {"sandbox-guest",
                                "/run",
                                uid,
                                gid,
                                "/home/sandbox",
                                "/workspace",
                                w->proxy[0] ? "/egress/proxy" : NULL,
                                NULL};
    int fd = open(binary, O_PATH | O_CLOEXEC);

    must(fd >= 0, binary);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
    must(chdir(w->dir) == 0 && mkdir("root", 0755) == 0, "root");
    must(mount("none", "root", "tmpfs", 0, "mode=755") == 0 && chdir("root") == 0, "tmpfs");
    make_directories();
    make_programs();
    must(mount("none", "proc", "proc", 0, NULL) == 0, "proc");
    must(mount(w->run, "run", NULL, MS_BIND, NULL) == 0, "run");
    if (w->proxy[0])
        bind_egress(w);
    must(close(open("dev/null", O_CREAT | O_WRONLY, 0666)) == 0, "null");
    must(mount("/dev/null", "dev/null", NULL, MS_BIND, NULL) == 0, "bind null");
    must(symlink("/proc/self/fd", "dev/fd") == 0, "dev/fd");
    must(chroot(".") == 0 && chdir("/") == 0, "chroot");
    must(setgroups(2, groups) == 0, "setgroups"); /* what an engine's --group-add does */
    snprintf(uid, sizeof(uid), "%d", TEST_UID);
    snprintf(gid, sizeof(gid), "%d", TEST_GID);
    syscall(SYS_execveat, fd, "", argv, env, 0x1000 /* AT_EMPTY_PATH */);
    must(false, "exec");
    _exit(99);
}

static void
wait_for_socket(const struct world *w)
{
    int tries, fd;

    for (tries = 0; tries < PATIENCE_MS / 5; tries++) {
        if (guest_connect(w->run, &fd, NULL) == 0) {
            close(fd);
            return;
        }
        assert_int_equal(waitpid(w->pid, NULL, WNOHANG), 0);
        world_pause_ms(5);
    }
    fail_msg("the guest does not listen");
}

/* What GUEST_BINARY says, or the guest of our own flavour: we are build/FLAVOUR/tests/test_guest.
 */
static const char *
guest_binary(void)
{
    static char path[PATH_MAX];
    const char *given = getenv("GUEST_BINARY");
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof("/sandbox-guest"));
    int up;

    if (given)
        return given;
    assert_true(len > 0);
    path[len] = '\0';
    for (up = 0; up < 2; up++)
        *strrchr(path, '/') = '\0';
    len = (ssize_t)strlen(path);
    snprintf(path + len, sizeof(path) - (size_t)len, "/sandbox-guest");
    return path;
}

static void
world_start(struct world *w, bool proxied)
{
    const int flags = SIGCHLD | CLONE_NEWPID | CLONE_NEWNS | (proxied ? CLONE_NEWNET : 0);
    char link[64], egress[80];
    ssize_t len;

    snprintf(w->dir, sizeof(w->dir), "/tmp/test-guest-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(egress, sizeof(egress), "%s/egress", w->dir);
    w->proxy[0] = '\0';
    if (proxied) {
        assert_int_equal(mkdir(egress, 0711), 0);
        snprintf(w->proxy, sizeof(w->proxy), "%s/proxy", egress);
    }
    snprintf(w->run, sizeof(w->run), "%s/run", w->dir);
    assert_int_equal(mkdir(w->run, 02750), 0);
    assert_int_equal(chown(w->run, 0, TEST_GID + 1), 0);
    assert_int_equal(chmod(w->run, 02750), 0);
    w->pid = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
    if (w->pid == 0)
        become_guest(w, guest_binary());
    assert_true(w->pid > 0);
    snprintf(link, sizeof(link), "/proc/%d/ns/pid", w->pid);
    len = readlink(link, w->pid_ns, sizeof(w->pid_ns) - 1);
    assert_true(len > 0);
    w->pid_ns[len] = '\0';
    wait_for_socket(w);
}

static void
remove_world(const struct world *w)
{
    DIR *dir = opendir(w->run);
    const struct dirent *entry;
    char path[PATH_MAX];

    while ((entry = readdir(dir)) != NULL) /* rmdir(2) tells if something stays */
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(w->run);
    snprintf(path, sizeof(path), "%s/root", w->dir);
    rmdir(path);
    if (w->proxy[0]) {
        unlink(w->proxy);
        snprintf(path, sizeof(path), "%s/egress", w->dir);
        rmdir(path);
    }
    rmdir(w->dir);
}

static int
setup(bool proxied)
{
    if (geteuid() != 0) {
        fprintf(stderr, "a guest needs root: it makes namespaces\n");
        return -1;
    }
    world_start(&world, proxied);
    return 0;
}

int
world_setup(void **state)
{
    (void)state;
    return setup(false);
}

int
world_setup_proxied(void **state)
{
    (void)state;
    return setup(true);
}

int
world_teardown(void **state)
{
    int status;

    (void)state;
    kill(world.pid, SIGTERM);
    waitpid(world.pid, &status, 0);
    remove_world(&world);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* The number behind @key in the text of /proc/PID/status. */
static unsigned
status_number(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    return at ? (unsigned)strtoul(at + strlen(key), NULL, 10) : 0;
}

/* Whether the process @pid is in the world's namespace: 1, 0, or -1: it has none left. */
static int
in_world(const char *pid)
{
    char path[300], ns[64];
    ssize_t len;

    snprintf(path, sizeof(path), "/proc/%s/ns/pid_for_children", pid);
    len = readlink(path, ns, sizeof(ns) - 1);
    if (len <= 0)
        return -1;
    return (size_t)len == strlen(world.pid_ns) && memcmp(ns, world.pid_ns, (size_t)len) == 0;
}

/*
 * Uid and parent of a process of the world; false if it is none. A zombie has no namespace left to
 * read, but its parent has.
 */
static bool
process_of_world(const char *pid, unsigned *ret_uid, pid_t *ret_parent)
{
    char path[300], text[2048], parent[16];
    int inside = in_world(pid);
    FILE *f;

    if (inside == 0)
        return false;
    snprintf(path, sizeof(path), "/proc/%s/status", pid);
    f = fopen(path, "r");
    if (!f)
        return false;
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    *ret_uid = status_number(text, "\nUid:\t");
    *ret_parent = (pid_t)status_number(text, "\nPPid:\t");
    snprintf(parent, sizeof(parent), "%d", *ret_parent);
    return inside > 0 || (*ret_uid == TEST_UID && in_world(parent) == 1);
}

int
world_find_commands(pid_t *ret_supervisor)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    char parent_text[16];
    unsigned uid, parent_uid;
    pid_t parent, grandparent;
    int n = 0;

    while ((entry = readdir(proc)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            !process_of_world(entry->d_name, &uid, &parent) || uid != TEST_UID)
            continue;
        n++;
        snprintf(parent_text, sizeof(parent_text), "%d", parent);
        if (process_of_world(parent_text, &parent_uid, &grandparent) && parent_uid != TEST_UID &&
            grandparent == world.pid)
            *ret_supervisor = parent;
    }
    closedir(proc);
    return n;
}

int
world_count_commands(void)
{
    pid_t supervisor;

    return world_find_commands(&supervisor);
}

static int
count_fds(pid_t pid)
{
    char path[64];
    DIR *dir;
    int n = -2; /* . and .. */

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    dir = opendir(path);
    if (!dir)
        return 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

int
world_count_children(int *ret_fds)
{
    char path[64];
    int n = 0, pid, fds;
    FILE *f;

    *ret_fds = count_fds(world.pid);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", world.pid, world.pid);
    f = fopen(path, "r");
    assert_non_null(f);
    for (; fscanf(f, "%d", &pid) == 1; n++) {
        fds = count_fds(pid);
        if (fds > *ret_fds)
            *ret_fds = fds;
    }
    fclose(f);
    return n;
}

void
outcome_done(struct outcome *o)
{
    free(o->stdout_text);
    free(o->stderr_text);
    capture_done(&o->out);
    capture_done(&o->errout);
}

void
world_run_in(const char *directory, const struct guest_command *command, struct outcome *o)
{
    size_t len, head;
    int fd;

    *o = (struct outcome){0};
    capture_init(&o->out, CAP);
    capture_init(&o->errout, CAP);
    o->r = guest_connect(directory, &fd, &o->err);
    if (o->r < 0)
        return;
    o->r = guest_run(fd, command, &o->out, &o->errout, &o->result, &o->err);
    close(fd);
    o->stdout_text = capture_join(&o->out, &len, &head);
    o->stderr_text = capture_join(&o->errout, &len, &head);
}

void
world_run_shell(const char *script, int64_t timeout_ms, struct outcome *o)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct guest_command command = {
        .argv = argv,
        .timeout_ms = timeout_ms,
        .cancel_fd = -1,
    };

    world_run_in(world.run, &command, o);
}

void
assert_world_works(void)
{
    struct outcome o;

    world_run_shell("echo fine", TIMEOUT_MS, &o);
    assert_int_equal(o.r, 0);
    assert_string_equal(o.stdout_text, "fine\n");
    outcome_done(&o);
}
