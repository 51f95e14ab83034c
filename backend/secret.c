/* The installation's secret: see secret.h. */
#include "backend/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

enum { KEY_OF_CURSORS = 1 }; /* numbers of keys stay what they are */

static const char kdf_context[crypto_kdf_CONTEXTBYTES] = "sandboxd";

static int
secret_path(const struct service_context *ctx, const char *suffix, char out[PATH_MAX],
            struct error *err)
{
    int len = snprintf(out, PATH_MAX, "%s/" SECRET_FILE "%s", ctx->state_dir, suffix);

    return len < PATH_MAX ? 0 : error_errno(err, ENAMETOOLONG, ctx->state_dir);
}

/* Read the file @path. Returns -ENOENT, without an error noted, if there is none. */
static int
read_secret(const char *path, unsigned char secret[crypto_kdf_KEYBYTES], struct error *err)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    unsigned char bytes[crypto_kdf_KEYBYTES + 1];
    ssize_t n;

    if (fd < 0)
        return errno == ENOENT ? -ENOENT : error_errno(err, errno, "opening the secret");
    n = read(fd, bytes, sizeof(bytes));
    if (n == crypto_kdf_KEYBYTES)
        memcpy(secret, bytes, crypto_kdf_KEYBYTES);
    sodium_memzero(bytes, sizeof(bytes));
    if (n < 0)
        return error_errno(err, errno, "reading the secret");
    if (n != crypto_kdf_KEYBYTES)
        return error_set(err, ERR_INTERNAL, "%s is damaged: put it back, or remove it", path);
    return 0;
}

/* Write a new one to @new_path, and rename it to @path when it is whole. */
static int
make_secret(const char *new_path, const char *path, unsigned char secret[crypto_kdf_KEYBYTES],
            struct error *err)
{
    _cleanup_(closep) int fd = -1;
    ssize_t n;

    unlink(new_path); /* of a start that broke off */
    fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "making the secret");
    crypto_kdf_keygen(secret);
    n = write(fd, secret, crypto_kdf_KEYBYTES);
    if (n != crypto_kdf_KEYBYTES || fsync(fd) < 0)
        return error_errno(err, n < 0 ? errno : EIO, "writing the secret");
    return rename(new_path, path) < 0 ? error_errno(err, errno, "renaming the secret") : 0;
}

int
secret_take(struct service_context *ctx, struct error *err)
{
    char path[PATH_MAX], new_path[PATH_MAX];
    unsigned char secret[crypto_kdf_KEYBYTES];
    int r;

    r = secret_path(ctx, "", path, err);
    if (r == 0)
        r = secret_path(ctx, ".new", new_path, err);
    if (r < 0)
        return r;
    r = read_secret(path, secret, err);
    if (r == -ENOENT)
        r = make_secret(new_path, path, secret, err);
    if (r == 0)
        crypto_kdf_derive_from_key(ctx->cursor_key, sizeof(ctx->cursor_key), KEY_OF_CURSORS,
                                   kdf_context, secret);
    sodium_memzero(secret, sizeof(secret));
    return r;
}
