/*
 * Private to backend/docker: the progress of a build or pull, which the engine sends as JSON
 * objects under a status of 200 that came before the work was done (moby, pkg/jsonmessage). It is
 * read as it arrives, an object at a time, and turned into lines of a log: what steps print as it
 * is, and of each layer only what is news.
 */
#ifndef BACKEND_DOCKER_PROGRESS_H
#define BACKEND_DOCKER_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "backend/buf.h"
#include "backend/docker/docker.h"
#include "backend/error.h"

enum { PROGRESS_LAYERS_MAX = 128, PROGRESS_OBJECT_MAX = 256 * 1024 };

/* The last that was logged of one layer. */
struct progress_layer {
    char id[16];
    char status[32];
    int percent;
};

/* Lifetime: one call. */
struct progress {
    const char *what; /* "build": for sentences */
    docker_log_fn log;
    void *log_arg;
    struct buf line;                     /* owned: the object that is not complete yet */
    size_t objects;                      /* read so far */
    char image_id[DOCKER_IMAGE_ID_SIZE]; /* that a build announced; "" if none */
    struct error *error; /* the first failure: errorDetail's, or of the stream's form */
    int failed;          /* its negative errno; 0: none */
    struct progress_layer layers[PROGRESS_LAYERS_MAX];
    size_t layer_count;
};

/* Begin. @error takes the first failure. */
void progress_init(struct progress *p, const char *what, docker_log_fn log, void *log_arg,
                   struct error *error);

void progress_done(struct progress *p);

/* A docker_take_fn over a struct progress. */
int progress_take(void *progress, const char *data, size_t len);

/* Take the stream's end. Returns 0, or the negative errno of the first failure; a stream without a
 * single object is one. */
int progress_end(struct progress *p);

#endif
