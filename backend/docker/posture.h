/*
 * Private to backend/docker: whether the engine made what it was asked for. Its configuration, a
 * plugin, a kernel without some limit, or a future version may add to a container or leave
 * something out, and an image may declare what we do not want: it is told before anything runs.
 */
#ifndef BACKEND_DOCKER_POSTURE_H
#define BACKEND_DOCKER_POSTURE_H

#include <jansson.h>

#include "backend/error.h"

/*
 * Compare ContainerInspect's answer @inspect with the @body of ContainerCreate, before the
 * container's first start. Neither is changed. What a container must not have is compared also
 * where @body is silent; keys that are not known here are not looked at. ERR_DOCKER: they differ;
 * the sentence names the field, the detail has its value, cut where it is long.
 */
int docker_posture_check(json_t *inspect, json_t *body, struct error *err);

/*
 * The part of it in mounts.c: what is mounted is the body's binds, and the volumes that the image
 * declares, which the engine makes anew for the container. Only where they are not in the way: an
 * image's volume at, above or below a bind or tmpfs of the body, or in /proc, /sys, /dev or
 * /.sandbox is an ERR_DOCKER, too.
 */
int docker_posture_check_mounts(json_t *inspect, json_t *body, struct error *err);

/* The ERR_DOCKER of a container whose field @path has the value @made (NULL: there is none). */
int docker_posture_refuse(const char *path, json_t *made, struct error *err);

#endif
