/*
 * Noticing that an admin has edited the YAML. Editors and `sed -i` put a new file in the old one's
 * place, so it is the directory that is watched, and what counts is what the four files are a
 * moment after things have become quiet. A file that somebody still writes to is not looked at: the
 * event that counts is its closing.
 *
 * A link's target that changes elsewhere is not seen: that takes a HUP.
 */
#ifndef FCGI_WATCH_H
#define FCGI_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "backend/config/settings.h"
#include "backend/error.h"

/* Lifetime: process. */
struct watch {
    int fd;                /* inotify's, for poll(2); -1: nothing is noticed */
    const char *state_dir; /* borrowed; the YAML is in its directory yaml/ */
    int place, dir;        /* the watches of these two; -1: none */
    int64_t first_ms;      /* monotonic: the first of the events since things were quiet */
    int64_t due_ms;        /* when to look; 0: there is no reason to */
    struct stat seen[SETTINGS_DOCUMENT_COUNT]; /* what the files were when last looked at */
};

/* Nothing is noticed. */
#define WATCH_NONE ((struct watch){.fd = -1, .place = -1, .dir = -1})

/* Watch @state_dir (borrowed). Errors: ERR_INTERNAL (the kernel's limit of inotify instances). */
int watch_open(struct watch *w, const char *state_dir, struct error *err);

/* Take the events that have come. */
void watch_read(struct watch *w);

/* Milliseconds until watch_changed() is to be asked, 0 if it is now; -1: nothing has happened. */
int64_t watch_due(const struct watch *w);

/* Whether the files are others than at the last watch_note(). */
bool watch_changed(struct watch *w);

/* Note how the files are: the settings are being read. Events up to now are settled by that. */
void watch_note(struct watch *w);

/* Stop. */
void watch_close(struct watch *w);

#endif
