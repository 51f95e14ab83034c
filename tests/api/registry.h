/* A registry of the test's own: Debian's docker-registry on a free port of 127.0.0.1, over plain
 * HTTP, which Docker takes from there. */
#ifndef TESTS_API_REGISTRY_H
#define TESTS_API_REGISTRY_H

#include <sys/types.h>

/* Lifetime: from registry_start() to registry_stop(). */
struct registry {
    pid_t pid;
    int port;
    char host[32]; /* "127.0.0.1:PORT" */
    char dir[64];
};

/* Start it, empty; for those who log in as @user with @password only, unless @user is NULL. */
void registry_start(struct registry *r, const char *user, const char *password);

/* Stop it and remove what it holds. Does nothing with one that was not started. */
void registry_stop(struct registry *r);

/*
 * Have the server's engine build the Dockerfile text @dockerfile and push it as @name
 * ("team/base:v1"), logged in by @user and @password (NULL: not); no tag of it stays in the engine.
 */
void registry_push(const struct registry *r, const char *name, const char *dockerfile,
                   const char *user, const char *password);

#endif
