/*
 * What callers do to containers, with the change entry that each act leaves. The act comes first: a
 * note that cannot be written is an ERR_INTERNAL of an act that was done. What changes nothing
 * (starting a container that runs) leaves no entry, and what fails leaves none.
 */
#ifndef BACKEND_CONTAINER_ACT_H
#define BACKEND_CONTAINER_ACT_H

#include "backend/container.h"

/* As container_acquire(), for a caller that asks for the container itself. */
int container_act_create(struct backend *b, const struct caller *caller,
                         const struct container *plan, json_t *labels, struct container *ret,
                         bool *ret_created, struct error *err);

/* As container_start(), container_stop(), container_restart() and container_remove(). */
int container_act_start(struct backend *b, const struct caller *caller, const char *id,
                        struct container *ret, struct error *err);
int container_act_stop(struct backend *b, const struct caller *caller, const char *id,
                       struct container *ret, struct error *err);
int container_act_restart(struct backend *b, const struct caller *caller, const char *id,
                          struct container *ret, struct error *err);
int container_act_remove(struct backend *b, const struct caller *caller, const char *id,
                         struct error *err);

#endif
