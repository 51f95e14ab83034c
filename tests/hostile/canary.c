/*
 * Canaries: see canary.h. A watch tells of every open, also through another mount and where the
 * filesystem keeps no time of access.
 */
#include "tests/hostile/canary.h"

#include "tests/test.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "tests/hostile/world.h"

enum { EVENTS_SIZE = 4096, WORKSPACE_CANARY = 4 };

/* Lifetime: from canaries_set() to canaries_take(). */
static struct canary {
    const char *place; /* behind the state directory's path */
    mode_t mode;
    char path[PATH_MAX];
    struct stat as_made;
    int watch;
} canaries[] = {
    {.place = "-canary/of-root", .mode = 0600},         {.place = "-canary/of-all", .mode = 0644},
    {.place = "/canary-of-root", .mode = 0600},         {.place = "/canary-of-all", .mode = 0644},
    [WORKSPACE_CANARY] = {.place = NULL, .mode = 0644},
};

static int watches = -1;

static void
write_canary(struct canary *c, const struct stat *owner)
{
    _cleanup_(closep) int fd = open(c->path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    static const char text[] = CANARY_TEXT "\n";

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    assert_int_equal(fchown(fd, owner->st_uid, owner->st_gid), 0);
    assert_int_equal(fchmod(fd, c->mode), 0);
    assert_int_equal(fstat(fd, &c->as_made), 0);
}

static void
set(struct canary *c, const char *workspace)
{
    const char *state = getenv("SANDBOX_STATE"); /* NOLINT(concurrency-mt-unsafe): one thread */
    char directory[PATH_MAX];
    struct stat owner;

    assert_non_null(state);
    if (c->place)
        snprintf(c->path, sizeof(c->path), "%s%s", state, c->place);
    else
        snprintf(c->path, sizeof(c->path), "%s/%s/canary", state, workspace);
    snprintf(directory, sizeof(directory), "%.*s", (int)(strrchr(c->path, '/') - c->path), c->path);
    mkdir(directory, 0755);
    assert_int_equal(stat(directory, &owner), 0);
    unlink(c->path); /* of a test that failed in its setup */
    write_canary(c, &owner);
    c->watch = inotify_add_watch(watches, c->path,
                                 IN_OPEN | IN_ACCESS | IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF |
                                     IN_DELETE_SELF);
    assert_true(c->watch >= 0);
}

void
canaries_set(const char *workspace)
{
    watches = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    assert_true(watches >= 0);
    for (size_t i = 0; i < ARRAY_LEN(canaries); i++)
        set(&canaries[i], workspace);
}

/* What the first event says, in @out; "" if there is none. */
static void
read_events(char *out, size_t size)
{
    _Alignas(struct inotify_event) char events[EVENTS_SIZE];
    const struct inotify_event *event = (const struct inotify_event *)events;
    ssize_t len = read(watches, events, sizeof(events));

    out[0] = '\0';
    for (size_t i = 0; len > 0 && i < ARRAY_LEN(canaries); i++)
        if (canaries[i].watch == event->wd)
            snprintf(out, size, "%s: %s", canaries[i].path,
                     event->mask & (IN_OPEN | IN_ACCESS) ? "was opened" : "was changed");
}

static bool
is_as_made(const struct canary *c)
{
    struct stat st;

    return lstat(c->path, &st) == 0 && st.st_ino == c->as_made.st_ino &&
           st.st_dev == c->as_made.st_dev && st.st_mode == c->as_made.st_mode &&
           st.st_uid == c->as_made.st_uid && st.st_nlink == c->as_made.st_nlink &&
           st.st_size == c->as_made.st_size && st.st_mtim.tv_sec == c->as_made.st_mtim.tv_sec &&
           st.st_mtim.tv_nsec == c->as_made.st_mtim.tv_nsec;
}

const char *
canaries_take(void)
{
    static char finding[PATH_MAX + 64];
    char directory[PATH_MAX];

    read_events(finding, sizeof(finding));
    closep(&watches);
    watches = -1;
    for (size_t i = 0; i < ARRAY_LEN(canaries); i++) {
        if (!finding[0] && !is_as_made(&canaries[i]))
            snprintf(finding, sizeof(finding), "%s: is not as it was made", canaries[i].path);
        unlink(canaries[i].path);
    }
    snprintf(directory, sizeof(directory), "%.*s",
             (int)(strrchr(canaries[0].path, '/') - canaries[0].path), canaries[0].path);
    rmdir(directory);
    return finding[0] ? finding : NULL;
}
