/* The key of tokens: see token_key.h. */
#include "backend/token_key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

/* The path of the key, with @suffix, in @out. */
static int
key_path(const char *state_dir, const char *suffix, char out[PATH_MAX], struct error *err)
{
    int len = snprintf(out, PATH_MAX, "%s/" TOKEN_KEY_FILE "%s", state_dir, suffix);

    return len < PATH_MAX ? 0 : error_errno(err, ENAMETOOLONG, state_dir);
}

/* Whether there is a key; one that cannot be one is an error, not to be replaced. */
static int
look(const char *path, bool *ret, struct error *err)
{
    struct stat st;

    *ret = lstat(path, &st) == 0;
    if (!*ret)
        return errno == ENOENT ? 0 : error_errno(err, errno, "stat of the tokens' key");
    if (!S_ISREG(st.st_mode) || st.st_size != TOKEN_KEY_BYTES)
        return error_set(err, ERR_INTERNAL,
                         "%s is damaged; without it no token works, and none will where it is made "
                         "anew: put it back, or remove it",
                         path);
    return 0;
}

/* Write a new key to @path, which is not there, for the service's account. */
static int
write_key(const struct service_context *ctx, const char *path, struct error *err)
{
    unsigned char key[TOKEN_KEY_BYTES];
    _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t n;

    if (fd < 0)
        return error_errno(err, errno, "making the tokens' key");
    randombytes_buf(key, sizeof(key));
    n = write(fd, key, sizeof(key));
    sodium_memzero(key, sizeof(key));
    if (n != (ssize_t)sizeof(key) || fsync(fd) < 0)
        return error_errno(err, n < 0 ? errno : EIO, "writing the tokens' key");
    if (ctx->privileged && fchown(fd, ctx->uid, ctx->gid) < 0)
        return error_errno(err, errno, "changing the owner of the tokens' key");
    return 0;
}

int
token_key_make(const struct service_context *ctx, struct error *err)
{
    char path[PATH_MAX], new_path[PATH_MAX];
    bool exists = false;
    int r;

    r = key_path(ctx->state_dir, "", path, err);
    if (r == 0)
        r = key_path(ctx->state_dir, ".new", new_path, err);
    if (r == 0)
        r = look(path, &exists, err);
    if (r < 0 || exists)
        return r;
    unlink(new_path); /* of a start that broke off */
    r = write_key(ctx, new_path, err);
    if (r == 0 && rename(new_path, path) < 0)
        r = error_errno(err, errno, "renaming the tokens' key");
    return r;
}

int
token_key_read(struct backend *b, struct error *err)
{
    char path[PATH_MAX];
    _cleanup_(closep) int fd = -1;
    unsigned char key[TOKEN_KEY_BYTES + 1];
    ssize_t n;
    int r;

    if (b->has_token_key)
        return 0;
    r = key_path(b->context->state_dir, "", path, err);
    if (r < 0)
        return r;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_errno(err, errno, "open of the tokens' key");
    n = read(fd, key, sizeof(key));
    if (n == TOKEN_KEY_BYTES) {
        memcpy(b->token_key, key, TOKEN_KEY_BYTES);
        b->has_token_key = true;
    }
    sodium_memzero(key, sizeof(key));
    return b->has_token_key ? 0 : error_errno(err, n < 0 ? errno : EINVAL, "the tokens' key");
}
