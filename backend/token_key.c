/* The key of tokens: see token_key.h. */
#include "backend/token_key.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "backend/keyfile.h"

static int
key_path(const char *state_dir, char out[PATH_MAX], struct error *err)
{
    int len = snprintf(out, PATH_MAX, "%s/" TOKEN_KEY_FILE, state_dir);

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

int
token_key_make(const struct service_context *ctx, struct error *err)
{
    bool privileged = ctx->privileged;
    char path[PATH_MAX];
    bool exists = false;
    int r;

    r = key_path(ctx->state_dir, path, err);
    if (r == 0)
        r = look(path, &exists, err);
    if (r < 0 || exists)
        return r;
    return keyfile_make(path, TOKEN_KEY_BYTES, privileged ? ctx->uid : (uid_t)-1,
                        privileged ? ctx->gid : (gid_t)-1, err);
}

int
token_key_read(struct backend *b, struct error *err)
{
    char path[PATH_MAX];
    int r;

    if (b->has_token_key)
        return 0;
    r = key_path(b->context->state_dir, path, err);
    if (r < 0)
        return r;
    r = keyfile_read(path, b->token_key, TOKEN_KEY_BYTES, err);
    if (r == -ENOENT || r == -EINVAL)
        return error_errno(err, -r, "the tokens' key");
    b->has_token_key = r == 0;
    return r;
}
