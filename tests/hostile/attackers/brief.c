/* brief COUNT: start so many processes that end at once, one after the other, and say how many. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1, n;

    for (n = 0; n < count; n++) {
        pid_t pid = vfork(); /* NOLINT: the fastest there is */

        if (pid == 0)
            _exit(0);
        if (pid < 0 || waitpid(pid, NULL, 0) != pid) {
            printf("%ld, then %s\n", n, strerror(errno));
            return 1;
        }
    }
    printf("%ld\n", n);
    return 0;
}
