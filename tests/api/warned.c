/* See warned.h. */
#include "tests/test.h"

#include "tests/api/warned.h"

#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/steps.h"

bool
warned_to(const char *user, const char *text)
{
    struct reply r = fetch(user, "/status");
    json_t *sentence;
    bool found = false;
    size_t i;

    json_array_foreach(at(&r, "warnings"), i, sentence)
    {
        found = found || strstr(json_string_value(sentence), text);
    }
    reply_done(&r);
    return found;
}

bool
warned_of(const char *text)
{
    return warned_to(VIEWER, text);
}

int
warned_check(const char *before, const char *host)
{
    return host_shell("%s \"${SANDBOXD:-build/release/sandboxd}\" check \"$SANDBOX_STATE/yaml\""
                      " --docker \"unix://$SANDBOX_STATE/%s\" >\"$SANDBOX_STATE/log/check\" 2>&1",
                      before, host);
}

void
assert_check_says(const char *text)
{
    _cleanup_(freep) char *said = state_file("log/check");

    assert_non_null(said);
    if (!strstr(said, text))
        fail_msg("not '%s' in: %s", text, said);
}
