/* The installation's secret: see secret.h. */
#include "backend/secret.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include <sodium.h>

#include "backend/keyfile.h"

enum { KEY_OF_CURSORS = 1 }; /* numbers of keys stay what they are */

static const char kdf_context[crypto_kdf_CONTEXTBYTES] = "sandboxd";

static int
read_or_make(const char *path, unsigned char secret[crypto_kdf_KEYBYTES], struct error *err)
{
    int r = keyfile_read(path, secret, crypto_kdf_KEYBYTES, err);

    if (r == -ENOENT) {
        r = keyfile_make(path, crypto_kdf_KEYBYTES, (uid_t)-1, (gid_t)-1, err);
        if (r == 0)
            r = keyfile_read(path, secret, crypto_kdf_KEYBYTES, err);
    }
    if (r == -EINVAL)
        return error_set(err, ERR_INTERNAL, "%s is damaged: put it back, or remove it", path);
    return r;
}

int
secret_take(struct service_context *ctx, struct error *err)
{
    char path[PATH_MAX];
    unsigned char secret[crypto_kdf_KEYBYTES];
    int r;

    if (snprintf(path, sizeof(path), "%s/" SECRET_FILE, ctx->state_dir) >= (int)sizeof(path))
        return error_errno(err, ENAMETOOLONG, ctx->state_dir);
    r = read_or_make(path, secret, err);
    if (r == 0)
        crypto_kdf_derive_from_key(ctx->cursor_key, sizeof(ctx->cursor_key), KEY_OF_CURSORS,
                                   kdf_context, secret);
    sodium_memzero(secret, sizeof(secret));
    return r;
}
