/* The user's places in the container: home, private workspace, and a line in passwd and group. */
#ifndef BACKEND_GUEST_INSIDE_HOME_H
#define BACKEND_GUEST_INSIDE_HOME_H

#include "backend/guest/inside/inside.h"

/*
 * Make what is missing of them; with g->former, make what was that user's g->uid's, and leave a
 * place alone that was mounted since. Runs in a process of its own and waits for it, so that its
 * memory is gone afterwards. A failure is complained about and otherwise ignored: a read-only image
 * has no home. Returns 0, or an errno if there was no process to be had.
 */
int home_prepare(const struct guest *g);

#endif
