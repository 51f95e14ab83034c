/* Clients as people have them, unmodified, in containers of network Restricted. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"
#include "tests/api/net.h"
#include "tests/api/steps.h"
#include "tests/api/suite.h"
#include "tests/api/tools.h"

enum { PATIENCE_SECONDS = 60 };

static int
open_clients(void **state)
{
    tools_make();
    return net_open(state);
}

/* Run the sh text with the tools at hand; the caller frees the reply. */
static struct reply
run(const char *command, bool background)
{
    struct reply r = execute(ALICE, "{s:s, s:s, s:s, s:s, s:s, s:b}", "agent_id", "clients",
                             "session_id", "clients", "tier", "Standard", "template", TOOLS,
                             "command", command, "background", background);

    assert_status(&r, background ? 202 : 200);
    return r;
}

/* Fail the test unless the command exits with @code, and its output (errors too) has @expected. */
static void
assert_says(const char *command, long long code, const char *expected)
{
    struct reply r = run(command, false);

    if (null_at(&r, "exit_code") || int_at(&r, "exit_code") != code ||
        (!strstr(text_at(&r, "stdout"), expected) && !strstr(text_at(&r, "stderr"), expected)))
        fail_msg("%s: %s", command, r.body);
    reply_done(&r);
}

static void
curl_reaches_what_is_allowed(void **state)
{
    (void)state;
    assert_says("curl -sS http://allowed.example/hello", 0, NET_HELLO);
    assert_says("curl -sS https://allowed.example/hello", 0, NET_HELLO);
    assert_says("curl -sS https://ALLOWED.example/hello", 0, NET_HELLO);
    assert_says("curl -sS https://other.example/hello", 56, "response 403");
    assert_says("curl -sS https://bad.allowed.example/hello", 56, "response 403");
    assert_says("curl -sS https://private.example/hello", 56, "response 403");
    assert_says("curl -sS http://other.example/hello", 0,
                "network_policy.allowed_domains does not name it");
    assert_says("curl -sSv https://other.example/hello", 56,
                "HTTP/1.1 403 Forbidden: network_policy.allowed_domains does not name it");
}

static void
wget_reaches_what_is_allowed(void **state)
{
    (void)state;
    assert_says("wget -nv -O - https://allowed.example/hello", 0, NET_HELLO);
    assert_says("wget -nv -t 1 -O - https://other.example/hello", 4, "Forbidden");
    assert_says("wget -nv -t 1 -O - http://bad.allowed.example/hello", 8, "403");
}

/* Have busybox's wget of the image `base` fail, say @expected, and print nothing. */
static void
assert_busybox_fails(const char *command, const char *expected)
{
    struct reply r = net_run(ALICE, "clients", "Standard", command);

    if (int_at(&r, "exit_code") == 0 || strcmp(text_at(&r, "stdout"), "") != 0 ||
        !strstr(text_at(&r, "stderr"), expected))
        fail_msg("%s: %s", command, r.body);
    reply_done(&r);
}

/* It asks an http_proxy for https:// as for http://, and the proxy would have to end its TLS. */
static void
wget_of_busybox_gets_no_https_and_is_told_why(void **state)
{
#define WITHOUT "env -u http_proxy -u HTTP_PROXY wget -O - "
    static const char told[] = "HTTP/1.1 400 bad request: https:// in the target: use CONNECT";
    char command[128];

    (void)state;
    net_prints("clients", NET_FETCH, NET_HELLO);
    assert_busybox_fails("wget -O - https://allowed.example/hello", told);
    assert_busybox_fails("wget -O - https://other.example/hello", told);
    assert_busybox_fails("https_proxy= wget -O - https://allowed.example/hello", told);
    snprintf(command, sizeof(command), WITHOUT "https://%s.80/hello", net_prefix());
    assert_busybox_fails(command, "Connection refused");
    assert_busybox_fails("wget -Y off -O - https://192.0.2.1/", "Network is unreachable");
    assert_busybox_fails(WITHOUT "https://192.0.2.1/", "Network is unreachable");
#undef WITHOUT
}

static void
git_clones_what_is_plain_files(void **state)
{
    (void)state;
    assert_says(
        "cd && git clone -q https://git.allowed.example/repository.git && cat repository/hello", 0,
        "hello from git\n");
    assert_says("cd && git clone -q https://other.example/repository.git refused", 128, "403");
}

/* Git's own server has the smart protocol: only that one knows a depth, or takes a push. */
static void
git_clones_from_gits_own_server(void **state)
{
    (void)state;
    assert_says("cd && git clone -q --depth 1 https://git.allowed.example/git/repository.git smart"
                " && cat smart/hello",
                0, "hello from git\n");
    assert_says("cd && git clone -q --depth 1 https://git.allowed.example/repository.git none", 128,
                "dumb http transport does not support shallow");
    assert_says("cd && git clone -q https://other.example/git/repository.git refused", 128, "403");
}

#define GIT_COMMIT "git -c user.name=a -c user.email=a@allowed.example commit -q -m change"

/* More than git sends in one piece: without TLS the proxy has a chunked body to pass on. */
static void
git_pushes_and_fetches(void **state)
{
    static const char *const schemes[] = {"https", "http"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        char command[1024];

        snprintf(command, sizeof(command),
                 "cd && rm -rf one two && url=%s://git.allowed.example/git/shared.git &&"
                 " git clone -q $url one && git clone -q $url two && cd one &&"
                 " head -c 3000000 /dev/urandom >%s && git add . && " GIT_COMMIT
                 " && git push -q origin HEAD:main && cd ../two && git fetch -q &&"
                 " git merge -q --ff-only origin/main && cmp %s ../one/%s && echo the same",
                 schemes[i], schemes[i], schemes[i], schemes[i]);
        assert_says(command, 0, "the same\n");
    }
}

static void
a_push_that_gits_server_refuses_is_refused(void **state)
{
    (void)state;
    assert_says("cd && rm -rf mine && git clone -q https://git.allowed.example/git/repository.git"
                " mine && cd mine && echo changed >hello && git add . && " GIT_COMMIT
                " && git push -q origin HEAD:main",
                128, "The requested URL returned error: 403");
    assert_int_equal(host_shell("grep -q 'repository.git/info/refs?service=git-receive-pack"
                                " HTTP/1.1\" 403' \"$SANDBOX_STATE/web/access.log\""),
                     0); /* not the proxy's refusal */
    assert_says("cd && rm -rf after && git clone -q"
                " https://git.allowed.example/git/repository.git after && cat after/hello",
                0, "hello from git\n");
}

static void
pip_installs(void **state)
{
    (void)state;
    assert_says(
        "pip install -q --user --index-url https://pypi.allowed.example/simple sandbox-hello &&"
        " python3 -c 'import sandbox_hello; print(sandbox_hello.WORDS)'",
        0, "hello from pip\n");
    assert_says("pip install --user --retries 0 https://other.example/another-1.0-py3-none-any.whl",
                1, "403 Forbidden");
}

static void
npm_installs(void **state)
{
    (void)state;
    assert_says("mkdir -p ~/npm && cd ~/npm &&"
                " npm install --registry https://npm.allowed.example/npm/ sandbox-hello &&"
                " node -p 'require(\"sandbox-hello\")'",
                0, "hello from npm\n");
    assert_says(
        "cd ~/npm && npm install --fetch-retries 0 --registry https://other.example/npm/ another",
        1, "403");
}

static void
a_tunnel_carries_only_the_host_that_it_is_for(void **state)
{
#define S_CLIENT(name)                                                                             \
    "printf 'GET /hello HTTP/1.0\\r\\n\\r\\n' | openssl s_client -ign_eof -proxy 127.0.0.1:3128"   \
    " -connect allowed.example:443 -servername " name " 2>&1 | grep '^hello'"

    (void)state;
    assert_says(S_CLIENT("allowed.example"), 0, NET_HELLO);
    assert_says(S_CLIENT("other.example"), 1, "");
}

/* Whether the download of the test below has begun. */
static bool
has_begun(void *arg)
{
    struct reply r = run("test -s /workspace/slow", false);
    bool begun = int_at(&r, "exit_code") == 0;

    (void)arg;
    reply_done(&r);
    return begun;
}

static void
a_tunnel_to_what_is_forbidden_meanwhile_is_closed(void **state)
{
    struct reply r = run("curl -sS -N -o slow https://allowed.example/slow; echo $?", true), out;
    char id[STEP_ID_SIZE];

    (void)state;
    snprintf(id, sizeof(id), "%s", text_at(&r, "id"));
    reply_done(&r);
    wait_until(has_begun, NULL, PATIENCE_SECONDS, "the first bytes");
    net_policy("{\"network_policy\": {\"blocked_domains\": [\"allowed.example\"]}}");
    wait_until(net_has_ended, id, PATIENCE_SECONDS, "the end of the tunnel");
    out = fetch(ALICE, "/audit/%s/output", id);
    assert_string_not_equal(text_at(&out, "stdout"), "0\n");
    reply_done(&out);
    assert_says("curl -sS https://allowed.example/hello", 56, "response 403");
    net_policy(NET_POLICY);
    assert_says("curl -sS --retry 5 --retry-all-errors https://allowed.example/hello", 0,
                NET_HELLO);
}

static void
the_hosts_abstract_sockets_are_not_there(void **state)
{
    static const char name[] = "sandbox-test-abstract";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)state;
    memcpy(address.sun_path + 1, name, sizeof(name) - 1);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name))),
                     0);
    assert_int_equal(listen(fd, 8), 0);
    for (size_t i = 0; i < 2; i++) {
        char body[512];
        struct reply r;

        snprintf(body, sizeof(body),
                 "{\"template\": \"" TOOLS "\", \"tier\": \"%s\", \"session_id\": \"abstract\","
                 " \"argv\": [\"python3\", \"-c\", \"import socket; s = socket.socket("
                 "socket.AF_UNIX); print(s.connect_ex(b'\\\\0%s'))\"]}",
                 i ? "Standard" : "Sandbox", name);
        r = call(ALICE, "POST", "/execute", body, NULL);
        assert_status(&r, 200);
        assert_string_equal(text_at(&r, "stdout"), "111\n"); /* ECONNREFUSED */
        reply_done(&r);
    }
    assert_int_equal(accept(fd, NULL, NULL), -1);
}

static void
datagrams_and_raw_sockets_lead_nowhere(void **state)
{
    (void)state;
    assert_says("python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
                ".sendto(b\"x\", (\"192.0.2.1\", 53))'",
                1, "Network is unreachable");
    assert_says("python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'", 1,
                "Operation not permitted");
    assert_says("python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'", 1,
                "Operation not permitted");
    assert_says("python3 -c 'import socket; socket.create_connection((\"2001:db8::1\", 443), 5)'",
                1, "unreachable");
}

static void
what_clients_did_is_in_the_audit_log(void **state)
{
    struct reply r = fetch(ALICE, "/audit?kind=network&agent_id=clients&limit=500");
    bool allowed = false, refused = false, told = false;
    const json_t *e;
    size_t i;

    (void)state;
    json_array_foreach(at(&r, "entries"), i, e)
    {
        const char *host = json_string_value(json_object_get(e, "host"));
        bool tls = json_integer_value(json_object_get(e, "port")) == 443;

        allowed = allowed || (tls && strcmp(host, "pypi.allowed.example") == 0 &&
                              json_is_true(json_object_get(e, "allowed")));
        refused = refused || (tls && strcmp(host, "other.example") == 0 &&
                              json_is_false(json_object_get(e, "allowed")));
        told = told || (tls && strcmp(host, "allowed.example") == 0 &&
                        strstr(json_string_value(json_object_get(e, "rule")), "use CONNECT"));
    }
    if (!allowed || !refused || !told)
        fail_msg("%s", r.body);
    reply_done(&r);
}

int
suite_network_clients(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curl_reaches_what_is_allowed),
        cmocka_unit_test(wget_reaches_what_is_allowed),
        cmocka_unit_test(wget_of_busybox_gets_no_https_and_is_told_why),
        cmocka_unit_test(git_clones_what_is_plain_files),
        cmocka_unit_test(git_clones_from_gits_own_server),
        cmocka_unit_test(git_pushes_and_fetches),
        cmocka_unit_test(a_push_that_gits_server_refuses_is_refused),
        cmocka_unit_test(pip_installs),
        cmocka_unit_test(npm_installs),
        cmocka_unit_test(a_tunnel_carries_only_the_host_that_it_is_for),
        cmocka_unit_test(what_clients_did_is_in_the_audit_log),
        cmocka_unit_test(a_tunnel_to_what_is_forbidden_meanwhile_is_closed),
        cmocka_unit_test(the_hosts_abstract_sockets_are_not_there),
        cmocka_unit_test(datagrams_and_raw_sockets_lead_nowhere),
    };

    return cmocka_run_group_tests_name("network clients", tests, open_clients, net_close);
}
