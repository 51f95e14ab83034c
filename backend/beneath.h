/* Opening what is below a directory, and nothing else. */
#ifndef BACKEND_BENEATH_H
#define BACKEND_BENEATH_H

#include <stdint.h>

/*
 * open(2) of @path strictly below the directory @dir: through no symlink, not even at its end.
 * Returns a descriptor (close-on-exec), or -1 with errno.
 */
int beneath_open(int dir, const char *path, uint64_t flags);

#endif
