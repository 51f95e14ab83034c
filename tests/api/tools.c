/* The template of real clients: see tools.h. */
#include "tests/test.h"

#include "tests/api/tools.h"

#include "tests/api/host.h"

#define IMAGE "sandboxd-test/tools:latest"

/* openssl req(1) with a key of an elliptic curve, which is quick to make. */
#define OPENSSL_REQ                                                                                \
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30"

/* The authority, in the state directory's test-ca/ca.pem. */
static void
make_authority(void)
{
    assert_int_equal(
        host_shell("cd \"$SANDBOX_STATE\" && mkdir -p -m 700 test-ca && cd test-ca || exit 1\n"
                   "[ -s ca.pem ] || " OPENSSL_REQ " -subj '/CN=authority of the tests'"
                   " -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem 2>log ||"
                   " { cat log; exit 1; }"),
        0);
}

void
tools_make(void)
{
    struct reply r = call(ADMIN, "GET", "/templates/" TOOLS, NULL, NULL);
    long there = r.status;

    reply_done(&r);
    if (there == 200)
        return;
    make_authority();
    assert_int_equal(host_shell("tests/images/tools \"$SANDBOX_STATE\" " IMAGE
                                " \"$SANDBOX_STATE/test-ca/ca.pem\""),
                     0);
    r = call(ADMIN, "POST", "/templates", "{\"name\": \"" TOOLS "\", \"image\": \"" IMAGE "\"}",
             NULL);
    assert_status(&r, 201);
    reply_done(&r);
}

void
tools_certificate(const char *name, const char *names)
{
    make_authority();
    assert_int_equal(
        host_shell("cd \"$SANDBOX_STATE/test-ca\" && " OPENSSL_REQ
                   " -CA ca.pem -CAkey ca.key -subj '/CN=%s' -addext 'subjectAltName=%s'"
                   " -addext basicConstraints=critical,CA:FALSE"
                   " -keyout '%s.key' -out '%s.pem' 2>log || { cat log; exit 1; }",
                   name, names, name, name),
        0);
}
