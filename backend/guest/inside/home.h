/* The user's places in the container: home, private workspace, and a line in passwd and group. */
#ifndef BACKEND_GUEST_INSIDE_HOME_H
#define BACKEND_GUEST_INSIDE_HOME_H

#include "backend/guest/inside/inside.h"

/*
 * Make what is missing of them. Runs in a process of its own and waits for it, so that its memory
 * is gone afterwards. A failure is complained about and otherwise ignored: a read-only image has no
 * home.
 */
void home_prepare(const struct guest *g);

#endif
