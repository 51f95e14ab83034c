/*
 * Containers whose tier has got other limits since they were made. CPU time, memory and processes
 * follow the tier, up and down, within a minute and without a restart; the rest of what a tier says
 * (disk, network, runtime, GPUs) is fixed when a container is made. Memory that its processes use
 * is not taken from them: such a container keeps its old limit until it uses less, or is started
 * the next time.
 */
#ifndef BACKEND_REFIT_H
#define BACKEND_REFIT_H

#include "backend/backend.h"
#include "backend/error.h"
#include "backend/store/records.h"

/* The tier whose limits @c has to get, for it has others; NULL: none. Borrowed from @s. */
const struct tier *refit_due(const struct settings *s, const struct container *c);

/*
 * Give @c, whose lock the caller holds, its tier's limits if it has others: in the engine, in its
 * row, in @c, and with a `change` entry in its owner's audit. Returns 0 also where its memory stays
 * as it is. Errors: those of engine.h, and ERR_OVERLOADED: the broker has not read the new tiers
 * yet.
 */
int refit_container(struct backend *b, struct container *c, struct error *err);

/*
 * refit_container() for all that it is due for, but those that are being made or removed. Returns
 * how many have to be looked at again soon, as the broker has not read the new tiers yet, somebody
 * works on the container, or the engine refused; or a negative errno.
 */
int refit_tend(struct backend *b, struct error *err);

#endif
