/* Key files: see keyfile.h. */
#include "backend/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <sodium.h>

#include "backend/cleanup.h"

enum { KEY_MAX = 64 };

static int
write_key(int fd, size_t size, struct error *err)
{
    unsigned char bytes[KEY_MAX];
    ssize_t n;

    randombytes_buf(bytes, size);
    n = write(fd, bytes, size);
    sodium_memzero(bytes, sizeof(bytes));
    if (n != (ssize_t)size || fsync(fd) < 0)
        return error_errno(err, n < 0 ? errno : EIO, "writing a key file");
    return 0;
}

int
keyfile_make(const char *path, size_t size, uid_t uid, gid_t gid, struct error *err)
{
    char new_path[PATH_MAX];
    _cleanup_(closep) int fd = -1;
    int r;

    if (size > KEY_MAX ||
        snprintf(new_path, sizeof(new_path), "%s.new", path) >= (int)sizeof(new_path))
        return error_errno(err, ENAMETOOLONG, path);
    unlink(new_path); /* of a start that broke off */
    fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "making a key file");
    r = write_key(fd, size, err);
    if (r < 0)
        return r;
    if ((uid != (uid_t)-1 && fchown(fd, uid, gid) < 0) || rename(new_path, path) < 0)
        return error_errno(err, errno, "putting a key file in place");
    return 0;
}

int
keyfile_read(const char *path, void *bytes, size_t size, struct error *err)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    char more;
    ssize_t n;

    if (fd < 0)
        return errno == ENOENT ? -ENOENT : error_errno(err, errno, "opening a key file");
    n = read(fd, bytes, size);
    if (n == (ssize_t)size && read(fd, &more, 1) == 0)
        return 0;
    sodium_memzero(bytes, size);
    return n < 0 ? error_errno(err, errno, "reading a key file") : -EINVAL;
}
