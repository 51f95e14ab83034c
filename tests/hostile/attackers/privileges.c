/* Tries to become more than a command is. */
#include <sys/prctl.h>
#include <sys/stat.h>

#include "tests/hostile/attackers/attacker.h"

int
main(void)
{
    report("setuid(0)", setuid(0));
    report("setgid(0)", setgid(0));
    report("setresuid of the guest", setresuid(0, 0, 0));
    report("chroot", chroot("/tmp"));
    report("keep capabilities", prctl(PR_SET_SECUREBITS, 1, 0, 0, 0));
    report("take back new privileges", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    return 0;
}
