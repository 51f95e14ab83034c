/* An nginx of an admin's own: see doors.h. */
#include "tests/test.h"

#include "tests/api/doors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cleanup.h"
#include "tests/api/host.h"

enum { URL_SIZE = 128 };

/* Where it is. */
static struct {
    const struct way *way;
    int port, proxy_port;
    char url[URL_SIZE], proxy_url[URL_SIZE];
} site;

static struct client_door door;

/* The file tests/api/site made of @name and @suffix, as an option of @curl. */
static void
set_key_file(CURL *curl, CURLoption option, const char *name, const char *suffix)
{
    char file[128], path[PATH_MAX];

    snprintf(file, sizeof(file), "site-keys/%s%s", name, suffix);
    curl_easy_setopt(curl, option, host_path(file, path));
}

static void
prove_by_certificate(CURL *curl, const char *user)
{
    set_key_file(curl, CURLOPT_SSLCERT, user, ".pem");
    set_key_file(curl, CURLOPT_SSLKEY, user, ".key");
}

static void
prove_by_cookie(CURL *curl, const char *user)
{
    _cleanup_(freep) char *secret = state_file("site-secret");
    char cookie[512];

    assert_non_null(secret);
    snprintf(cookie, sizeof(cookie), "session=%s-%.*s", user, (int)strcspn(secret, "\n"), secret);
    curl_easy_setopt(curl, CURLOPT_COOKIE, cookie);
}

static void
prove_by_token(CURL *curl, const char *user)
{
    char name[64];
    _cleanup_(freep) char *token = NULL;

    snprintf(name, sizeof(name), "site-token-%s", user);
    token = state_file(name);
    assert_non_null(token);
    token[strcspn(token, "\n")] = '\0';
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token);
}

static const char *const wrong_passwords[] = {
    "X-Nothing: 1",
    "Authorization: Basic YWRtaW46d3Jvbmc=", /* admin:wrong */
    "Authorization: Basic YWRtaW46",         /* admin: */
    "Authorization: Basic c2l0ZTpzZWNyZXQ=", /* site:secret, whom the site knows */
    "Authorization: Bearer sbx_x",
    "Cookie: session=admin-",
    NULL,
};

static const char *const wrong_cookies[] = {
    "X-Nothing: 1",
    "Cookie: session=admin",
    "Cookie: session=admin-0000",
    "X-Auth-Request-User: admin",
    "Authorization: Basic YWRtaW46d3Jvbmc=",
    "Authorization: Basic c2l0ZTpzZWNyZXQ=",
    NULL,
};

static const char *const wrong_tokens[] = {
    "X-Nothing: 1",
    "Authorization: Bearer",
    "Authorization: Bearer sbx_0000000000000000000000000000000000000000000000000000000000000000",
    "Authorization: Basic YWRtaW46d3Jvbmc=",
    "Authorization: Basic c2l0ZTpzZWNyZXQ=",
    "X-Sandbox-User: admin",
    NULL,
};

/* Certificates of the right authority that name no user, and none at all. */
static const char *const wrong_certificates[] = {
    "", "nameless", "hidden", "plus", "joined", "two", "blank", "accent", "quoted", "email", NULL,
};

static void
as_stranger_with_certificate(CURL *curl, const char *name)
{
    if (name[0] != '\0')
        prove_by_certificate(curl, name);
}

const struct way ways[WAY_COUNT] = {
    [WAY_BASIC] = {"basic", "Basic", client_prove_by_password, wrong_passwords, NULL},
    [WAY_MTLS] = {"mtls", "ClientCertificate", prove_by_certificate, wrong_certificates,
                  as_stranger_with_certificate},
    [WAY_SSO] = {"sso", "SSO", prove_by_cookie, wrong_cookies, NULL},
    [WAY_BEARER] = {"bearer", "Bearer", prove_by_token, wrong_tokens, NULL},
};

/* Start it with the configuration @kind, and go to it. */
static void
start(const struct way *way, const char *edit, const char *kind)
{
    _cleanup_(freep) char *ports = NULL;

    assert_int_equal(host_shell("tests/api/site proofs %s && tests/api/site up %s '%s' '%s'",
                                way->name, way->name, edit ? edit : "", kind),
                     0);
    ports = state_file("site/ports");
    assert_non_null(ports);
    assert_int_equal(sscanf(ports, "%d %d", &site.port, &site.proxy_port), 2);
    site.way = way;
    snprintf(site.url, sizeof(site.url), "https://localhost:%d/api/sandbox", site.port);
    snprintf(site.proxy_url, sizeof(site.proxy_url), "https://localhost:%d/tools/sandbox",
             site.proxy_port);
    site_behind_proxy(false);
}

void
site_up(const struct way *way, const char *edit)
{
    start(way, edit, "");
}

void
site_up_alone(const struct way *way)
{
    start(way, NULL, "whole");
}

int
site_down(void **state)
{
    (void)state;
    client_use_door(NULL);
    return host_shell("tests/api/site down");
}

void
site_behind_proxy(bool behind)
{
    door = (struct client_door){
        .url = behind ? site.proxy_url : site.url,
        .prove = site.way->prove,
    };
    client_use_door(&door);
}

struct reply
site_get(const char *path, const char *user_password)
{
    CURL *curl = client_handle(NULL, "");
    char url[512];
    struct reply r;

    snprintf(url, sizeof(url), "https://localhost:%d%s", site.port, path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    if (user_password)
        curl_easy_setopt(curl, CURLOPT_USERPWD, user_password);
    r = client_perform(curl, NULL);
    curl_easy_cleanup(curl);
    return r;
}

size_t
count_headers(const struct reply *r, const char *name)
{
    size_t len = strlen(name), count = 0;

    for (const char *line = r->head; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        count += strncasecmp(line, name, len) == 0 && line[len] == ':';
    }
    return count;
}
