/*
 * Tries to write to, and then to get rid of, what its arguments name: with "=TEXT" behind it, TEXT
 * is what it would like to be there.
 */
#include <stdlib.h>

#include "tests/hostile/attackers/attacker.h"

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *text = strchr(argv[i], '=');

        if (text)
            *text++ = '\0';
        report(argv[i], try_write(argv[i], text ? text : "1"));
    }
    return 0;
}
