/* Other rules: see rules.h. */
#include "tests/test.h"

#include "tests/api/rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/api/client.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"

enum { FILE_SIZE = 8192 };

static char *kept; /* owned */
static int version;

int
rules_keep(void **state)
{
    (void)state;
    kept = state_file("yaml/access.yaml");
    return kept ? 0 : -1;
}

int
rules_restore(void **state)
{
    int r = remove_containers(state);

    host_write("yaml/access.yaml", kept);
    free(kept);
    reload_until("/whoami", "quotas.snapshots.limit", "null");
    return r;
}

/* A quota of admin's that nobody reaches tells which version of the file is in force. */
void
rules_are(const char *format, ...)
{
    char text[FILE_SIZE], number[16];
    va_list ap;
    int len =
        snprintf(text, sizeof(text), "users:\n  admin: {role: admin, quotas: {snapshots: %d}}\n",
                 1000 + ++version);

    va_start(ap, format);
    assert_true(vsnprintf(text + len, sizeof(text) - (size_t)len, format, ap) <
                (int)sizeof(text) - len);
    va_end(ap);
    host_write("yaml/access.yaml", text);
    snprintf(number, sizeof(number), "%d", 1000 + version);
    reload_until("/whoami", "quotas.snapshots.limit", number);
}
