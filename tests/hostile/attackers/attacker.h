/* What attackers share: each tries things and prints, a line each, what it gets. */
#ifndef TESTS_HOSTILE_ATTACKERS_ATTACKER_H
#define TESTS_HOSTILE_ATTACKERS_ATTACKER_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Print what became of @what: @r is what a system call returned, and errno says why. */
static inline void
report(const char *what, long r)
{
    printf("%s: %s\n", what, r < 0 ? strerror(errno) : "got it");
}

/* Try to open @path, and to read a byte if it is open for that. */
static inline long
try_open(const char *path, int flags)
{
    char byte;
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
    long r = fd;

    if (fd >= 0 && (flags & O_ACCMODE) == O_RDONLY && !(flags & (O_PATH | O_DIRECTORY)))
        r = read(fd, &byte, 1);
    if (fd >= 0)
        close(fd);
    return r;
}

/* Try to write @text to @path. */
static inline long
try_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    long r = fd < 0 ? -1 : write(fd, text, strlen(text));
    int errnum = errno;

    if (fd >= 0)
        close(fd);
    errno = errnum;
    return r;
}

#endif
