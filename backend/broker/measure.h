/*
 * How much disk the files of a container take, counted by the broker on trees that belong to a
 * tenant: no name of theirs is followed, no depth of directories costs more than another, and the
 * count ends as soon as it is over its maximum, so that a million files cost no more than those.
 */
#ifndef BACKEND_BROKER_MEASURE_H
#define BACKEND_BROKER_MEASURE_H

#include <stdint.h>
#include <sys/types.h>

/* What has been counted. */
struct measure {
    int64_t bytes; /* allocated, of which hard links share what is theirs */
    int64_t files; /* names of any kind, and files without one */
};

/*
 * Add to @m what is below @directory, until it is over @max in either. Needs root, and a file
 * system with file handles. Returns 0, or a negative errno (-ENOENT: there is no such directory).
 */
int measure_tree(const char *directory, const struct measure *max, struct measure *m);

/*
 * Add to @m the files on the root file system of the container whose PID 1 is @pid that have no
 * name any more and are still open or mapped in one of its processes, until it is over @max. A file
 * whose only descriptor lies in a socket's queue is not found. Returns 0 or a negative errno.
 */
int measure_nameless(pid_t pid, const struct measure *max, struct measure *m);

/*
 * Make the tree below @directory, in which nothing runs any more, shallow enough to be removed by
 * who holds a descriptor for each level of it, or spells out its paths: what is deeper is moved to
 * the top. Needs what
 * measure_tree() needs. Returns 0 or a negative errno.
 */
int measure_flatten(const char *directory);

#endif
