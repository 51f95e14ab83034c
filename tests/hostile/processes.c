/*
 * Commands' processes: see processes.h. They are told by their uid, which is no other program's on
 * this machine, and by what is theirs alone while several servers are tested on one machine: the
 * engine's id of their container, which is in the name of their cgroup.
 */
#include "tests/hostile/processes.h"

#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/warm.h"

enum { UID_FIRST = 200000, UID_LAST = 265535, CGROUPS_SIZE = 8192 };

static bool
is_tenants(pid_t pid)
{
    _cleanup_(freep) char *uid = host_status(pid, "Uid");
    long value = uid ? strtol(uid, NULL, 10) : -1;

    return value >= UID_FIRST && value <= UID_LAST;
}

/* Whether the file @path, a process's cgroups, names a container of which @ids has a member. */
static bool
names_one(const char *path, json_t *ids)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[CGROUPS_SIZE];
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    bool found = false;
    const char *id;
    json_t *unused;

    text[len > 0 ? len : 0] = '\0';
    json_object_foreach(ids, id, unused) found = found || strstr(text, id);
    return found;
}

static bool
is_in(pid_t pid, json_t *ids)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    return names_one(path, ids);
}

size_t
processes_count(pid_t *ret_pid)
{
    json_auto_t *ids = warm_engine_ids();
    _cleanup_(closedirp) DIR *proc = opendir("/proc");
    const struct dirent *entry;
    size_t count = 0;

    assert_non_null(proc);
    while ((entry = readdir(proc))) { /* NOLINT(concurrency-mt-unsafe): one thread */
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && is_tenants(pid) && is_in(pid, ids)) {
            *ret_pid = pid;
            count++;
        }
    }
    return count;
}

void
processes_assert_gone(int seconds)
{
    pid_t pid = 0;

    for (int i = 0; i < seconds * 20 && processes_count(&pid) > 0; i++)
        usleep(50000);
    if (processes_count(&pid) > 0)
        fail_msg("process %d of a command is left", (int)pid);
}
