/* Logins of registries: see credentials.h. */
#include "backend/docker/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "backend/buf.h"

enum { FILE_MAX_BYTES = 256 * 1024, LOGIN_MAX = 8192, HOST_MAX = 256 };

/* What the engine calls Docker Hub, and what references and files call it. */
static const char hub_server[] = "https://index.docker.io/v1/";
static const char *const hub_hosts[] = {"docker.io", "index.docker.io", "registry-1.docker.io"};

/* Lifetime: scope. */
struct docker_credentials {
    json_t *auths; /* owned: an object, host to {"username", "password", "serveraddress"} */
};

static int
broken(const char *path, const char *what, struct error *err)
{
    const char *slash = strrchr(path, '/');

    return error_set(err, ERR_CONFLICT, "the file of builds.credentials, '%.100s', %s",
                     slash ? slash + 1 : path, what);
}

static int
read_file(const char *path, struct buf *ret, struct error *err)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return broken(path, "cannot be read", err);
    do {
        char *to = buf_reserve(ret, 4096);

        if (!to)
            return broken(path, "is larger than 256 KiB", err);
        n = read(fd, to, 4096);
        if (n < 0)
            return broken(path, "cannot be read", err);
        buf_commit(ret, (size_t)n);
    } while (n > 0);
    return 0;
}

/* The host of a key such as "https://registry.example.org/v1/". */
static void
host_of_key(const char *key, char out[HOST_MAX])
{
    const char *scheme = strstr(key, "://");

    key = scheme ? scheme + 3 : key;
    snprintf(out, HOST_MAX, "%.*s", (int)strcspn(key, "/"), key);
    for (size_t i = 0; i < ARRAY_LEN(hub_hosts); i++)
        if (strcmp(out, hub_hosts[i]) == 0)
            snprintf(out, HOST_MAX, "%s", hub_hosts[0]);
}

/* The host of a reference: its first part, if that can be one (distribution/reference). */
static void
host_of_reference(const char *reference, char out[HOST_MAX])
{
    size_t len = strcspn(reference, "/");

    snprintf(out, HOST_MAX, "%.*s", (int)len, reference);
    if (reference[len] != '/' || (!strpbrk(out, ".:") && strcmp(out, "localhost") != 0))
        snprintf(out, HOST_MAX, "%s", hub_hosts[0]);
}

/* Add the login that the member @key of `auths` holds. Returns false if it holds none. */
static bool
add_login(struct docker_credentials *c, const char *key, const json_t *value)
{
    const json_t *auth = json_object_get(value, "auth");
    char plain[LOGIN_MAX], host[HOST_MAX];
    const char *colon = NULL;
    size_t len = 0;
    bool added = false;

    host_of_key(key, host);
    if (json_is_string(auth) &&
        sodium_base642bin((unsigned char *)plain, sizeof(plain) - 1, json_string_value(auth),
                          json_string_length(auth), NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) == 0) {
        plain[len] = '\0';
        colon = strchr(plain, ':');
    }
    if (colon && colon > plain && strlen(plain) == len)
        added = json_object_set_new(
                    c->auths, host,
                    json_pack("{s:s%, s:s, s:s}", "username", plain, (size_t)(colon - plain),
                              "password", colon + 1, "serveraddress",
                              strcmp(host, hub_hosts[0]) == 0 ? hub_server : host)) == 0;
    sodium_memzero(plain, sizeof(plain));
    return added;
}

static int
parse(const char *path, const struct buf *text, struct docker_credentials *c, struct error *err)
{
    json_auto_t *root = json_loadb(text->data ? text->data : "", text->len, 0, NULL);
    json_t *auths = json_object_get(root, "auths"), *value;
    const char *key;

    if (!json_is_object(auths))
        return broken(path, "is not a Docker config.json with \"auths\"", err);
    json_object_foreach(auths, key, value)
    {
        if (!add_login(c, key, value))
            return broken(path, "has a login that is not {\"auth\": base64 of user:password}", err);
    }
    return 0;
}

int
docker_credentials_read(const char *path, struct docker_credentials **ret, struct error *err)
{
    _cleanup_(docker_credentials_freep) struct docker_credentials *c = calloc(1, sizeof(*c));
    struct buf text;
    int r = 0;

    if (c)
        c->auths = json_object();
    if (!c || !c->auths)
        return error_errno(err, ENOMEM, "credentials");
    buf_init(&text, FILE_MAX_BYTES);
    if (path[0])
        r = read_file(path, &text, err);
    if (r == 0 && path[0])
        r = parse(path, &text, c, err);
    if (text.data)
        sodium_memzero(text.data, text.size);
    buf_done(&text);
    if (r == 0)
        *ret = TAKE(c);
    return r;
}

void
docker_credentials_free(struct docker_credentials *c)
{
    if (!c)
        return;
    json_decref(c->auths);
    free(c);
}

void
docker_credentials_wipe(char **header)
{
    if (*header)
        sodium_memzero(*header, strlen(*header));
    free(*header);
    *header = NULL;
}

/* The header @name with @value as JSON in the URL's base64, which is what the engine reads. */
static int
make_header(const char *name, const json_t *value, char **ret, struct error *err)
{
    _cleanup_(docker_credentials_wipe) char *json = json_dumps(value, JSON_COMPACT);
    size_t prefix = strlen(name) + strlen(": ");
    size_t encoded =
        json ? sodium_base64_encoded_len(strlen(json), sodium_base64_VARIANT_URLSAFE) : 0;
    char *header = json ? malloc(prefix + encoded) : NULL;

    if (!header)
        return error_errno(err, ENOMEM, "credentials");
    snprintf(header, prefix + 1, "%s: ", name);
    sodium_bin2base64(header + prefix, encoded, (const unsigned char *)json, strlen(json),
                      sodium_base64_VARIANT_URLSAFE);
    *ret = header;
    return 0;
}

static int
no_header(char **ret, struct error *err)
{
    *ret = strdup("");
    return *ret ? 0 : error_errno(err, ENOMEM, "credentials");
}

int
docker_credentials_auth(const struct docker_credentials *c, const char *reference, char **ret,
                        struct error *err)
{
    char host[HOST_MAX];
    const json_t *login;

    host_of_reference(reference, host);
    login = json_object_get(c->auths, host);
    return login ? make_header("X-Registry-Auth", login, ret, err) : no_header(ret, err);
}

int
docker_credentials_config(const struct docker_credentials *c, char **ret, struct error *err)
{
    json_auto_t *config = json_object();
    json_t *login;
    const char *host;

    if (json_object_size(c->auths) == 0)
        return no_header(ret, err);
    json_object_foreach(c->auths, host, login)
    {
        const char *server = json_string_value(json_object_get(login, "serveraddress"));

        if (json_object_set(config, server, login) < 0)
            return error_errno(err, ENOMEM, "credentials");
    }
    return make_header("X-Registry-Config", config, ret, err);
}
