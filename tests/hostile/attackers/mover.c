/*
 * Swaps directories, symlinks, fifos and sockets in its working directory without end, so that
 * whoever looks twice sees two things. Its argument is what the symlinks lead to.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/hostile/attackers/attacker.h"

enum { EXCHANGE = 2 }; /* renameat2(2)'s */

static long
swap(const char *a, const char *b)
{
    return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, EXCHANGE);
}

int
main(int argc, char **argv)
{
    const char *target = argc > 1 ? argv[1] : "/";
    unsigned long rounds = 0;

    mkdir("a", 0700);
    mkdir("a/deep", 0700);
    symlink(target, "b");
    mkfifo("c", 0666);
    symlink("/proc/self/root", "d");
    puts("moving");
    fflush(stdout);
    for (;;) {
        swap("a", "b");
        swap("c", "d");
        swap("b", "d");
        symlink(target, "run");
        rename("run", "a/deep/run");
        unlink("canary");
        symlink(target, "canary");
        link("c", "hard");
        rename("hard", "canary");
        if (++rounds % 64 == 0)
            chmod(".", rounds % 128 == 0 ? 0700 : 0000);
    }
}
