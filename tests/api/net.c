/* An internet for tests: see net.h. */
#include "tests/test.h"

#include "tests/api/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/api/host.h"
#include "tests/api/steps.h"
#include "tests/api/tools.h"

enum { PATIENCE_SECONDS = 60 };

const char *
net_prefix(void)
{
    static char prefix[32];
    FILE *f = popen("tests/api/web address", "re"); /* NOLINT(cert-env33-c): the test's own words */

    assert_non_null(f);
    prefix[fread(prefix, 1, sizeof(prefix) - 1, f)] = '\0';
    assert_int_equal(pclose(f), 0);
    return prefix;
}

void
net_pool(const char *targets)
{
    assert_int_equal(
        host_shell("net=$(tests/api/web address)\n"
                   "sed -e \"s/^  permit_addresses: .*/  permit_addresses: [$net.80]/\""
                   " -e \"s/^  nameservers: .*/  nameservers: [$net.53]/\""
                   " -e '/^pool:/,/^$/s/^  enabled: .*/  enabled: %s/'"
                   " -e 's/^  targets: .*/  targets: [%s]/' yaml/sandbox.yaml"
                   " >\"$SANDBOX_STATE/yaml/sandbox.new\" &&"
                   " mv \"$SANDBOX_STATE/yaml/sandbox.new\""
                   " \"$SANDBOX_STATE/yaml/sandbox.yaml\"",
                   targets ? "true" : "false", targets ? targets : ""),
        0);
    reload_until("/pool", "enabled", targets ? "true" : "false");
}

int
net_open(void **state)
{
    (void)state;
    tools_certificate("web", "DNS:allowed.example,DNS:*.allowed.example,DNS:other.example");
    assert_int_equal(host_shell("tests/api/web up"), 0);
    net_pool(NULL);
    net_policy(NET_POLICY);
    net_comes_to_print("setup", "wget -q -O - http://allowed.example/hello", NET_HELLO);
    return 0;
}

int
net_close(void **state)
{
    struct reply r = call(ADMIN, "PUT", "/config", "{\"network_policy\": null}", NULL);
    int down = host_shell("tests/api/web down"),
        restored = host_shell("cp yaml/sandbox.yaml \"$SANDBOX_STATE/yaml/\"");

    assert_status(&r, 200);
    reply_done(&r);
    reload_until("/pool", "enabled", "false");
    return remove_containers(state) || down != 0 || restored != 0;
}

void
net_policy(const char *body)
{
    struct reply r = call(ADMIN, "PUT", "/config", body, NULL);

    assert_status(&r, 200);
    reply_done(&r);
}

struct reply
net_run(const char *user, const char *agent, const char *tier, const char *command)
{
    struct reply r = execute(user, "{s:s, s:s, s:s*, s:s}", "agent_id", agent, "session_id", "net",
                             "tier", tier, "command", command);

    assert_status(&r, 200);
    return r;
}

void
net_prints(const char *agent, const char *command, const char *expected)
{
    struct reply r = net_run(ALICE, agent, "Standard", command);

    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("%s: %s", command, r.body);
    reply_done(&r);
}

struct words {
    const char *agent, *command, *expected;
};

static bool
are_printed(void *arg)
{
    const struct words *w = arg;
    struct reply r = net_run(ALICE, w->agent, "Standard", w->command);
    bool printed = strcmp(text_at(&r, "stdout"), w->expected) == 0;

    reply_done(&r);
    return printed;
}

void
net_comes_to_print(const char *agent, const char *command, const char *expected)
{
    struct words words = {agent, command, expected};

    wait_until(are_printed, &words, PATIENCE_SECONDS, command);
}

void
net_container_of(const char *agent, char ret[STEP_ID_SIZE])
{
    struct reply r = net_run(ALICE, agent, "Standard", "true");

    snprintf(ret, STEP_ID_SIZE, "%s", text_at(&r, "container_id"));
    reply_done(&r);
}

bool
net_has_ended(void *arg)
{
    struct reply r = fetch(ALICE, "/audit/%s", (const char *)arg);
    bool ended = strcmp(text_at(&r, "status"), "running") != 0;

    reply_done(&r);
    return ended;
}

struct reply
net_attempts_of(const char *user, const char *id)
{
    return fetch(user, "/audit?kind=network&container_id=%s&limit=500", id);
}

/* The entry of an attempt at port 80 of @host; fails the test if there is none. */
static const json_t *
attempt_at(const struct reply *r, const char *host)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(at(r, "entries"), i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "host")), host) == 0 &&
            json_integer_value(json_object_get(entry, "port")) == 80)
            return entry;
    }
    fail_msg("no attempt at %s: %s", host, r->body);
    return NULL;
}

void
net_assert_attempt(const struct reply *r, const char *host, bool allowed, const char *rule)
{
    const json_t *e = attempt_at(r, host);

    assert_int_equal(json_is_true(json_object_get(e, "allowed")), allowed);
    assert_string_equal(json_string_value(json_object_get(e, "rule")), rule);
    assert_string_equal(json_string_value(json_object_get(e, "status")),
                        allowed ? "completed" : "refused");
    assert_string_equal(json_string_value(json_object_get(e, "tier")), "Standard");
}
