/* Tries to become more than it is. Prints, a line each, what it gets: an error's name or "got it".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void
report(const char *what, int r)
{
    printf("%s: %s\n", what, r < 0 ? strerror(errno) : "got it");
}

int
main(void)
{
    report("setuid(0)", setuid(0));
    report("setgid(0)", setgid(0));
    report("setresuid of the guest", setresuid(0, 0, 0));
    report("chroot", chroot("/tmp"));
    report("keep capabilities", prctl(PR_SET_SECUREBITS, 1, 0, 0, 0));
    return 0;
}
