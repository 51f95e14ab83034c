/* Tries to keep, find and share something in the kernel's keyrings, which no container bounds. */
#include <sys/syscall.h>

#include "attacker.h"

/* linux/keyctl.h's, whose header not every C library has. */
enum {
    PROCESS_KEYRING = -2,
    SESSION_KEYRING = -3,
    USER_KEYRING = -4,
    USER_SESSION_KEYRING = -5,
    GET_KEYRING_ID = 0,
    JOIN_SESSION_KEYRING = 1,
    LINK = 8,
    SEARCH = 10,
    READ = 11,
    GET_PERSISTENT = 22
};

static long
keyctl(long operation, long a, long b, long c, long d)
{
    return syscall(SYS_keyctl, operation, a, b, c, d);
}

int
main(void)
{
    static const int keyrings[] = {PROCESS_KEYRING, SESSION_KEYRING, USER_KEYRING,
                                   USER_SESSION_KEYRING};
    static const char text[] = "left here";
    char what[64];
    size_t i;

    for (i = 0; i < sizeof(keyrings) / sizeof(keyrings[0]); i++) {
        snprintf(what, sizeof(what), "add_key(%d)", keyrings[i]);
        report(what, syscall(SYS_add_key, "user", "left", text, sizeof(text), keyrings[i]));
        snprintf(what, sizeof(what), "keyctl(get, %d)", keyrings[i]);
        report(what, keyctl(GET_KEYRING_ID, keyrings[i], 1, 0, 0));
        snprintf(what, sizeof(what), "request_key(%d)", keyrings[i]);
        report(what, syscall(SYS_request_key, "user", "left", NULL, keyrings[i]));
    }
    report("keyctl(join)", keyctl(JOIN_SESSION_KEYRING, 0, 0, 0, 0));
    report("keyctl(join, name)", keyctl(JOIN_SESSION_KEYRING, (long)"shared", 0, 0, 0));
    report("keyctl(link)", keyctl(LINK, USER_KEYRING, SESSION_KEYRING, 0, 0));
    report("keyctl(search)", keyctl(SEARCH, SESSION_KEYRING, (long)"user", (long)"left", 0));
    report("keyctl(read)", keyctl(READ, SESSION_KEYRING, (long)what, sizeof(what), 0));
    report("keyctl(persistent)", keyctl(GET_PERSISTENT, -1, USER_KEYRING, 0, 0));
    return 0;
}
