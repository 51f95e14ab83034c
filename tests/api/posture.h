/* What every container may do, as the engine says and as is seen from inside. */
#ifndef TESTS_API_POSTURE_H
#define TESTS_API_POSTURE_H

#include <jansson.h>

/* The member "One.Two" of @object, NULL if there is none. */
json_t *posture_member(json_t *object, const char *path);

/* Fail the test unless @what, the engine's inspect of the container @id, is a sandbox of a network
 * without a bridge. */
void posture_engine_says(json_t *what, const char *id);

/* Fail the test unless commands that @user runs in the container @id can do what a sandbox can. */
void posture_seen_inside(const char *user, const char *id);

/* Run the sh text @command, and fail the test unless it prints exactly @expected. */
void posture_prints(const char *user, const char *id, const char *command, const char *expected);

#endif
