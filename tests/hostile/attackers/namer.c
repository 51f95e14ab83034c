/* Fills its working directory with what is hard to handle: names, depth, kinds and numbers. */
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/hostile/attackers/attacker.h"

enum { FILES = 10000, DEPTH = 600, NAME_MAX_BYTES = 255 };

static void
make(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        report(name, -1);
    else
        close(fd);
}

static void
odd_names(void)
{
    static const char *const names[] = {
        "new\nline", "\377\376bad",  "-rf", "*", "$(id)",   "..x",          "...", " ",
        "\t",        "\\",           "\"",  "'", "\033[2J", "\xe2\x80\xae", "CON", "~new",
        ".wh.file",  ".wh..wh..opq",
    };
    char longest[NAME_MAX_BYTES + 1];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        make(names[i]);
    memset(longest, '0', NAME_MAX_BYTES);
    longest[NAME_MAX_BYTES] = '\0';
    make(longest);
    mkfifo("fifo", 0666);
    symlink("loop", "loop");
    symlink("/", "root");
    symlink("/proc/self/fd", "fds");
}

int
main(void)
{
    char name[32];
    int place = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    odd_names();
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "file-%d", i);
        make(name);
    }
    for (int i = 0; i < DEPTH; i++)
        if (mkdir("dddddddddd", 0700) < 0 || chdir("dddddddddd") < 0)
            report("depth", -1);
    if (place < 0 || fchdir(place) < 0)
        return 1;
    puts("filled");
    return 0;
}
