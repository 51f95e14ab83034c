/* See full.h. */
#include "tests/test.h"

#include "tests/api/full.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/jobs.h"

char full_box[STEP_ID_SIZE];

struct reply
full_run(const char *user, const char *session, const char *command)
{
    struct reply r = execute(user, "{s:s, s:s, s:s, s:s}", "agent_id", "full", "session_id",
                             session, "tier", "Elevated", "command", command);

    assert_status(&r, 200);
    return r;
}

void
assert_reached_by(const char *session, const char *addresses, const char *expected)
{
    char script[FULL_SCRIPT_SIZE];
    struct reply r;

    snprintf(script, sizeof(script),
             "for a in %s; do printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 $a 80 2>&1 |"
             " grep -q '^reached' && printf '%%s ' $a; done; true",
             addresses);
    r = full_run(ALICE, session, script);
    if (strcmp(text_at(&r, "stdout"), expected) != 0)
        fail_msg("of %s: expected \"%s\" in %s", addresses, expected, r.body);
    reply_done(&r);
}

void
assert_reached(const char *addresses, const char *expected)
{
    assert_reached_by("1", addresses, expected);
}

void
assert_host_out_of_reach(const char *session)
{
    static const char script[] = "for a in %s; do nc -w 5 $a %s </dev/null 2>/dev/null && echo $a;"
                                 " done; true";
    const char *url = getenv("SANDBOX_URL"); /* NOLINT(concurrency-mt-unsafe): one thread */
    const char *port = strrchr(url ? url : ":", ':') + 1;
    _cleanup_(freep) char *addresses = NULL;
    char number[8], command[FULL_SCRIPT_SIZE];
    struct reply r;

    snprintf(number, sizeof(number), "%.*s", (int)strspn(port, "0123456789"), port);
    assert_int_equal(host_shell("ip -4 -o address | awk '{ sub(\"/.*\", \"\", $4); print $4 }' |"
                                " tr '\\n' ' ' >\"$SANDBOX_STATE/addresses\""),
                     0);
    addresses = state_file("addresses");
    assert_non_null(strstr(addresses, "127.0.0.1 "));
    assert_non_null(strstr(addresses, "198.51.100.1 ")); /* the wire's end, and then the bridge */
    assert_int_equal(host_shell("for a in %s; do busybox nc -w 5 $a %s </dev/null || exit 1; done",
                                addresses, number),
                     0);
    full_permit("0.0.0.0/0", "elements = { 0.0.0.0/0 }");
    snprintf(command, sizeof(command), script, addresses, number);
    r = full_run(ALICE, session, command);
    assert_string_equal(text_at(&r, "stdout"), "");
    reply_done(&r);
    full_permit("198.51.100.80", "elements = { 198.51.100.80 }");
}

char *
full_listen(const char *user, const char *session)
{
    struct reply r =
        execute(user, "{s:s, s:s, s:s, s:s, s:b}", "agent_id", "full", "session_id", session,
                "tier", "Elevated", "command", "nc -ll -p 8000 -e echo reached", "background", 1);
    char *address;

    assert_status(&r, 202);
    reply_done(&r);
    r = full_run(user, session,
                 "until nc -w 1 127.0.0.1 8000 2>&1 | grep -q reached; do usleep 50000; done;"
                 " ip -4 -o address show eth0 | sed 's|.*inet ||; s|/.*||' | tr -d '\\n'");
    address = strdup(text_at(&r, "stdout"));
    assert_non_null(address);
    assert_true(strlen(address) > strlen("1.1.1.1"));
    reply_done(&r);
    return address;
}

bool
full_filter_has(void *arg)
{
    return host_shell("nft list table inet \"sandboxd_$(cat \"$SANDBOX_STATE/instance\")\" "
                      "2>/dev/null | grep -qF -- '%s'",
                      (const char *)arg) == 0;
}

void
full_wait_for_filter(const char *text)
{
    char copy[128];

    snprintf(copy, sizeof(copy), "%s", text);
    wait_until(full_filter_has, copy, FULL_PATIENCE_SECONDS, text);
}

void
full_permit(const char *addresses, const char *shown)
{
    char script[256];

    yaml_restore();
    snprintf(script, sizeof(script),
             "s|permit_addresses: \\[\\]|permit_addresses: [%s]|;"
             "s|nameservers: \\[\\]|nameservers: [198.51.100.53]|",
             addresses);
    yaml_edit("sandbox.yaml", script);
    full_wait_for_filter(shown);
}

void
full_policy(const char *policy)
{
    char body[256];
    struct reply r;

    snprintf(body, sizeof(body), "{\"network_policy\": %s}", policy);
    r = call(ADMIN, "PUT", "/config", body, NULL);
    assert_status(&r, 200);
    reply_done(&r);
}

void
assert_full_network(const char *expected)
{
    struct reply r = fetch(ADMIN, "/status");

    assert_string_equal(text_at(&r, "full_network"), expected);
    reply_done(&r);
}

int
full_open(void **state)
{
    struct reply r;

    (void)state;
    assert_int_equal(host_shell("tests/api/internet up"), 0);
    full_permit("198.51.100.80", "elements = { 198.51.100.80 }");
    r = full_run(ALICE, "1", "true");
    snprintf(full_box, sizeof(full_box), "%s", text_at(&r, "container_id"));
    reply_done(&r);
    return 0;
}

int
full_close(void **state)
{
    full_policy("null");
    yaml_restore();
    remove_containers(state);
    return host_shell("tests/api/internet down");
}

bool
full_possible(void)
{
    bool possible = host_shell("tests/api/internet possible") == 0;

    if (!possible)
        print_error("SKIPPED: this kernel has no network namespaces or no nftables\n");
    return possible;
}

void
assert_isolated(void)
{
    assert_int_equal(host_shell("cat /sys/class/net/sbx$(cut -c 1-12 \"$SANDBOX_STATE/instance\")"
                                "/brif/*/isolated | sort -u | grep -qx 1"),
                     0);
}
