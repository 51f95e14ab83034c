/* Tells who it is: for a file with the set-user-ID bit, which is to change nothing. */
#include <sys/prctl.h>

#include "tests/hostile/attackers/attacker.h"

int
main(void)
{
    printf("root: %s\n",
           getuid() == 0 || geteuid() == 0 || getgid() == 0 || getegid() == 0 ? "yes" : "no");
    report("become root", setuid(0));
    return 0;
}
