/* The ids of a container's processes: see users.h. */
#include "backend/broker/users.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Below 10000 are the ids of an image's own users, and at the end of the range is nobody's. As many
 * owners in a row have ids of their own. */
enum { INSIDE_FIRST = 10000, INSIDE_COUNT = 55000, PATH_SIZE = 64 };

int
users_find(struct docker *d, struct users *ret, struct error *err)
{
    struct docker_info info;
    int r = docker_info_recent(d, &info, err);

    if (r < 0)
        return r;
    if (info.remaps_users && info.root_uid == 0)
        return error_set_detail(err, ERR_CONFLICT, info.root_dir,
                                "the engine remaps users (userns-remap), but the name of its data "
                                "directory does not end in UID.GID, so that nobody knows to which");
    *ret = (struct users){
        .remapped = info.remaps_users,
        .root_uid = info.root_uid,
        .root_gid = info.root_gid,
    };
    return 0;
}

int64_t
users_inside(const struct users *users, int64_t id)
{
    return users->remapped ? INSIDE_FIRST + id % INSIDE_COUNT : id;
}

static int
write_map(pid_t pid, const char *name, int64_t from, int64_t to)
{
    char path[PATH_SIZE], line[PATH_SIZE];
    int len = snprintf(line, sizeof(line), "%lld %lld 1\n", (long long)from, (long long)to);
    int fd, r = 0;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, line, (size_t)len) != len)
        r = -errno;
    if (fd >= 0)
        close(fd);
    return r;
}

/* A process in a user namespace of its own, which does nothing until it is killed. */
static pid_t
start_holder(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}

int
users_mapping(const struct users *users, int64_t uid, int64_t gid, int *ret_fd, struct error *err)
{
    char path[PATH_SIZE];
    pid_t holder;
    int r;

    *ret_fd = -1;
    if (!users->remapped)
        return 0;
    holder = start_holder();
    if (holder < 0)
        return error_errno(err, errno, "a user namespace");
    r = write_map(holder, "uid_map", uid, users->root_uid + users_inside(users, uid));
    if (r == 0)
        r = write_map(holder, "gid_map", gid, users->root_gid + users_inside(users, gid));
    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)holder);
    if (r == 0)
        *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r == 0 && *ret_fd < 0)
        r = -errno;
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    return r < 0 ? error_errno(err, -r, "map a user namespace") : 0;
}
