/* Build contexts: see context.h. */
#include "backend/context.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include <archive.h>
#include <archive_entry.h>

#include "backend/cleanup.h"
#include "backend/config/check.h"

CLEANUP_FN(struct archive *, archive_write_free)
CLEANUP_FN(struct archive_entry *, archive_entry_free)

int
context_check(const char *dockerfile, json_t *files, int64_t max_mb, struct error *err)
{
    size_t total = strlen(dockerfile);
    const char *path;
    json_t *text;
    int r = check_files(files, NULL, NULL, err);

    json_object_foreach(files, path, text) total += json_string_length(text);
    if (total > (size_t)max_mb << 20)
        r = error_violation(
            err, files ? "/files" : "/dockerfile",
            "Dockerfile and files have %zu bytes together; builds.context_mb allows "
            "%lld MiB",
            total, (long long)max_mb);
    return r;
}

static int
archive_fail(struct archive *a, struct error *err)
{
    return error_set_detail(err, ERR_INTERNAL, archive_error_string(a),
                            "the build context cannot be written");
}

static int
add_file(struct archive *a, const char *path, const char *text, size_t len, int64_t mtime_ms,
         struct error *err)
{
    _cleanup_(archive_entry_freep) struct archive_entry *e = archive_entry_new();

    if (!e)
        return error_errno(err, ENOMEM, "archive entry");
    archive_entry_set_pathname(e, path);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, (la_int64_t)len);
    archive_entry_set_mtime(e, (time_t)(mtime_ms / 1000), 0);
    if (archive_write_header(a, e) != ARCHIVE_OK ||
        archive_write_data(a, text, len) != (la_ssize_t)len)
        return archive_fail(a, err);
    return 0;
}

static int
write_tar(int fd, const char *dockerfile, json_t *files, int64_t mtime_ms, struct error *err)
{
    _cleanup_(archive_write_freep) struct archive *a = archive_write_new();
    const char *path;
    json_t *text;
    int r;

    if (!a)
        return error_errno(err, ENOMEM, "archive");
    /* GNU's tar takes names of any length as the bytes that they are, whatever the locale. */
    if (archive_write_set_format_gnutar(a) != ARCHIVE_OK ||
        archive_write_open_fd(a, fd) != ARCHIVE_OK)
        return archive_fail(a, err);
    r = add_file(a, "Dockerfile", dockerfile, strlen(dockerfile), mtime_ms, err);
    json_object_foreach(files, path, text)
    {
        if (r == 0)
            r = add_file(a, path, json_string_value(text), json_string_length(text), mtime_ms, err);
    }
    if (r == 0 && archive_write_close(a) != ARCHIVE_OK)
        r = archive_fail(a, err);
    return r;
}

int
context_make(const char *dockerfile, json_t *files, int64_t mtime_ms, int *ret_fd,
             struct error *err)
{
    _cleanup_(closep) int fd = memfd_create("build-context", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r;

    if (fd < 0)
        return error_errno(err, errno, "memfd_create");
    r = write_tar(fd, dockerfile, files, mtime_ms, err);
    if (r < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return error_errno(err, errno, "sealing the build context");
    *ret_fd = TAKE_FD(fd);
    return 0;
}
