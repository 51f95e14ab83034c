/* Images that an attacker made, as templates. */
#ifndef TESTS_HOSTILE_IMAGE_H
#define TESTS_HOSTILE_IMAGE_H

#include "tests/api/client.h"

/*
 * Make the template @name: its image is that of `base`, changed by the sh text @script, which runs
 * as root in the directory that is to be its root and finds the attackers in $ATTACKERS, and with
 * the Dockerfile instruction @change ("" for none).
 */
void image_make(const char *name, const char *script, const char *change);

/* Remove the containers made of it, the template and the image. */
void image_remove(const char *name);

/* attack(), without arguments, in a sandbox of the template @name. */
struct reply image_attack(const char *user, const char *agent, const char *program,
                          const char *name);

/* Run the sh text @command there. */
struct reply image_shell(const char *user, const char *agent, const char *name,
                         const char *command);

/* world_check() for a test that makes images, whose templates go also if it failed. */
int image_check(void **state);

#endif
