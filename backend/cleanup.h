/*
 * Scope-bound ownership: a variable declared with _cleanup_(foo_freep) is freed when it goes out of
 * scope, and TAKE() hands its value to somebody else.
 */
#ifndef BACKEND_CLEANUP_H
#define BACKEND_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

/* Define foo_freep() from foo_free(), for use with _cleanup_. */
#define CLEANUP_FN(type, fn)                                                                       \
    static inline void fn##p(type *p)                                                              \
    {                                                                                              \
        if (*p)                                                                                    \
            fn(*p);                                                                                \
    }

/* Move a pointer out of its variable: the visible hand-over of ownership. */
#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })

/* Move a descriptor out of its variable. */
#define TAKE_FD(fd)                                                                                \
    __extension__({                                                                                \
        int taken_ = (fd);                                                                         \
        (fd) = -1;                                                                                 \
        taken_;                                                                                    \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* For `_cleanup_(freep) char *s = NULL;`. */
static inline void
freep(void *p)
{
    free(*(void **)p);
}

/* For `_cleanup_(closep) int fd = -1;`. */
static inline void
closep(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

CLEANUP_FN(FILE *, fclose)
CLEANUP_FN(DIR *, closedir)

#endif
