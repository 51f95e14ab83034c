/* Edits of the YAML: see edits.h. */
#include "tests/test.h"

#include "tests/api/edits.h"

#include <stdio.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/steps.h"

enum { LOOKS = 16, NOTICE_SECONDS = 30 };

int
edits_open(void **state)
{
    (void)state;
    return host_shell("rm -rf \"$SANDBOX_STATE/kept-yaml\" &&"
                      " cp -a \"$SANDBOX_STATE/yaml\" \"$SANDBOX_STATE/kept-yaml\"");
}

int
edits_close(void **state)
{
    remove_containers(state);
    if (host_shell("cd \"$SANDBOX_STATE\" && rm -rf yaml/* && cp -a kept-yaml/* yaml/") != 0)
        return -1;
    yaml_reload();
    return 0;
}

void
edit_by_sed(const char *name, const char *script)
{
    assert_int_equal(host_shell("cd \"$SANDBOX_STATE/yaml\" && cp %s ../before.yaml &&"
                                " sed -i '%s' %s && ! cmp -s %s ../before.yaml",
                                name, script, name, name),
                     0);
}

/* Whether status.yaml.error is null (@arg NULL) or holds the text @arg, whoever answers. */
static bool
refusal_is(void *arg)
{
    bool is = true;

    for (int i = 0; is && i < LOOKS; i++) {
        struct reply r = fetch(ADMIN, "/status");
        const json_t *error = at(&r, "yaml.error");

        is = arg ? json_is_string(error) && strstr(json_string_value(error), arg)
                 : json_is_null(error);
        reply_done(&r);
    }
    return is;
}

void
await_refusal(const char *text)
{
    char copy[512];

    snprintf(copy, sizeof(copy), "%s", text ? text : "");
    wait_until(refusal_is, text ? copy : NULL, NOTICE_SECONDS, text ? text : "no error any more");
}
