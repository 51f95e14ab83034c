/* The out-of-memory killer: see oom.h. */
#include "backend/guest/inside/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/guest/inside/inside.h"

int
oom_counter_open(void)
{
    int fd = open("/sys/fs/cgroup/memory.events", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        fd = open("/sys/fs/cgroup/memory/memory.oom_control", O_RDONLY | O_CLOEXEC);
    return fd;
}

uint64_t
oom_counter_read(int fd)
{
    static const char key[] = "\noom_kill ";
    char text[512];
    const char *at;
    ssize_t len;

    if (fd < 0)
        return 0;
    len = pread(fd, text, sizeof(text) - 1, 0);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    at = strstr(text, key);
    return at ? strtoull(at + sizeof(key) - 1, NULL, 10) : 0;
}

void
oom_score_raise(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (write(fd, "1000", 4) < 0)
        complain("oom_score_adj", errno); /* the killer then goes by size alone; we are small */
    close(fd);
}
