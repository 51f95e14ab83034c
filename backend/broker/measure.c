/*
 * Counting a tenant's files: see measure.h. Directories that wait for their turn are remembered by
 * file handle: neither a path nor an open descriptor, of which a deep tree would need too many, and
 * still right after a rename.
 */
#include "backend/broker/measure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uthash.h>

enum {
    HANDLE_BYTES = MAX_HANDLE_SZ,
    BLOCK_BYTES = 512 /* of st_blocks */,
    DEPTH_MAX = 12 /* of a flat tree: with the longest names, a path that can be opened */
};

/* A directory to look into. */
struct waiting {
    struct waiting *next;
    int depth;
    struct file_handle handle; /* its bytes follow */
};

static bool
over(const struct measure *m, const struct measure *max)
{
    return m->bytes > max->bytes || m->files > max->files;
}

static void
add(struct measure *m, const struct stat *st)
{
    bool shared = !S_ISDIR(st->st_mode) && st->st_nlink > 1;

    m->files++;
    m->bytes += (int64_t)st->st_blocks * BLOCK_BYTES / (shared ? (int64_t)st->st_nlink : 1);
}

/* Remember the directory @name in @dir, @depth levels below the top. It may be gone already. */
static int
remember(int dir, const char *name, int depth, struct waiting **list)
{
    union {
        struct file_handle handle;
        char bytes[sizeof(struct file_handle) + HANDLE_BYTES];
    } found = {.handle = {.handle_bytes = HANDLE_BYTES}};
    struct waiting *w;
    size_t size;
    int mount_id;

    if (name_to_handle_at(dir, name, &found.handle, &mount_id, 0) < 0)
        return errno == ENOENT ? 0 : -errno;
    size = sizeof(found.handle) + found.handle.handle_bytes;
    w = calloc(1, sizeof(*w) - sizeof(w->handle) + size);
    if (!w)
        return -ENOMEM;
    memcpy(&w->handle, &found, size); /* NOLINT(bugprone-not-null-terminated-result) */
    w->depth = depth;
    w->next = *list;
    *list = w;
    return 0;
}

/* A walk over a tree. Lifetime: call. */
struct walk {
    int top;
    struct waiting *list;
    const struct measure *max; /* NULL: the walk flattens, and does not count */
    struct measure *m;
    unsigned moved; /* directories */
};

static bool
counted_enough(const struct walk *w)
{
    return w->max && over(w->m, w->max);
}

/* Move the directory @name in @dir to the top, and remember it there. */
static int
move_up(struct walk *w, int dir, const char *name)
{
    char new_name[32];

    do
        snprintf(new_name, sizeof(new_name), ".moved-%u", w->moved++);
    while (renameat2(dir, name, w->top, new_name, RENAME_NOREPLACE) < 0 && errno == EEXIST);
    return remember(w->top, new_name, 1, &w->list);
}

/* Visit the entry @name of @dir, which is at @depth. */
static int
visit(struct walk *w, int dir, const char *name, int depth)
{
    struct stat st;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0; /* removed meanwhile */
    if (w->max)
        add(w->m, &st);
    if (!S_ISDIR(st.st_mode))
        return 0;
    if (!w->max && depth >= DEPTH_MAX)
        return move_up(w, dir, name);
    return remember(dir, name, depth + 1, &w->list);
}

/* Visit what is in the directory @fd, which is closed. */
static int
visit_entries(struct walk *w, int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *entry;
    int r = 0;

    if (!dir) {
        r = -errno;
        close(fd);
        return r;
    }
    while (r == 0 && !counted_enough(w) &&
           (entry = readdir(dir))) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        r = visit(w, dirfd(dir), entry->d_name, depth);
    closedir(dir);
    return r;
}

static int
walk(struct walk *w, const char *directory)
{
    /* Without traces in the times of access, which a tenant could wait for. */
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME;
    int r;

    w->top = open(directory, flags);
    r = w->top < 0 ? -errno : remember(w->top, ".", 0, &w->list);
    while (w->list) {
        struct waiting *next = w->list;
        int fd = -1;

        w->list = next->next;
        if (r == 0 && !counted_enough(w))
            fd = open_by_handle_at(w->top, &next->handle, flags);
        if (fd >= 0)
            r = visit_entries(w, fd, next->depth);
        else if (r == 0 && !counted_enough(w) && errno != ESTALE) /* ESTALE: removed meanwhile */
            r = -errno;
        free(next);
    }
    if (w->top >= 0)
        close(w->top);
    return r;
}

int
measure_tree(const char *directory, const struct measure *max, struct measure *m)
{
    struct walk w = {.max = max, .m = m};

    return walk(&w, directory);
}

int
measure_flatten(const char *directory)
{
    struct walk w = {0};

    return walk(&w, directory);
}

/* A file without a name that was counted. */
struct seen {
    ino_t inode; /* key */
    UT_hash_handle hh;
};

/* The search for nameless files. Lifetime: call. */
struct search {
    dev_t device; /* of the container's root */
    const struct measure *max;
    struct measure *m;
    int64_t looks; /* at descriptors and mappings */
    struct seen *seen;
};

static bool
searched_enough(const struct search *s)
{
    return over(s->m, s->max) || s->looks > s->max->files;
}

/* Count the file if it has no name and was not counted yet. */
static int
consider(struct search *s, const struct stat *st)
{
    struct seen *known = NULL;

    if (!S_ISREG(st->st_mode) || st->st_nlink > 0 || st->st_dev != s->device)
        return 0;
    HASH_FIND(hh, s->seen, &st->st_ino, sizeof(st->st_ino), known);
    if (known)
        return 0;
    known = calloc(1, sizeof(*known));
    if (!known)
        return -ENOMEM;
    known->inode = st->st_ino;
    HASH_ADD(hh, s->seen, inode, sizeof(known->inode), known);
    add(s->m, st);
    return 0;
}

/* Look at what the links in /proc/@pid/@kind ("fd", "map_files") lead to. */
static int
look_through(struct search *s, const char *pid, const char *kind)
{
    char path[64];
    const struct dirent *entry;
    struct stat st;
    int r = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%.16s/%s", pid, kind);
    dir = opendir(path);
    while (dir && r == 0 && !searched_enough(s) &&
           (entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        s->looks++;
        if (entry->d_name[0] != '.' && fstatat(dirfd(dir), entry->d_name, &st, 0) == 0)
            r = consider(s, &st);
    }
    if (dir)
        closedir(dir);
    return r;
}

/* The inode of the pid namespace of @pid; 0: the process is gone. */
static ino_t
pid_namespace(const char *pid)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%.16s/ns/pid", pid);
    return stat(path, &st) < 0 ? 0 : st.st_ino;
}

int
measure_nameless(pid_t pid, const struct measure *max, struct measure *m)
{
    struct search s = {.max = max, .m = m};
    char guest[16], root[64];
    struct seen *known, *next;
    const struct dirent *entry;
    struct stat st;
    ino_t namespace;
    int r = 0;
    DIR *proc;

    snprintf(guest, sizeof(guest), "%d", (int)pid);
    snprintf(root, sizeof(root), "/proc/%d/root", (int)pid);
    namespace = pid_namespace(guest);
    if (namespace == 0 || stat(root, &st) < 0)
        return 0; /* it has ended, and its files with it */
    s.device = st.st_dev;
    proc = opendir("/proc");
    if (!proc)
        return -errno;
    while (r == 0 && !searched_enough(&s) &&
           (entry = readdir(proc))) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            pid_namespace(entry->d_name) != namespace)
            continue;
        r = look_through(&s, entry->d_name, "fd");
        if (r == 0)
            r = look_through(&s, entry->d_name, "map_files");
    }
    closedir(proc);
    HASH_ITER(hh, s.seen, known, next)
    {
        HASH_DEL(s.seen, known);
        free(known);
    }
    return r;
}
