/*
 * A worker of its own in a process of its own, with a few routes that show what it does, for the
 * tests of fcgi/worker.c and dispatcher.c.
 */
#ifndef TESTS_UNIT_FASTCGI_WORKER_H
#define TESTS_UNIT_FASTCGI_WORKER_H

#include <sys/types.h>

#include "fcgi/worker.h"

enum { PATIENCE_S = 30 };

struct server {
    pid_t pid; /* 0: it has ended */
    char dir[64];
    char paths[LANE_COUNT][96];
    int entered[2]; /* a waiting handler writes a byte when it begins */
    int leave[2];   /* and ends when it can read one */
};

/* The one of the test that runs. */
extern struct server server;

/* A cmocka setup: make its directory and settings, and start it. Returns 0. */
int worker_setup(void **state);

/* A cmocka teardown: end it by TERM and remove its directory. Returns 0 if its status was 0. */
int worker_teardown(void **state);

/* Write @text to the file @name in its directory. */
void worker_write(const char *name, const char *text);

#endif
