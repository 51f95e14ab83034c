/*
 * Looks for descriptors and directories that a command was not given (CVE-2024-21626): names those
 * that are open besides 0 to 2, tells where it stands, and whether the way up from there leads out.
 */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/hostile/attackers/attacker.h"

enum { LEVELS = 40 };

int
main(void)
{
    struct stat root, st;
    char up[3 * LEVELS + 1], place[256];
    int i;

    for (i = 3; i < 4096; i++)
        if (fcntl(i, F_GETFD) >= 0)
            printf("descriptor %d is open\n", i);
    for (i = 0; i < LEVELS; i++)
        memcpy(up + 3 * i, "../", 4);
    if (!getcwd(place, sizeof(place)) || place[0] != '/')
        printf("stands outside: %s\n", place);
    if (stat("/", &root) < 0 || stat(up, &st) < 0)
        printf("the way up: %s\n", strerror(errno));
    else if (root.st_ino != st.st_ino || root.st_dev != st.st_dev)
        printf("the way up leads out\n");
    puts("looked");
    return 0;
}
