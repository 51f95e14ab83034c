/* Edits of the YAML: see watch.h. */
#include "fcgi/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "backend/cleanup.h"
#include "backend/id.h"

enum {
    QUIET_MS = 300,    /* without an event, then the files are looked at */
    PATIENCE_MS = 3000 /* or so long after the first event, whatever goes on */
};

#define DIR_NAME "yaml"

/* Watch the directory that has the name now; it may be another than before, or none. */
static void
watch_dir(struct watch *w)
{
    char path[PATH_MAX];
    int wd;

    snprintf(path, sizeof(path), "%s/" DIR_NAME, w->state_dir);
    wd = inotify_add_watch(w->fd, path,
                           IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB |
                               IN_ONLYDIR);
    if (w->dir >= 0 && wd != w->dir)
        inotify_rm_watch(w->fd, w->dir);
    w->dir = wd;
}

static void
look(const struct watch *w, struct stat now[SETTINGS_DOCUMENT_COUNT])
{
    char path[PATH_MAX];

    for (size_t i = 0; i < SETTINGS_DOCUMENT_COUNT; i++) {
        snprintf(path, sizeof(path), "%s/" DIR_NAME "/%s", w->state_dir, settings_file_names[i]);
        if (stat(path, &now[i]) < 0)
            now[i] = (struct stat){0};
    }
}

static bool
same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Whether nothing was done to the file; a change of its mode is one, too. */
static bool
same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           same_time(a->st_mtim, b->st_mtim) && same_time(a->st_ctim, b->st_ctim);
}

int
watch_open(struct watch *w, const char *state_dir, struct error *err)
{
    *w = WATCH_NONE;
    w->state_dir = state_dir;
    w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (w->fd < 0)
        return error_errno(err, errno, "inotify");
    w->place = inotify_add_watch(w->fd, state_dir, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    watch_note(w);
    if (w->place >= 0 && w->dir >= 0)
        return 0;
    watch_close(w);
    return error_errno(err, errno, "inotify watch of the YAML");
}

static void
take_event(struct watch *w, const struct inotify_event *event)
{
    int64_t now = time_monotonic_ms();

    if (event->wd == w->place && !(event->mask & IN_Q_OVERFLOW)) {
        if (event->len == 0 || strcmp(event->name, DIR_NAME) != 0)
            return;
        watch_dir(w);
    } else if (event->wd != w->dir && !(event->mask & IN_Q_OVERFLOW)) {
        return; /* of a directory that is watched no more */
    }
    if (w->due_ms == 0)
        w->first_ms = now;
    w->due_ms = now + QUIET_MS;
    if (w->due_ms > w->first_ms + PATIENCE_MS)
        w->due_ms = w->first_ms + PATIENCE_MS;
}

void
watch_read(struct watch *w)
{
    _Alignas(struct inotify_event) char events[4096];
    ssize_t n;

    while ((n = read(w->fd, events, sizeof(events))) > 0) {
        for (const char *at = events; at < events + n;) {
            const struct inotify_event *event = (const void *)at;

            take_event(w, event);
            at += sizeof(*event) + event->len;
        }
    }
}

int64_t
watch_due(const struct watch *w)
{
    int64_t left = w->due_ms - time_monotonic_ms();

    if (w->due_ms == 0)
        return -1;
    return left > 0 ? left : 0;
}

bool
watch_changed(struct watch *w)
{
    struct stat now[SETTINGS_DOCUMENT_COUNT];

    w->due_ms = 0;
    look(w, now);
    for (size_t i = 0; i < SETTINGS_DOCUMENT_COUNT; i++)
        if (!same_file(&w->seen[i], &now[i]))
            return true;
    return false;
}

void
watch_note(struct watch *w)
{
    if (w->fd < 0)
        return;
    watch_dir(w);
    w->due_ms = 0;
    look(w, w->seen);
}

void
watch_close(struct watch *w)
{
    closep(&w->fd);
    *w = WATCH_NONE;
}
