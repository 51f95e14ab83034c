/* Images of attackers: see image.h. */
#include "tests/hostile/image.h"

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"
#include "tests/api/steps.h"
#include "tests/hostile/attack.h"

enum { ESCAPED_SIZE = 512 };

static const char engine[] = "curl -s --unix-socket \"$SANDBOX_STATE/docker/docker.sock\"";

/* The files of the image of `base`, in the state directory. */
static void
unpack_base(void)
{
    assert_int_equal(
        host_shell(
            "set -e; cd \"$SANDBOX_STATE\"; [ ! -d base-tree ] || exit 0; mkdir base-tree;"
            " id=$(%s -X POST -H 'Content-Type: application/json'"
            " -d '{\"Image\": \"sandbox-base\", \"Cmd\": [\"true\"]}'"
            " http://docker/containers/create | sed 's/.*\"Id\":\"\\([0-9a-f]*\\)\".*/\\1/');"
            " %s http://docker/containers/$id/export | tar -x -C base-tree;"
            " %s -X DELETE http://docker/containers/$id",
            engine, engine, engine),
        0);
}

/* An import takes anything that tar can hold, which a Dockerfile's COPY does not. */
void
image_make(const char *name, const char *script, const char *change)
{
    char escaped[ESCAPED_SIZE];
    char *at = curl_easy_escape(NULL, change, 0);

    assert_non_null(at);
    snprintf(escaped, sizeof(escaped), "%s%s", change[0] ? "&changes=" : "", at);
    curl_free(at);
    unpack_base();
    assert_int_equal(
        host_shell("set -e; tree=$(mktemp -d); trap 'rm -rf \"$tree\"' EXIT;"
                   " cp -a \"$SANDBOX_STATE\"/base-tree/. \"$tree\"; cd \"$tree\"; %s;"
                   " tar -c . | %s -f -X POST -H 'Content-Type: application/x-tar' --data-binary @-"
                   " 'http://docker/images/create?fromSrc=-&repo=%s&tag=latest%s'"
                   " >/dev/null",
                   script, engine, name, escaped),
        0);
    template_make("{s:s, s:s}", "name", name, "image", name);
}

void
image_remove(const char *name)
{
    struct reply r;

    remove_containers(NULL);
    r = act(ADMIN, "DELETE", "/templates/%s", name);
    assert_status(&r, 204);
    reply_done(&r);
    host_shell("%s -X DELETE 'http://docker/images/%s:latest?force=1' >/dev/null", engine, name);
}

struct reply
image_shell(const char *user, const char *agent, const char *name, const char *command)
{
    return execute(user, "{s:s, s:s, s:s, s:s}", "command", command, "agent_id", agent,
                   "session_id", "attack", "template", name);
}

struct reply
image_attack(const char *user, const char *agent, const char *program, const char *name)
{
    char command[256];

    attack_place(user, agent, program);
    snprintf(command, sizeof(command), "/workspace/%s", program);
    return image_shell(user, agent, name, command);
}

int
image_check(void **state)
{
    templates_clean(state);
    return world_check(state);
}
